"""What goes wrong on the way, in words."""

from __future__ import annotations

from rxagents.core.errors import TransportError


def words(error: BaseException) -> str:
    """Return what `error` says, on one line."""
    return " ".join(str(error).split()) or type(error).__name__


def closed_session(provider: str) -> TransportError:
    """Return the error of a stream whose session was closed."""
    return TransportError(
        "The session was closed while a stream used it. Dispose the streams of a model before "
        "its aclose().",
        provider=provider,
        retryable=False,
    )
