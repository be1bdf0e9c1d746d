"""Turn a tool's result or failure into text for the model."""

from __future__ import annotations

import msgspec

from rxagents.core.errors import ToolError
from rxagents.core.events import ErrorInfo
from rxagents.core.surrogates import replace_surrogates


def result_text(value: object) -> str:
    """Return a `str` unchanged, and anything else as JSON; never raise.

    In the JSON, a value of a type that JSON lacks is written as `str` prints it. A lone surrogate,
    which file names may hold, becomes a question mark.
    """
    try:
        text = value if isinstance(value, str) else _json(value)
    except Exception:
        text = printed(value)
    return replace_surrogates(text)


def error_text(error: Exception) -> str:
    """Return the model's text about a tool's failure; never raise."""
    text = result_text(printed(error))
    return f"Error: {text}" if isinstance(error, ToolError) else f"Error: {_kind(error)}: {text}"


def error_info(error: Exception) -> ErrorInfo:
    """Return the `ErrorInfo` of `error`, even if `str(error)` raises; never raise."""
    try:
        return ErrorInfo.of(error)
    except Exception:
        return ErrorInfo(_kind(error), printed(error))


def printed(value: object) -> str:
    """Return `str(value)`, or a text that it cannot be printed; never raise."""
    try:
        return str(value)
    except Exception:
        return f"(a {_kind(value)} that cannot be printed)"


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _kind(value: object) -> str:
    return type(value).__name__
