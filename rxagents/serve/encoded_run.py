"""Read a run of an event log as the frames of a protocol.

Theory of operation. `from_log` and an encoder as operators would hand on the events one by one,
each through five observers, and the sender would wait for the last one of a loop turn. Here an item
has the frames of all events that the store had, or that the writer has handed over: the sender
writes it at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from reactivex import Observable, abc

from rxagents.core.errors import StreamDecodeError
from rxagents.core.events import ErrorEvent, ErrorInfo, StreamEvent
from rxagents.operators._encoding import EventEncoder
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_entries import decoded_entries, decoder_of
from rxagents.runtime.event_log.log_reader import LogReader
from rxagents.runtime.event_log.log_store import Page
from rxagents.runtime.event_log.run_notifier import SharedPage
from rxagents.runtime.recording import RecordedLine
from rxagents.runtime.timed_scope import TimedScope, timed

_decoder: Final = decoder_of(StreamEvent)


def encoded_run(
    log: EventLog, key: str, encoder: EventEncoder, after: int | None = None
) -> Observable[bytes]:
    """Read a run from its start and encode it; a failure is encoded too, and ends the stream.

    Args:
        log: The event log.
        key: The key of the run.
        encoder: Encodes the events; it serves one subscription.
        after: How many events of the protocol to leave out, where they get their numbers from 1 on
            as ids; `None` for all of them, without ids.
    """

    def subscribe(observer: abc.ObserverBase[bytes], scope: TimedScope) -> None:
        frames = _Frames(observer, key, encoder, after)
        notifier, items_of = log.notifier(key), frames.items_of
        LogReader(frames, scope, log.store, notifier, key, items_of, None, log.on_lost).start()

    return timed(subscribe)


class _Frames(abc.ObserverBase[bytes]):
    """Encodes the pages of a run, and its end."""

    def __init__(
        self, observer: abc.ObserverBase[bytes], key: str, encoder: EventEncoder, after: int | None
    ) -> None:
        self._observer = observer
        self._encoder = encoder
        self._entries = decoded_entries(key, _decoder, has_events=True)
        self._after = after
        self._count = 0
        self._has_failed = False

    def items_of(self, shared: SharedPage, page: Page) -> Iterator[bytes | RecordedLine[Any]]:
        """Yield the frames of a page, joined, and its end marks.

        Raises:
            StreamDecodeError: An entry cannot be read.
        """
        encode, frames = self._encoder.event, []
        ends: list[RecordedLine[Any]] = []
        failure: StreamDecodeError | None = None
        try:
            for _, _, item in self._entries(shared, page):
                if isinstance(item, RecordedLine):
                    ends.append(item)
                    continue
                if isinstance(item, ErrorEvent) and not item.path:
                    self._has_failed = True
                frames.append(encode(item))
        except StreamDecodeError as error:
            failure = error
        if joined := self._numbered(b"".join(frames)):
            yield joined
        yield from ends
        if failure is not None:
            raise failure

    def _numbered(self, frames: bytes) -> bytes:
        after = self._after
        if after is None or not frames:
            return frames
        if frames.count(b"\n\n") == 1 and self._count >= after:  # nearly always in a live stream
            self._count += 1
            return b"id: %d\n%b" % (self._count, frames)
        kept = []
        for frame in frames.split(b"\n\n")[:-1]:
            self._count += 1
            if self._count > after:
                kept.append(b"id: %d\n%b\n\n" % (self._count, frame))
        return b"".join(kept)

    def on_next(self, value: bytes) -> None:
        self._observer.on_next(value)

    def on_error(self, error: Exception) -> None:
        failed = ErrorEvent(ErrorInfo.of(error))
        self._end(b"" if self._has_failed else self._encoder.event(failed))

    def on_completed(self) -> None:
        self._end(b"")

    def _end(self, frames: bytes) -> None:
        if last := self._numbered(frames + self._encoder.end()):
            self._observer.on_next(last)
        self._observer.on_completed()
