"""Describe what went wrong on a connection."""

from __future__ import annotations

from rxagents.core.errors import TransportError


def one_line(error: BaseException) -> str:
    """Return the message of `error` on one line, or else its type."""
    return " ".join(str(error).split()) or type(error).__name__


def closed_session_error(provider: str) -> TransportError:
    """Return the error of a stream whose session was closed."""
    return TransportError(
        "The session was closed while a stream used it. Dispose the streams of a model before "
        "its aclose().",
        provider=provider,
        retryable=False,
    )
