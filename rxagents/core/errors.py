"""Define the errors that the library raises to its users, as one tree.

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
        ResponseError               status 200, but no event stream: HTML, a JSON error, …
        StreamDecodeError           invalid frame, JSON or UTF-8
        LimitExceededError          a line, event, body or JSON depth exceeded its limit
        TruncatedStreamError        the stream ended before the provider ended it
      AgentError                    MaxIterationsError, RunLimitError, OutputError
      ToolError                     ToolNotFoundError, ToolArgumentsError, ToolTimeoutError
      StorageError                  a store could not read or write
        LeaseError                  another writer has the run of an event log
        LogGoneError                an event log has no such run or entry, or no longer
      BackpressureError             a reader is too slow for its policy or a hard limit
      StreamCancelledError          cancelled from outside, not disposed
      RunInterruptedError           the process that wrote a run ended without an end mark

Each message says what happened and what to do. No message contains a key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    from rxagents.core.messages import Message
    from rxagents.core.usage import Usage


class RxAgentsError(Exception):
    """Base class of all errors of the library: catch this one to catch them all.

    An error that ends an agent's run has what the run leaves. Elsewhere these attributes have
    their defaults.

    Attributes:
        usage: The token counts of the run so far; `None` if none are known.
        messages: The conversation so far, with what the last turn had written and called.
        iterations: The number of turns that had started.
    """

    usage: Usage | None = None
    messages: tuple[Message, ...] = ()
    iterations: int = 0


class ConfigurationError(RxAgentsError, ValueError):
    """An argument, key, model string or call is invalid; no request was sent."""


class ProviderError(RxAgentsError):
    """A provider failed, or the connection to it.

    Attributes:
        provider: The provider's name, such as `"openai"`; empty if none is involved.
        request_id: The provider's id of the request, for its support; `None` if it sent none.
        status: The HTTP status, or the status that an in-stream error corresponds to; `None` if
            there is neither.
        retryable: Whether sending the same request again may help.
        retry_after: Seconds that the provider asked to wait; `None` if it did not.
        failed_attempts: The errors of the attempts before this one, oldest first.
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
    """The connection failed before the HTTP response or outside of it."""

    retryable_by_default = True


class ConnectError(TransportError):
    """No connection: the host is unknown, refused, unreachable, or TLS verification failed."""


class ProtocolError(TransportError):
    """The response is not valid HTTP."""


class RedirectError(TransportError):
    """The host sent a redirect; none is followed, since the request carries a key."""

    retryable_by_default = False


class StreamTimeoutError(ProviderError):
    """A timeout expired; the subclass names the phase. HTTP status 408 raises this class itself."""

    retryable_by_default = True


class ConnectTimeoutError(StreamTimeoutError):
    """The connection took longer than `Timeouts.connect` seconds."""


class FirstEventTimeoutError(StreamTimeoutError):
    """The first event did not come within `Timeouts.first` seconds after the request."""


class IdleTimeoutError(StreamTimeoutError):
    """The next event did not come within `Timeouts.idle` seconds; comments do not count."""

    retryable_by_default = False


class TotalTimeoutError(StreamTimeoutError):
    """The whole stream took longer than `Timeouts.total` seconds."""

    retryable_by_default = False


class StatusError(ProviderError):
    """The provider refused the request, by an HTTP status or by an in-stream error."""


class BadRequestError(StatusError):
    """400 or 422: the request is malformed, or the model does not support a setting."""


class AuthenticationError(StatusError):
    """401 or 403: the key is missing, wrong, or lacks the permission."""


class NotFoundError(StatusError):
    """404: the model or path does not exist; check the model's name and `base_url`."""


class ConflictError(StatusError):
    """409: the provider was busy with a conflicting request."""

    retryable_by_default = True


class PayloadTooLargeError(StatusError):
    """413: the request is too large; send less."""


class RateLimitError(StatusError):
    """429: too many requests or tokens; `retry_after` is the time to wait, if known."""

    retryable_by_default = True


class ServerError(StatusError):
    """500 and above: the provider failed."""

    retryable_by_default = True


class OverloadedError(StatusError):
    """503 or 529: the provider has no capacity at the moment."""

    retryable_by_default = True


class ResponseError(ProviderError):
    """Status 200, but the body is no event stream: HTML, a JSON document or a JSON error."""


class StreamDecodeError(ProviderError):
    """A frame of the stream is invalid: its framing, JSON, UTF-8 or fields."""


class LimitExceededError(ProviderError):
    """A line, event, body or JSON depth exceeded its limit."""


class TruncatedStreamError(ProviderError):
    """The stream ended without a finish reason or end marker, after all data was delivered.

    It is retryable however it ended: a proxy decides whether a lost server looks like a closed
    connection, a reset one or a body that ends properly.
    """

    retryable_by_default = True


class AgentError(RxAgentsError):
    """An agent's run cannot continue."""


class MaxIterationsError(AgentError):
    """The run reached `max_iterations` turns without an answer.

    Attributes:
        last_text: The text of the model's last response; empty if it wrote none.
    """

    def __init__(self, message: str, *, last_text: str = "") -> None:
        super().__init__(message)
        self.last_text = last_text


class RunLimitError(AgentError):
    """The run reached its limit of tool calls, tokens or time, or a budget that it shares."""


class OutputError(AgentError):
    """The model's output does not have the required form."""


class ToolError(RxAgentsError):
    """A tool failed; the message is written for the model, so that it can correct its call."""


class ToolNotFoundError(ToolError):
    """The model called a tool that does not exist."""


class ToolArgumentsError(ToolError):
    """A call's arguments are not valid JSON, or do not match the tool's parameters."""


class ToolTimeoutError(ToolError):
    """A tool took longer than its `timeout`."""


class StorageError(RxAgentsError):
    """A store could not read or write, such as a SQLite file on a full disk."""


class LeaseError(StorageError):
    """Another writer writes this run of an event log, or has taken it over."""


class LogGoneError(StorageError):
    """An event log does not have the run or the entry that a reader asks for, or no longer.

    Attributes:
        first_id: The id of the oldest entry that is kept; empty if there is no such run.
    """

    def __init__(self, message: str, *, first_id: str = "") -> None:
        super().__init__(message)
        self.first_id = first_id


class BackpressureError(RxAgentsError):
    """A reader is too slow: more items wait for it than its policy or a hard limit allows."""


class StreamCancelledError(RxAgentsError):
    """The stream's task was cancelled from outside; a disposed stream emits no error."""


class RunInterruptedError(RxAgentsError):
    """A run in an event log has no more events: the process that wrote it ended or hung."""


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
    """Return the error class of an HTTP status; each class lists its statuses."""
    if status in _CLASS_OF_STATUS:
        return _CLASS_OF_STATUS[status]
    if 300 <= status < 400:
        return RedirectError
    return ServerError if status >= 500 else StatusError
