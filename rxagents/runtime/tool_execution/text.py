"""Turn a tool's result or failure into text for the model."""

from __future__ import annotations

import msgspec

from rxagents.core.errors import ToolError
from rxagents.core.printing import printed
from rxagents.core.surrogates import replace_surrogates


def result_text(value: object) -> str:
    """Return a `str` unchanged, and anything else as JSON.

    In the JSON, a value of a type that JSON lacks is written as `str` prints it. A lone surrogate,
    which file names may hold, becomes a question mark. Only `KeyboardInterrupt` passes.
    """
    try:
        text = value if isinstance(value, str) else _json(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return printed(value)
    return replace_surrogates(text)


def error_text(error: Exception) -> str:
    """Return the model's text about a tool's failure."""
    text = printed(error)
    return (
        f"Error: {text}"
        if isinstance(error, ToolError)
        else f"Error: {type(error).__name__}: {text}"
    )


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()
