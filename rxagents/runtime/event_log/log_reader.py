"""Read a run of an event log as an Observable."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct
from reactivex import abc
from reactivex.disposable import Disposable

from rxagents.core.errors import StreamDecodeError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.hub import Hub
from rxagents.runtime.event_log.log_store import LEASE_SECONDS, LogStore, Page, Position
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.recording import ChunkRestorer, RecordedLine, decode_line
from rxagents.runtime.timed_scope import TimedScope

# Theory of operation
#
# A reader knows the position of the last entry that it was given, and asks the store for a page
# of those after it. It never gets an entry from a writer: a wake-up only says that there is
# something to read. So old and new entries cannot overlap or leave a gap, there is no queue for
# each reader, and a slow reader costs one page.
#
#     asking    the store works on a page (`_is_asking`)
#     emitting  entries of a page are left, and the gate is open
#     paused    the gate is closed: `when_open` goes on
#     waiting   all entries were emitted, and the run has not ended (`_is_waiting`)
#
# - A wake-up that comes while the reader is asking may be about entries that the page does not have
#   yet: `_is_woken` makes it ask again.
# - Pages and wake-ups start on a turn of the loop of their own. What the writer's source emits in
#   one turn is read together, a long log does not hold the loop, and a reader that writes to the
#   run it reads does not nest.
# - The tick finds entries of other processes, and a writer that is lost: it asks again where no
#   writer of this process would wake the reader, and every 15 s in any case, since the loop of such
#   a writer may have been closed.
# - An end mark ends the stream only if no other attempt follows it.

T = TypeVar("T")

_PAGE = 256


class LogEntry(Struct, Generic[T], frozen=True, gc=False):
    """An item of a run with its id.

    Attributes:
        id: `"attempt-number"`, such as `"1-15"`: ordered, never used twice in a run, and fit to be
            the id of a server-sent event. The attempt changes where a run was started again.
        item: The item.
    """

    id: str
    item: T


class LogReader(Generic[T]):
    """Reads one run for one subscriber, from `start` until its scope ends."""

    def __init__(
        self,
        observer: abc.ObserverBase[LogEntry[T]],
        scope: TimedScope,
        store: LogStore,
        hub: Hub,
        key: str,
        decoder: msgspec.json.Decoder[RecordedLine[T]],
        after: Position | None,
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._store = store
        self._hub = hub
        self._key = key
        self._decode: Callable[[bytes], RecordedLine[T]] = partial(
            decode_line, decoder=decoder, restorer=ChunkRestorer()
        )
        self._position = after
        self._rest: Iterator[tuple[int, int, bytes]] = iter(())
        self._state = "live"
        self._end: RecordedLine[T] | None = None
        self._is_asking = self._is_waiting = self._is_woken = False
        self._check_at = scope.now() + LEASE_SECONDS
        self._turn = scope.timer(self._ask)
        self._tick = scope.timer(self._on_tick)

    def start(self) -> None:
        """Read from the next loop iteration on: never inside `subscribe`."""
        self._hub.readers[self] = None
        self._scope.hold(Disposable(partial(self._hub.readers.pop, self, None)))
        self._turn.start(0)
        self._tick.start(self._store.poll_seconds or LEASE_SECONDS)

    def wake(self) -> None:
        """Read on, on the next loop iteration. Any thread may call it."""
        self._is_woken = True
        if self._is_waiting:
            self._is_waiting = False
            if self._scope.loop is None:
                self._turn.start(0)
            else:
                run_on_loop(self._scope.loop, self._turn.start, 0)

    def _on_tick(self) -> None:
        self._tick.start(self._store.poll_seconds or LEASE_SECONDS)
        if self._is_waiting and (not self._hub.writers or self._scope.now() >= self._check_at):
            self._check_at = self._scope.now() + LEASE_SECONDS
            self._ask()

    def _ask(self) -> None:
        if self._is_asking:
            return
        self._is_asking, self._is_waiting, self._is_woken = True, False, False
        read = partial(self._store.read, self._key, self._position, _PAGE)
        call(read, self._on_page, self._fail)

    def _on_page(self, page: Page) -> None:
        self._is_asking = False
        self._state, self._rest, self._end = page.state, iter(page.entries), None
        if page.entries:
            self._position = Position(*page.entries[-1][:2])
        self._scope.run(self._emit)

    def _on_gate_open(self) -> None:
        self._scope.run(self._emit)

    def _emit(self) -> None:
        """Emit the entries of the page, and go on from there."""
        emit, decode, gate = self._observer.on_next, self._decode, self._scope.gate
        for attempt, seq, line in self._rest:
            try:
                recorded = decode(line)
            except JSON_ERRORS as error:
                self._fail(_unreadable(self._key, Position(attempt, seq), error))
                return
            if recorded.item is UNSET:
                self._end = recorded
                continue
            emit(LogEntry(f"{attempt}-{seq}", recorded.item))
            if gate.closed:
                gate.when_open(self._on_gate_open)
                return
        self._go_on()

    def _go_on(self) -> None:
        match self._state:
            case "ended":
                failure = None if self._end is None else self._end.failure
                if failure is None:
                    self._observer.on_completed()
                else:
                    self._observer.on_error(failure)
            case "more":
                self._turn.start(0)
            case "lost":
                interrupt = partial(self._store.interrupt, self._key)
                call(interrupt, self._on_interrupted, self._fail)
            case "live":
                self._is_waiting = True  # before the look: a writer may be on another thread
                if self._is_woken:
                    self._is_waiting = False
                    self._turn.start(0)

    def _on_interrupted(self, _: list[str]) -> None:
        self._hub.wake()  # the other readers
        self._scope.run(partial(self._turn.start, 0))

    def _fail(self, error: Exception) -> None:
        self._is_asking = False
        self._scope.run(partial(self._observer.on_error, error))


def _unreadable(key: str, position: Position, error: Exception) -> StreamDecodeError:
    failure = StreamDecodeError(
        f"The entry {position} of the run {key!r} cannot be read: {error}. Check that `type` is "
        "the type of the run's items."
    )
    failure.__cause__ = error
    return failure


def decoder_of(item_type: Any) -> msgspec.json.Decoder[RecordedLine[Any]]:
    """Return the decoder of lines with items of a type.

    Raises:
        Exception: msgspec and typing raise many kinds for what is no type.
    """
    return msgspec.json.Decoder(RecordedLine[item_type])
