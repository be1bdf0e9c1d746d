"""What a scripted model answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError, ProviderError
from rxagents.core.messages import ToolCall
from rxagents.core.usage import Usage
from rxagents.testing.delivery import Delivery, Ending, Framing

_WORD = re.compile(r"\s*\S+|\s+\Z")


class Reply(Delivery, frozen=True):
    """One answer of the model. A `Delivery` says how it goes over HTTP.

    Attributes:
        text: The text; a `str` is cut into words, a sequence is sent piece by piece.
        reasoning: Thinking text that comes first, cut into words.
        refusal: Text of a refusal.
        tool_calls: Calls the model makes after the text; each one's arguments come in pieces.
        finish_reason: By default `"tool_calls"` where there are any, else `"stop"`.
        usage: Token counts, sent last; `None` for none.
        error: An in-stream error, sent in place of the finish.
        cut_after: Send only so many events before `ending`; `None` for all.
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
        """Refuse what cannot be had together."""
        super().__post_init__()
        if self.ending is Ending.ENDLESS and self.cut_after == 0:
            raise ConfigurationError("An endless reply repeats its last event: cut it after one.")

    def deltas(self) -> list[str]:
        """Return the pieces of the text."""
        return words(self.text) if isinstance(self.text, str) else list(self.text)

    def finish(self) -> str:
        """Return the finish reason."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


class RawReply(Delivery, frozen=True):
    """An answer byte by byte. A `Delivery` says how it goes over HTTP.

    Attributes:
        pieces: Written one after the other, each by itself.
        content_type: The header.
        headers: More headers.
        status: The status.
    """

    pieces: Sequence[bytes]
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    status: int = 200

    def __post_init__(self) -> None:
        """Refuse what cannot be had together."""
        super().__post_init__()
        _refuse_comments(self)
        if self.ending is Ending.ENDLESS and not (self.pieces and self.pieces[-1]):
            raise ConfigurationError("An endless body repeats its last piece: give it one.")


class StatusReply(Delivery, frozen=True):
    """An answer with an HTTP status in place of a stream.

    A redirect is `StatusReply(307, headers={"location": url})`. A `Delivery` says how it goes
    over HTTP.

    Attributes:
        status: The status.
        body: Its body; a dict is sent as JSON.
        headers: More headers, such as `{"retry-after": "1"}`.
    """

    status: int
    body: str | bytes | dict[str, Any] = ""
    headers: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be had together."""
        super().__post_init__()
        _refuse_comments(self)
        if self.ending is Ending.ENDLESS and not self.body:
            raise ConfigurationError("An endless body repeats what it has: give it a body.")

    def raw(self) -> RawReply:
        """Return the same answer byte by byte."""
        body, kind = self.body, "text/plain"
        if isinstance(body, dict):
            body, kind = msgspec.json.encode(body), "application/json"
        data = body.encode() if isinstance(body, str) else body
        unbounded = self.ending in {Ending.ENDLESS, Ending.BAD_CHUNK}
        framing = self.framing or (Framing.CHUNKED if unbounded else Framing.LENGTH)
        delivery = {**self.delivery(), "framing": framing}
        return RawReply([data], kind, self.headers, self.status, **delivery)


class NoReply(Struct, frozen=True):
    """No answer, not a byte of one.

    A function makes of it what a stale connection does::

        ScriptedServer(lambda request: NoReply() if request.reused else "Hello")

    Attributes:
        ending: What happens instead: `FIN`, `RESET` or `STALL`.
        delay: Seconds before.

    Raises:
        ConfigurationError: The ending needs an answer.
    """

    ending: Ending = Ending.FIN
    delay: float = 0.0

    def __post_init__(self) -> None:
        """Refuse an ending that needs an answer."""
        if self.ending not in {Ending.FIN, Ending.RESET, Ending.STALL}:
            raise ConfigurationError(
                f"The ending {self.ending.value!r} needs an answer: give it to a Reply, or give "
                "NoReply the ending FIN, RESET or STALL."
            )


def gzip_bomb(size: int, block: bytes = b" " * 65536, status: int = 200) -> RawReply:
    """Return an answer that is small on the wire and large once decompressed.

    Args:
        size: The bytes of the body after decompression.
        block: What the body repeats.
        status: The status.
    """
    count, rest = divmod(size, len(block))
    return RawReply([*[block] * count, block[:rest]], status=status, gzip=True)


ReplyLike: TypeAlias = str | Reply


def to_reply(reply: ReplyLike) -> Reply:
    """Read a reply; a `str` is its text.

    Raises:
        ConfigurationError: It is neither.
    """
    if isinstance(reply, str):
        return Reply(reply)
    if isinstance(reply, Reply):
        return reply
    raise ConfigurationError(
        f"A scripted reply must be a str or a Reply, not {type(reply).__name__}."
    )


def words(text: str) -> list[str]:
    """Cut a text before the white space of each word; joined, the pieces are the text."""
    return _WORD.findall(text)


def _refuse_comments(reply: Delivery) -> None:
    if reply.ending is Ending.COMMENTS:
        raise ConfigurationError(
            "Only a Reply knows the comments of its wire: make the comment the last piece of a "
            "RawReply with the ending 'endless'."
        )
