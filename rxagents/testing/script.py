"""Define the replies of a script."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.errors import (
    AuthenticationError,
    BadRequestError,
    ConfigurationError,
    ConflictError,
    NotFoundError,
    OverloadedError,
    PayloadTooLargeError,
    ProviderError,
    RateLimitError,
    ServerError,
    StreamTimeoutError,
    class_of_status,
)
from rxagents.core.messages import ToolCall
from rxagents.core.usage import Usage
from rxagents.testing.delivery import Delivery, Ending, Framing

_WORD = re.compile(r"\s*\S+|\s+\Z")


class Reply(Delivery, frozen=True):
    """A reply of the model. The options of `Delivery` define how it is sent over HTTP.

    Attributes:
        text: The text; a `str` is cut into words, a sequence is sent item by item.
        reasoning: Thinking text that precedes the text, cut into words.
        refusal: The text of a refusal.
        tool_calls: Tool calls after the text; the arguments of each are sent in pieces.
        finish_reason: By default `"tool_calls"` if there are tool calls, else `"stop"`.
        usage: Token counts, sent last; `None` for none.
        error: An in-stream error, sent instead of the finish reason. Its class is that of its
            status, or has a usual status, such as `RateLimitError`.
        cut_after: The number of events to send before `ending`; `None` for all.
    """

    text: str | Sequence[str] = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    error: ProviderError | None = None
    cut_after: int | None = None

    def __post_init__(self) -> None:
        """Check that the options are compatible."""
        super().__post_init__()
        if self.ending is Ending.ENDLESS and self.cut_after == 0:
            raise ConfigurationError(
                "An endless reply repeats its last event: cut_after must be 1 or more, not 0."
            )
        if self.error is not None:
            status_of(self.error)

    def deltas(self) -> list[str]:
        """Return the pieces of the text."""
        return words(self.text) if isinstance(self.text, str) else list(self.text)

    def finish(self) -> str:
        """Return the finish reason."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


class RawReply(Delivery, frozen=True):
    """A response given as bytes. The options of `Delivery` define how it is sent.

    Attributes:
        pieces: The pieces of the body, each sent in one write.
        content_type: The content type.
        headers: More headers.
        status: The HTTP status.
    """

    pieces: Sequence[bytes]
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200

    def __post_init__(self) -> None:
        """Check that the options are compatible."""
        super().__post_init__()
        _refuse_comments(self)
        if self.ending is Ending.ENDLESS and not (self.pieces and self.pieces[-1]):
            raise ConfigurationError(
                "An endless body repeats its last piece: pass a last piece that is not empty."
            )


class StatusReply(Delivery, frozen=True):
    """A response with an HTTP status instead of a stream.

    A redirect is `StatusReply(307, headers={"location": url})`. The options of `Delivery` define
    how it is sent.

    Attributes:
        status: The HTTP status.
        body: The body; a dict is sent as JSON.
        headers: More headers, such as `{"retry-after": "1"}`.
    """

    status: int
    body: str | bytes | dict[str, Any] = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Check that the options are compatible."""
        super().__post_init__()
        _refuse_comments(self)
        if self.ending is Ending.ENDLESS and not self.body:
            raise ConfigurationError(
                "An endless body repeats itself: pass a body that is not empty."
            )

    def raw(self) -> RawReply:
        """Return the same response as a `RawReply`."""
        body, kind = self.body, "text/plain"
        if isinstance(body, dict):
            body, kind = msgspec.json.encode(body), "application/json"
        data = body.encode() if isinstance(body, str) else body
        unbounded = self.ending in {Ending.ENDLESS, Ending.BAD_CHUNK}
        framing = self.framing or (Framing.CHUNKED if unbounded else Framing.LENGTH)
        delivery = {**self.delivery(), "framing": framing}
        return RawReply([data], kind, self.headers, self.status, **delivery)


class NoReply(Struct, frozen=True):
    """No response, not a single byte.

    A function can imitate a stale connection, which fails when it is reused:
    `ScriptedServer(lambda request: NoReply() if request.reused else "Hello")`.

    Attributes:
        ending: What happens instead: `FIN`, `RESET` or `STALL`.
        delay: Seconds before the ending.

    Raises:
        ConfigurationError: The ending needs a response.
    """

    ending: Ending = Ending.FIN
    delay: float = 0.0

    def __post_init__(self) -> None:
        """Check that the ending needs no response."""
        if self.ending not in {Ending.FIN, Ending.RESET, Ending.STALL}:
            raise ConfigurationError(
                f"The ending {self.ending.value!r} needs a response: use a Reply, or one of "
                "NoReply's endings FIN, RESET and STALL."
            )


def gzip_bomb(size: int, block: bytes = b" " * 65536, status: int = 200) -> RawReply:
    """Return a reply that is small on the wire and large after decompression.

    Args:
        size: The number of bytes of the body after decompression.
        block: The bytes that the body repeats.
        status: The HTTP status.
    """
    count, rest = divmod(size, len(block))
    return RawReply([*[block] * count, block[:rest]], status=status, gzip=True)


_STATUS_OF_CLASS: dict[type[ProviderError], int] = {
    BadRequestError: 400,
    AuthenticationError: 401,
    NotFoundError: 404,
    StreamTimeoutError: 408,
    ConflictError: 409,
    PayloadTooLargeError: 413,
    RateLimitError: 429,
    ServerError: 500,
    OverloadedError: 529,
}
"""The status of an error that is scripted without one."""


def status_of(error: ProviderError) -> int:
    """Return the HTTP status that a scripted in-stream error corresponds to.

    Raises:
        ConfigurationError: Its class is not that of a status, so that it could not arrive.
    """
    kind = type(error)
    status = error.status or _STATUS_OF_CLASS.get(kind)
    if status is not None and class_of_status(status) is kind:
        return status
    if status is None:
        raise ConfigurationError(
            f"No in-stream error arrives as {kind.__name__} without a status. Script the class of "
            "a status, such as RateLimitError or ServerError, or use the reply's ending and delay."
        )
    raise ConfigurationError(
        f"An in-stream error with the status {status} arrives as "
        f"{class_of_status(status).__name__}, not as {kind.__name__}: change the status or the "
        "class of the scripted error."
    )


ReplyLike: TypeAlias = str | Reply


def to_reply(reply: ReplyLike) -> Reply:
    """Convert a `str` to a reply with that text; return a `Reply` unchanged.

    Raises:
        ConfigurationError: The value is neither.
    """
    if isinstance(reply, str):
        return Reply(reply)
    if isinstance(reply, Reply):
        return reply
    raise ConfigurationError(
        f"A scripted reply must be a str or a Reply, not {type(reply).__name__}."
    )


def words(text: str) -> list[str]:
    """Split a text into words, each with the white space before it."""
    return _WORD.findall(text)


def _refuse_comments(reply: Delivery) -> None:
    if reply.ending is Ending.COMMENTS:
        raise ConfigurationError(
            "The ending 'comments' needs a Reply, which knows its wire: make the comment the last "
            "piece of a RawReply with the ending 'endless'."
        )
