"""What a scripted model answers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, TypeAlias

from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError, ProviderError
from rxagents.core.messages import ToolCall
from rxagents.core.usage import Usage

_WORD = re.compile(r"\s*\S+|\s+\Z")


class Ending(StrEnum):
    """How a server's answer ends."""

    COMPLETE = "complete"
    """As the wire has it, with its end marker."""
    CLOSE = "close"
    """The body ends properly, but nothing says that the answer is whole."""
    RESET = "reset"
    """The connection is aborted in the middle of the body."""
    STALL = "stall"
    """The connection stays open and silent until the client leaves."""


class Reply(Struct, frozen=True):
    """One answer of the model.

    Attributes:
        text: The text; a `str` is cut into words, a sequence is sent piece by piece.
        reasoning: Thinking text that comes first, cut into words.
        refusal: Text of a refusal.
        tool_calls: Calls the model makes after the text; each one's arguments come in pieces.
        finish_reason: By default `"tool_calls"` where there are any, else `"stop"`.
        usage: Token counts, sent last; `None` for none.
        error: An in-stream error, sent in place of the finish.
        delay: Seconds before the first event.
        interval: Seconds between events.
        ending: How the answer ends, over HTTP.
        cut_after: Send only so many events before `ending`; `None` for all.
    """

    text: str | Sequence[str] = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: Sequence[ToolCall] = ()
    finish_reason: str = ""
    usage: Usage | None = None
    error: ProviderError | None = None
    delay: float = 0.0
    interval: float = 0.0
    ending: Ending = Ending.COMPLETE
    cut_after: int | None = None

    def deltas(self) -> list[str]:
        """Return the pieces of the text."""
        return words(self.text) if isinstance(self.text, str) else list(self.text)

    def finish(self) -> str:
        """Return the finish reason."""
        return self.finish_reason or ("tool_calls" if self.tool_calls else "stop")


class StatusReply(Struct, frozen=True):
    """An answer with an HTTP status in place of a stream.

    Attributes:
        status: The status.
        body: Its body; a dict is sent as JSON.
        headers: More headers, such as `{"retry-after": "1"}`.
    """

    status: int
    body: str | bytes | dict[str, Any] = ""
    headers: dict[str, str] = field(default_factory=dict)


class RawReply(Struct, frozen=True):
    """An answer byte by byte.

    Attributes:
        pieces: Written one after the other, each by itself.
        content_type: The header.
        headers: More headers.
        delay: Seconds before the first piece.
        interval: Seconds between pieces.
        ending: How the body ends after the pieces.
    """

    pieces: Sequence[bytes]
    content_type: str = "text/event-stream"
    headers: dict[str, str] = field(default_factory=dict)
    delay: float = 0.0
    interval: float = 0.0
    ending: Ending = Ending.COMPLETE


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
