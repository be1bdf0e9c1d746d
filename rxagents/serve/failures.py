"""Answer a request that cannot be served, in the form of its protocol."""

from __future__ import annotations

from typing import Any

import msgspec
from aiohttp import web

from rxagents.core.errors import (
    AgentError,
    ConfigurationError,
    LogGoneError,
    RateLimitError,
    RxAgentsError,
)


class RequestError(Exception):
    """A request that is refused.

    Args:
        status: The HTTP status.
        message: What is wrong, and what to do.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class VoidTextError(RequestError):
    """A stream whose protocol cannot take back the text that a restart makes void."""

    def __init__(self) -> None:
        super().__init__(
            502,
            "The model's answer broke off and started again. The text that was sent is void, and "
            "chat completions have no way to take it back: discard it, and send the request again.",
        )


def status_of(error: Exception) -> int:
    """Return the HTTP status that says what failed: the request, the agent or its provider."""
    match error:
        case RequestError():
            return error.status
        case ConfigurationError():
            return 400
        case LogGoneError():
            return 404
        case RateLimitError():
            return 429
        case AgentError():
            return 500
        case RxAgentsError():
            return 502
        case _:
            return 500


def message_of(error: Exception) -> str:
    """Return what a client may read: an error of the user's code may say anything."""
    if isinstance(error, RxAgentsError | RequestError):
        return str(error)
    return "The agent failed."


def json_response(body: object, status: int = 200) -> web.Response:
    """Return a response with a JSON body."""
    return web.Response(
        body=msgspec.json.encode(body), status=status, content_type="application/json"
    )


def error_response(request: web.Request, error: Exception) -> web.Response:
    """Return the response to a request that failed; OpenAI's clients want OpenAI's form."""
    status, message = status_of(error), message_of(error)
    body: dict[str, Any] = {"message": message, "type": type(error).__name__}
    if request.path.startswith("/v1/"):
        kind = "invalid_request_error" if status < 500 else "server_error"
        body = {"message": message, "type": kind, "param": None, "code": None}
    return json_response({"error": body}, status)
