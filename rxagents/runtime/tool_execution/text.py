"""What a tool gives, as text for the model."""

from __future__ import annotations

import msgspec

from rxagents.core.errors import ToolError
from rxagents.core.events import ErrorInfo
from rxagents.core.surrogates import replace_surrogates


def result_text(value: object) -> str:
    """Return a `str` as it is, and anything else as JSON; it never raises.

    Inside of JSON, what JSON does not know is written as Python prints it. Half a character,
    such as file names may hold, is a question mark.
    """
    try:
        text = value if isinstance(value, str) else _json(value)
    except Exception:
        text = printed(value)
    return replace_surrogates(text)


def error_text(error: Exception) -> str:
    """Return what the model is told of a tool's failure; it never raises."""
    told = result_text(printed(error))
    return f"Error: {told}" if isinstance(error, ToolError) else f"Error: {_kind(error)}: {told}"


def error_info(error: Exception) -> ErrorInfo:
    """Describe `error`, even one that does not print; it never raises."""
    try:
        return ErrorInfo.of(error)
    except Exception:
        return ErrorInfo(_kind(error), printed(error))


def printed(value: object) -> str:
    """Return what Python prints of `value`, or that it does not print; it never raises."""
    try:
        return str(value)
    except Exception:
        return f"(a {_kind(value)}, which does not print)"


def _json(value: object) -> str:
    return msgspec.json.encode(value, enc_hook=str).decode()


def _kind(value: object) -> str:
    return type(value).__name__
