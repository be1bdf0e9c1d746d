"""Every error the library raises, one tree.

::

    RxAgentsError
      ConfigurationError            also a ValueError: argument, key, model string
      ProviderError                 provider, request_id, status, retryable, retry_after
        TransportError              ConnectError, ProtocolError, RedirectError
        StreamTimeoutError          ConnectTimeoutError, FirstEventTimeoutError,
                                    IdleTimeoutError, TotalTimeoutError
        StatusError                 BadRequestError, AuthenticationError, NotFoundError,
                                    ConflictError, PayloadTooLargeError, RateLimitError,
                                    ServerError, OverloadedError
        ResponseError               a 200 that is no stream: HTML, a JSON error, …
        StreamDecodeError           invalid frame, JSON or UTF-8
        LimitExceededError          a line, event, body or JSON depth grew past its limit
        TruncatedStreamError        the stream ended before the provider said so
      AgentError                    MaxIterationsError, RunLimitError, OutputError
      ToolError                     ToolNotFoundError, ToolArgumentsError, ToolTimeoutError
      BackpressureError             a reader is too slow for its policy or a hard limit
      StreamCancelledError          cancelled from outside, not disposed

Every message says what happened and what to do. None of them holds a key.
"""

from __future__ import annotations

from typing import ClassVar


class RxAgentsError(Exception):
    """The root: `except rxagents.RxAgentsError` catches all that the library raises."""


class ConfigurationError(RxAgentsError, ValueError):
    """An argument, key, model string or call is wrong; nothing was sent."""


class ProviderError(RxAgentsError):
    """A provider, or the way to it, failed.

    Attributes:
        provider: The provider's name, such as `"openai"`; empty where none is involved.
        request_id: The provider's id for the request, for its support; `None` if not sent.
        status: The HTTP status, or the one an in-stream error stands for; `None` if neither.
        retryable: Whether sending the same request again may help.
        retry_after: Seconds the provider asked to wait; `None` if it did not.
        failed_attempts: What the attempts before this one failed with, oldest first.
    """

    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        provider: str = "",
        request_id: str | None = None,
        status: int | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.request_id = request_id
        self.status = status
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.retry_after = retry_after
        self.failed_attempts: tuple[ProviderError, ...] = ()


class TransportError(ProviderError):
    """The connection failed before or outside of an HTTP answer."""

    retryable_by_default = True


class ConnectError(TransportError):
    """No connection: unknown host, refused, unreachable, or TLS not verified."""


class ProtocolError(TransportError):
    """What came back is not HTTP."""


class RedirectError(TransportError):
    """The host answered with a redirect, which is never followed: it would take the key along."""

    retryable_by_default = False


class StreamTimeoutError(ProviderError):
    """Time ran out; the subclass says in which phase. HTTP status 408 is this class itself."""

    retryable_by_default = True


class ConnectTimeoutError(StreamTimeoutError):
    """No connection within `Timeouts.connect` seconds."""


class FirstEventTimeoutError(StreamTimeoutError):
    """No first event within `Timeouts.first` seconds of sending the request."""


class IdleTimeoutError(StreamTimeoutError):
    """No further event within `Timeouts.idle` seconds; comments do not count."""

    retryable_by_default = False


class TotalTimeoutError(StreamTimeoutError):
    """The whole stream took longer than `Timeouts.total` seconds."""

    retryable_by_default = False


class StatusError(ProviderError):
    """The provider refused the request with an HTTP status, or an in-stream error like one."""


class BadRequestError(StatusError):
    """400 or 422: the request is malformed, or a setting is not supported by this model."""


class AuthenticationError(StatusError):
    """401 or 403: the key is missing, wrong, or not allowed to do this."""


class NotFoundError(StatusError):
    """404: no such model or path; check the model's name and `base_url`."""


class ConflictError(StatusError):
    """409: the provider was busy with a conflicting request."""

    retryable_by_default = True


class PayloadTooLargeError(StatusError):
    """413: the request is too large; send less."""


class RateLimitError(StatusError):
    """429: too many requests or tokens; `retry_after` says how long to wait, if known."""

    retryable_by_default = True


class ServerError(StatusError):
    """500 and above: the provider failed."""

    retryable_by_default = True


class OverloadedError(StatusError):
    """503 or 529: the provider has no capacity just now."""

    retryable_by_default = True


class ResponseError(ProviderError):
    """A 200 that is no event stream: HTML, a JSON document, an error in its place."""


class StreamDecodeError(ProviderError):
    """A frame of the stream is not valid: framing, JSON, UTF-8 or shape."""


class LimitExceededError(ProviderError):
    """A line, event, body or buffer grew past its limit."""


class TruncatedStreamError(ProviderError):
    """The stream ended without a finish reason or end marker; all that came was delivered."""


class AgentError(RxAgentsError):
    """An agent's run could not go on."""


class MaxIterationsError(AgentError):
    """The run used up its turns without an answer."""


class RunLimitError(AgentError):
    """The run reached its limit of tool calls, tokens or time."""


class OutputError(AgentError):
    """The model's output is not what the agent must have."""


class ToolError(RxAgentsError):
    """A tool failed; the message is written for the model, so that it can mend its call."""


class ToolNotFoundError(ToolError):
    """The model called a tool that does not exist."""


class ToolArgumentsError(ToolError):
    """A call's arguments are not valid JSON, or do not fit the tool's parameters."""


class ToolTimeoutError(ToolError):
    """A tool took longer than it may."""


class BackpressureError(RxAgentsError):
    """A reader is too slow: more items wait for it than its policy or a hard limit allows."""


class StreamCancelledError(RxAgentsError):
    """The stream's task was cancelled from outside; a disposed stream says nothing at all."""


_CLASS_OF_STATUS: dict[int, type[ProviderError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    403: AuthenticationError,
    404: NotFoundError,
    408: StreamTimeoutError,
    409: ConflictError,
    413: PayloadTooLargeError,
    422: BadRequestError,
    429: RateLimitError,
    503: OverloadedError,
    529: OverloadedError,
}


def class_of_status(status: int) -> type[ProviderError]:
    """Return the error class of an HTTP status; the statuses stand in the classes' docstrings."""
    if status in _CLASS_OF_STATUS:
        return _CLASS_OF_STATUS[status]
    if 300 <= status < 400:
        return RedirectError
    return ServerError if status >= 500 else StatusError
