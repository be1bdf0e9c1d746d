"""One event of a provider's stream: `StreamChunk`, and the tool-call fragments it carries."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field

from rxagents.core.events import ErrorInfo
from rxagents.core.usage import Usage

# Theory of operation
#
# `StreamChunk.content` is all the text so far. A stream of n chunks must not cost n * n characters,
# so a chunk stores no text but its delta: the chunks of one choice share a `TextBuffer`, and each
# chunk stores the length of the text when it arrived. `content` joins the pieces and cuts the text
# at that length.
#
# - One thread appends; any thread may read. `pieces` only grows; compaction puts a new list in its
#   place and never changes the old one, so a reader that holds the old list still sees its text.
# - `_joined` caches the joined text, with the list and the number of pieces that it was joined
#   from. It is one tuple because two threads may be in `upto`: three attributes could be out of
#   step.
# - Compaction saves memory: a piece takes some 60 bytes beside its characters. The limit grows with
#   the text, so that at most 128 characters are copied for each piece appended. Pieces longer than
#   that on average stay as they are: joining them would save nothing and hold the text twice.
# - Tried before: a chunk stored the number of pieces. Then pieces can never be joined.
# - The reference to the buffer is no field of the Struct. A field would be encoded and compared
#   with every chunk. `raw` has a slot of the same kind, which stays empty unless it was asked for;
#   Python's allocator rounds a chunk's 104 bytes up to 112, so the slot takes no more memory.


class TextBuffer:
    """The text of one stream and choice: append pieces, and read any beginning of it.

    Attributes:
        end: The length of the text, in characters.
        pieces: The text, in pieces. Compaction replaces this list; a list taken from here before
            that stays as it was.
    """

    __slots__ = ("_joined", "_limit", "end", "pieces")

    def __init__(self) -> None:
        self.end = 0
        self.pieces: list[str] = []
        self._limit = _FEW_PIECES
        self._joined: tuple[list[str] | None, int, str] = _NOTHING_JOINED

    def append(self, piece: str) -> int:
        """Append to the text; return its new length."""
        self.pieces.append(piece)
        self.end += len(piece)
        if len(self.pieces) > self._limit:
            self._compact()
        return self.end

    def extend(self, pieces: list[str]) -> None:
        """Append pieces to the text."""
        self.pieces += pieces
        self.set_end(self.end + sum(map(len, pieces)))

    def set_end(self, end: int) -> None:
        """Set the length of the text after the caller has appended to `pieces` itself."""
        self.end = end
        if len(self.pieces) > self._limit:
            self._compact()

    def _compact(self) -> None:
        self._limit = _FEW_PIECES + self.end // _CHARACTERS_A_PIECE
        if len(self.pieces) > self._limit:
            self.pieces = ["".join(self.pieces)]

    def upto(self, end: int) -> str:
        """Return the first `end` characters."""
        pieces, count, text = self._joined
        if len(text) < end:
            latest = self.pieces
            if latest is not pieces:
                count, text = 0, ""
            new = latest[count:]
            text += "".join(new)
            self._joined = latest, count + len(new), text
        return text[:end]


_NOTHING_JOINED = (None, 0, "")
_FEW_PIECES = 8
_CHARACTERS_A_PIECE = 128
"""How many characters compaction may copy for each piece appended; copying them takes 10 ns."""


class _HiddenSlots:
    """Stores what is no field of a chunk, in slots before the Struct's fields.

    Such a slot is neither encoded nor compared, and setting it takes constant time.

    Attributes:
        _text: The chunk's buffer, and the length of its text at that time.
        _raw: The bytes of the chunk's event; empty unless the request had `raw=True`.
    """

    __slots__ = ("_raw", "_text")

    _text: tuple[TextBuffer, int]
    _raw: bytes


class ToolCallDelta(Struct, frozen=True, gc=False):
    """A fragment of a tool call.

    Attributes:
        index: The number of the call in its response, from 0, in the order in which calls start.
        id: The call's id; empty on fragments that do not carry it.
        name: The tool's name; only on the fragment that starts the call.
        arguments: The next piece of the arguments' JSON text.
        sealed: The call is complete: no fragment of it follows.
    """

    index: int
    id: str = ""
    name: str = ""
    arguments: str = ""
    sealed: bool = False


class StreamChunk(_HiddenSlots, Struct, frozen=True, gc=False):
    """One event of a provider's stream, the same for all providers.

    Attributes:
        delta: The new text; may be empty.
        index: The chunk's position in the stream, from 0.
        choice: The number of the choice, where several were requested.
        finish_reason: `""` until the choice ends; then `"stop"`, `"length"`, `"tool_calls"`,
            `"content_filter"`, or the provider's own word if it has no unified one.
        reasoning: New thinking text.
        refusal: New text of a refusal.
        tool_calls: Fragments of tool calls.
        usage: Token counts; `None` until known.
        metadata: `model`, `id`, `request_id`, the provider's own `finish_reason`, and other
            fields that the provider sends. Chunks of a stream share one dict while nothing
            changes, so it is read-only. A reset chunk has the reason under `reset`.
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
        """Return a chunk that voids all chunks before it: the stream restarts after `error`."""
        return cls(metadata={"reset": ErrorInfo.of(error)})

    @property
    def has_content(self) -> bool:
        """Whether the chunk carries part of the response: text, a tool call or a finish reason."""
        return bool(
            self.delta or self.reasoning or self.refusal or self.tool_calls or self.finish_reason
        )

    @property
    def content(self) -> str:
        """All the text of this stream and choice, up to and including this chunk.

        Joined when read, and not encoded: in a chunk that was decoded, or copied with
        `msgspec.structs.replace`, it is only the chunk's own `delta`.
        """
        try:
            buffer, end = self._text
        except AttributeError:
            return self.delta
        return buffer.upto(end)

    @property
    def raw(self) -> bytes | None:
        """The data of the event that the chunk comes from, if the request had `raw=True`.

        The JSON as the provider sent it: the `data` lines of a server-sent event, joined with LF,
        or Ollama's line. Chunks of one event have the same bytes. An event without anything for
        another field, such as a kind of event that is not known here, makes an empty chunk, so no
        event's data is lost; only the end marker `[DONE]` makes none.

        `None` without `raw=True`, in chunks of text held back until the end of the stream, and,
        since it is not encoded, in a chunk that was decoded, joined, cut or copied.
        """
        try:
            return self._raw
        except AttributeError:
            return None


class TextBurst(StreamChunk, frozen=True, gc=False):
    """Stands for the chunks of one read that have text and nothing else.

    Only code that asked for it gets one; see `ByRead`. `delta` is all of its text, and `index` the
    position of the first of these chunks.

    Attributes:
        deltas: The text of each of these chunks. None is empty.
    """

    deltas: list[str] = field(default_factory=list)


set_content = _HiddenSlots._text.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001
"""`set_content(chunk, (buffer, end))` sets a frozen chunk's slot through the slot's descriptor.

mypy sees the annotation and not the descriptor that `__slots__` creates.
"""

set_raw = _HiddenSlots._raw.__set__  # type: ignore[attr-defined,misc]  # noqa: SLF001
"""`set_raw(chunk, data)` sets the slot of `raw` in the same way."""


class TextBuffers:
    """Sets the `content` of chunks that no parser created, such as parts of other chunks."""

    __slots__ = ("_buffers",)

    def __init__(self) -> None:
        self._buffers: dict[int, TextBuffer] = {}

    def tie(self, chunk: StreamChunk) -> StreamChunk:
        """Return `chunk`; its `content` is now the text of all chunks of its choice so far."""
        buffer = self._buffers.get(chunk.choice)
        if buffer is None:
            buffer = self._buffers[chunk.choice] = TextBuffer()
        set_content(chunk, (buffer, buffer.append(chunk.delta)))
        return chunk
