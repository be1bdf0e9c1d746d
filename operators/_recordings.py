"""The lines of a recording, read one by one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

import msgspec

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import StreamDecodeError, TruncatedStreamError
from rxagents.core.recording import ChunkRestorer, RecordedLine

T = TypeVar("T")


def read_lines(
    file: Iterator[bytes], decoder: msgspec.json.Decoder[RecordedLine[T]], path: str
) -> Iterator[RecordedLine[T]]:
    """Yield the lines of `file`, and raise where there is none that could be read.

    Raises:
        StreamDecodeError: A line cannot be read.
        TruncatedStreamError: There is no further line.
    """
    restorer = ChunkRestorer()
    for number, line in enumerate(file, start=1):
        try:
            yield _decoded(line, decoder, restorer)
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise StreamDecodeError(
                f"Line {number} of the recording {path} cannot be read: {error}. Check that it was "
                "written by record, and the type of the items."
            ) from error
    raise TruncatedStreamError(
        f"The recording {path} has no end: the stream was disposed, or the program stopped."
    )


def _decoded(
    line: bytes, decoder: msgspec.json.Decoder[RecordedLine[T]], restorer: ChunkRestorer
) -> RecordedLine[T]:
    recorded = decoder.decode(line)
    if isinstance(recorded.item, StreamChunk):
        restorer.restore(recorded.item)
    elif recorded.item is msgspec.UNSET and not recorded.completed and recorded.error is None:
        raise ValueError("it has neither an item nor an end")
    return recorded
