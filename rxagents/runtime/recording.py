"""Define the format of a recorded stream, a line of JSON for each item, and read it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, Literal, TypeAlias, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType, convert
from msgspec.structs import force_setattr

from rxagents.core.chunks import StreamChunk, TextBuffers
from rxagents.core.errors import (
    RunInterruptedError,
    RxAgentsError,
    StorageError,
    StreamCancelledError,
    StreamDecodeError,
    TruncatedStreamError,
)
from rxagents.core.events import ErrorInfo
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.core.printing import printed
from rxagents.core.surrogates import replace_all_surrogates

T = TypeVar("T")

_JSON_DEPTH = 2 * DEFAULT_LIMITS.json_depth
"""Levels of one line. An item may hold what a server nested, and adds levels of its own."""

_ITEM = b',"item":'
"""Stands between the time of a line, a number, and its item."""

Stop: TypeAlias = Literal["", "disposed", "interrupted"]


class RecordedLine(Struct, Generic[T], omit_defaults=True, gc=False):
    """One line of a recording or an event log: an item, or the end.

    Attributes:
        at: Seconds since the subscription.
        item: The item, if the line is not the end.
        completed: Whether the stream completed here.
        error: The error that the stream failed with here.
        stopped: How the stream was stopped here: `"disposed"` by its subscriber, or, in an event
            log, `"interrupted"` by the end of its process.
    """

    at: float
    item: T | UnsetType = UNSET
    completed: bool = False
    error: ErrorInfo | None = None
    stopped: Stop = ""

    @property
    def failure(self) -> RxAgentsError | None:
        """The error that a reader of an end line gets; `None` if the stream completed."""
        if self.error is not None:
            return self.error.exception()
        return _STOPS[self.stopped][0](_STOPS[self.stopped][1]) if self.stopped else None


_STOPS: dict[Stop, tuple[type[RxAgentsError], str]] = {
    "disposed": (StreamCancelledError, "The run was stopped before its end."),
    "interrupted": (
        RunInterruptedError,
        "The run has no end: the process that wrote it ended, or hung for longer than its lease. "
        "Start the run again to get a whole answer.",
    ),
}


class ChunkRestorer:
    """Restores what the JSON of chunks does not hold.

    That is: `content`, the text so far; one metadata dict shared by the chunks while nothing in it
    changes; and the type of a reset's reason.
    """

    __slots__ = ("_index", "_metadata", "_texts")

    def __init__(self) -> None:
        self._index = -1
        self._metadata: dict[str, Any] = {}
        self._texts = TextBuffers()

    def restore(self, chunk: StreamChunk) -> None:
        """Complete the recording's next chunk, in place, before anybody else gets it."""
        if "reset" in chunk.metadata:
            chunk.metadata["reset"] = convert(chunk.metadata["reset"], ErrorInfo)
        if chunk.metadata == self._metadata:
            force_setattr(chunk, "metadata", self._metadata)
        self._metadata = chunk.metadata
        if chunk.index <= self._index:  # another stream, or a retry of the same
            self._texts = TextBuffers()
        self._index = chunk.index
        self._texts.tie(chunk)


def read_lines(
    file: Iterator[bytes], decoder: msgspec.json.Decoder[RecordedLine[T]], path: str
) -> Iterator[RecordedLine[T]]:
    """Yield the lines of `file`, up to the line with the stream's end; the caller stops there.

    Raises:
        StreamDecodeError: A line cannot be read.
        TruncatedStreamError: The file ended before that line.
    """
    restorer = ChunkRestorer()
    for number, line in enumerate(file, start=1):
        try:
            yield decode_line(line, decoder, restorer)
        except JSON_ERRORS as error:
            raise StreamDecodeError(
                f"Line {number} of the recording {path} cannot be read: {error}. Check that record "
                "wrote the file, and that `type` is the type of its items."
            ) from error
    raise TruncatedStreamError(
        f"The recording {path} has no end: the program that recorded the stream stopped before it."
    )


def encode_value(value: object) -> bytes:
    """Return a value as JSON; lone surrogates become question marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(replace_all_surrogates(msgspec.to_builtins(value)))


def encode_odd(line: RecordedLine[Any], error: BaseException) -> bytes:
    """Return a line that msgspec failed to encode: lone surrogates become question marks.

    Args:
        line: The line.
        error: What msgspec raised.

    Raises:
        StorageError: The item cannot be encoded.
        BaseException: `error`, if it is to end the program.
    """
    try:
        if not isinstance(error, UnicodeEncodeError):
            raise error
        return encode_value(line)
    except Exception as failure:
        raise StorageError(
            f"An item of type {type(line.item).__name__} cannot be stored as JSON: "
            f"{printed(failure)}. Map the stream to values that msgspec can encode."
        ) from failure


def item_json(line: bytes) -> bytes:
    """Return the JSON of the item of a line that this process has encoded."""
    return line[line.index(_ITEM) + len(_ITEM) : -1]


def decode_line(
    line: bytes, decoder: msgspec.json.Decoder[RecordedLine[T]], restorer: ChunkRestorer
) -> RecordedLine[T]:
    """Return a line as values.

    Raises:
        MsgspecError, ValueError, RecursionError: The line cannot be read.
    """
    if is_deeper(line, _JSON_DEPTH):
        raise ValueError(f"it is nested more than {_JSON_DEPTH} levels deep")
    recorded = decoder.decode(line)
    if isinstance(recorded.item, StreamChunk):
        restorer.restore(recorded.item)
    elif recorded.item is UNSET and not (recorded.completed or recorded.error or recorded.stopped):
        raise ValueError("it has neither an item nor an end")
    return recorded
