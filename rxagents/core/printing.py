"""Print values of any type."""

from __future__ import annotations

from rxagents.core.surrogates import replace_surrogates


def printed(value: object) -> str:
    """Return `str(value)` with a question mark for each lone surrogate.

    If `str` raises, the result is a text that says so. Only `KeyboardInterrupt` passes: it may be
    the user's.
    """
    try:
        text = str(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        text = f"(a {type(value).__name__} that cannot be printed)"
    return replace_surrogates(text)
