"""One event of a provider's stream: `StreamChunk`, and the tool-call fragments it carries."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rxagents.core.events import ErrorInfo
from rxagents.core.usage import Usage


class TextBuffer:
    """The text of one stream and choice, shared by its chunks and joined only when read.

    A chunk stores how long the text was when it arrived, so that appending costs the same at the
    first and at the millionth chunk. One thread appends; any may read.

    Attributes:
        end: How long the text is, in characters.
        pieces: The text, in pieces. A piece takes some 60 bytes beside its characters, so that
            many are made one, in a new list: a list that was taken from here stays as it was.
    """

    __slots__ = ("_limit", "_read", "end", "pieces")

    def __init__(self) -> None:
        self.end = 0
        self.pieces: list[str] = []
        self._limit = _FEW_PIECES
        self._read = self.pieces, 0, ""

    def append(self, piece: str) -> int:
        """Append to the text; return where it ends now."""
        self.pieces.append(piece)
        self.end += len(piece)
        if len(self.pieces) > self._limit:
            self._compact()
        return self.end

    def settle(self, end: int) -> None:
        """Take note of pieces that were appended by hand: with them the text ends at `end`."""
        self.end = end
        if len(self.pieces) > self._limit:
            self._compact()

    def _compact(self) -> None:
        self._limit = _FEW_PIECES + self.end // _CHARACTERS_A_PIECE
        if len(self.pieces) > self._limit:  # else they are long, and joining would gain nothing
            self.pieces = ["".join(self.pieces)]

    def upto(self, end: int) -> str:
        """Return the first `end` characters."""
        pieces, count, text = self._read
        if len(text) < end:
            latest = self.pieces
            if latest is not pieces:
                count, text = 0, ""
            new = latest[count:]
            text += "".join(new)
            self._read = latest, count + len(new), text  # at once: two threads may be here
        return text[:end]


_FEW_PIECES = 32
_CHARACTERS_A_PIECE = 128
"""How many characters are copied for a piece at most, to keep pieces few: a matter of 10 ns."""


class _LazyContent:
    """Holds a chunk's place in its `TextBuffer`, outside of the Struct's fields.

    A slot before the Struct is neither encoded nor compared, and setting it costs O(1).
    """

    __slots__ = ("_text",)

    _text: tuple[TextBuffer, int]


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A fragment of a tool call.

    Attributes:
        index: Which call of this answer, counted from 0 in the order in which they start.
        id: The call's id; empty on the fragments that do not bring it.
        name: The tool's name; only on the fragment that starts the call.
        arguments: The next piece of the arguments' JSON text.
        sealed: The call is complete: no fragment of it follows.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    sealed: bool = False


class StreamChunk(_LazyContent, Struct, frozen=True, gc=False):
    """One event of a provider's stream, the same for all providers.

    Attributes:
        delta: The new text; may be empty.
        index: The chunk's position in the stream, from 0.
        choice: Which of the answers, where several were asked for.
        finish_reason: `""` until the answer ends; then `"stop"`, `"length"`, `"tool_calls"`,
            `"content_filter"`, or the provider's own word where it has no unified one.
        reasoning: New thinking text.
        refusal: New text of a refusal.
        tool_calls: Fragments of tool calls.
        usage: Token counts; `None` until known.
        metadata: `model`, `id`, `request_id`, the provider's own `finish_reason`, and what
            else it tells. Chunks of a stream share one dict while nothing changes: read only.
            In a chunk that takes back what came before it, `reset` is the reason.
        timestamp: When the bytes arrived, in seconds since the epoch.
    """

    delta: str = ""
    index: int = 0
    choice: int = 0
    finish_reason: str = ""
    reasoning: str = ""
    refusal: str = ""
    tool_calls: tuple[ToolCallDelta, ...] = ()
    usage: Usage | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    timestamp: float = 0.0

    @classmethod
    def reset(cls, error: Exception) -> StreamChunk:
        """Return the chunk that takes back all before it: `error` made the stream start again."""
        return cls(metadata={"reset": ErrorInfo.of(error)})

    @property
    def has_content(self) -> bool:
        """Whether the chunk brings some of the answer, and not only what goes around it."""
        return bool(
            self.delta or self.reasoning or self.refusal or self.tool_calls or self.finish_reason
        )

    @property
    def content(self) -> str:
        """All the text of this stream and choice, up to and with this chunk.

        Joined when read, and not encoded: a chunk that was decoded or copied with
        `msgspec.structs.replace` knows only its own `delta`.
        """
        try:
            buffer, end = self._text
        except AttributeError:
            return self.delta
        return buffer.upto(end)


set_content = _LazyContent._text.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001
"""`set_content(chunk, (buffer, end))` ties a frozen chunk to its text, once, by the slot's
descriptor: mypy sees the annotation, not the descriptor that `__slots__` makes of it."""


class TextBuffers:
    """Ties chunks that were made anew, such as parts of others, to the text before them."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[int, TextBuffer] = {}

    def tie(self, chunk: StreamChunk) -> StreamChunk:
        """Return `chunk`, whose `content` is now the text of all chunks of its choice so far."""
        buffer = self._buffers.get(chunk.choice)
        if buffer is None:
            buffer = self._buffers[chunk.choice] = TextBuffer()
        set_content(chunk, (buffer, buffer.append(chunk.delta)))
        return chunk
