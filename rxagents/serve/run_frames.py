"""Read a run of an event log as server-sent events.

Theory of operation. `from_log` and `encode_sse` would make the frame of each event again for each
reader, and hand the frames on one by one. Here the readers at the same position share the frames of
a page, which are joined: another reader costs one write, however many events the page has.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UnsetType
from reactivex import Observable, abc

from rxagents.operators._sse import end_frame, failure_frame
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_entries import decoder_of, lines_of
from rxagents.runtime.event_log.log_reader import LogReader
from rxagents.runtime.event_log.log_store import Page, parse_id
from rxagents.runtime.event_log.run_notifier import SharedPage
from rxagents.runtime.recording import ChunkRestorer, RecordedLine, item_json
from rxagents.runtime.timed_scope import TimedScope, timed

_decoder: Final = decoder_of(msgspec.Raw)
_FRAME: Final = b"id: %d-%d\ndata: %b\n\n"
_END: Final = end_frame("end")


def run_frames(log: EventLog, key: str, after: str | None) -> Observable[bytes]:
    """Read a run from any entry on, and follow it to its end; see `from_log` and `encode_sse`.

    Each item has the frames of all events that the store had for the reader.

    Args:
        log: The event log.
        key: The key of the run.
        after: The id of the last entry that the reader has seen; `None` for none.
    """
    start = None if after is None else parse_id(after)

    def items_of(shared: SharedPage, page: Page) -> Iterator[bytes | RecordedLine[Any]]:
        if shared.encoded is None:
            handed_over = bool(shared.tokens)
            shared.encoded = (_frames(page), ()) if handed_over else _encoded(key, page)
        frames, ends = shared.encoded
        if frames:
            yield frames
        yield from ends

    def subscribe(observer: abc.ObserverBase[bytes], scope: TimedScope) -> None:
        frames = _WithEnd(observer)
        reader = LogReader(
            frames, scope, log.store, log.notifier(key), key, items_of, start, log.on_lost
        )
        reader.start()

    return timed(subscribe)


def _frames(page: Page) -> bytes:
    """Return the frames of a page that a writer has handed over: it has items only."""
    entries = page.entries
    if len(entries) == 1:  # nearly always in a live stream
        return _FRAME % (entries[0][0], entries[0][1], item_json(entries[0][2]))
    return b"".join(_FRAME % (attempt, seq, item_json(line)) for attempt, seq, line in entries)


def _encoded(key: str, page: Page) -> tuple[bytes, list[RecordedLine[Any]]]:
    """Return the frames of a page, joined, and its end marks.

    Raises:
        StreamDecodeError: An entry cannot be read.
    """
    frames: list[bytes] = []
    ends: list[RecordedLine[Any]] = []
    for attempt, seq, line in lines_of(page.entries, key, _decoder, ChunkRestorer()):
        if isinstance(line.item, UnsetType):
            ends.append(line)
        else:
            frames.append(_FRAME % (attempt, seq, line.item))
    return b"".join(frames), ends


class _WithEnd(abc.ObserverBase[bytes]):
    """Sends the frames of a run, and at last those of its end."""

    def __init__(self, observer: abc.ObserverBase[bytes]) -> None:
        self._observer = observer
        self._newest = b""

    def on_next(self, value: bytes) -> None:
        self._newest = value
        self._observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        self._observer.on_next(failure_frame(error, self._newest) + _END)
        self._observer.on_completed()

    def on_completed(self) -> None:
        self._observer.on_next(_END)
        self._observer.on_completed()
