"""Read a run of an event log as an Observable."""

from __future__ import annotations

from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import Any, Final, Generic, TypeVar

from reactivex import abc
from reactivex.disposable import Disposable

from rxagents.core.errors import StreamDecodeError
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.log_entries import Items
from rxagents.runtime.event_log.log_store import LEASE_SECONDS, LogStore, Page, Position
from rxagents.runtime.event_log.run_notifier import PAGE, RunNotifier, SharedPage
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.recording import RecordedLine
from rxagents.runtime.timed_scope import TimedScope

# Theory of operation
#
# A reader knows the position of the last entry that it was given, and asks the store for a page
# of those after it: a wake-up only says that there is something to read. So old and new entries
# cannot overlap or leave a gap, there is no queue for each reader, and a slow reader costs one
# page. A writer of the same loop may hand over a page that it has just stored (`take`). Only a
# reader that waits at the position before that page takes it: the store would give it the same.
#
#     asking    the store works on a page (`_is_asking`)
#     emitting  items of a page are left, and the gate is open
#     paused    the gate is closed: `when_open` goes on
#     waiting   all entries were emitted, and the run has not ended (`_is_waiting`)
#
# - A wake-up that comes while the reader is asking may be about entries that the page does not have
#   yet: the notifier has another version then, and the reader asks again.
# - Readers at the same position get one page, which the store reads once. It holds for the version
#   of the notifier at which it was read. The first page and that of the tick are not shared:
#   entries of other processes, and the loss of a lease, do not change the version.
# - Pages and wake-ups start on a turn of the loop of their own. What the writer's source emits in
#   one turn is read together, a long log does not hold the loop, and a reader that writes to the
#   run it reads does not nest. `take` is called after the source has emitted.
# - The tick finds entries of other processes, and a writer that is lost: it asks again where no
#   writer of this process would wake the reader, and every 15 s in any case, since the loop of such
#   a writer may have been closed.
# - An end mark ends the stream only if no other attempt follows it.

T = TypeVar("T")


_NO_MORE: Final = RecordedLine[Any](0.0)


class LogReader(Generic[T]):
    """Reads one run for one subscriber, from `start` until its scope ends.

    Args:
        observer: The subscriber.
        scope: Its subscription.
        store: Has the entries.
        notifier: Connects the reader to the writers of the run.
        key: The key of the run.
        items_of: Makes the items of a page.
        after: The position before the first entry.
        on_lost: Called with the key if the run is lost; without it the reader marks the run.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        scope: TimedScope,
        store: LogStore,
        notifier: RunNotifier,
        key: str,
        items_of: Items[T],
        after: Position | None,
        on_lost: Callable[[str], object] | None,
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._store = store
        self._notifier = notifier
        self._key = key
        self._items_of = items_of
        self._position = after
        self._on_lost = on_lost
        self._shared: SharedPage | None = None
        self._rest: Iterator[T | RecordedLine[Any]] = iter(())
        self._state = "live"
        self._end: RecordedLine[Any] | None = None
        self._is_asking = self._is_waiting = False
        self._version: object = None  # of the notifier, when the page was asked for
        self._check_at = scope.now() + LEASE_SECONDS
        self._turn = scope.timer(self._ask)
        self._tick = scope.timer(self._on_tick)

    def start(self) -> None:
        """Read from the next loop iteration on: never inside `subscribe`."""
        self._notifier.readers[self] = None
        self._scope.hold(Disposable(partial(self._notifier.readers.pop, self, None)))
        self._turn.start(0)
        self._tick.start(self._store.poll_seconds or LEASE_SECONDS)

    def wake(self) -> None:
        """Read on, on the next loop iteration. Any thread may call it."""
        if self._is_waiting:
            self._is_waiting = False
            if self._scope.loop is None:
                self._ask_next_turn()
            else:
                run_on_loop(self._scope.loop, self._ask_next_turn)

    def take(self, shared: SharedPage, loop: AbstractEventLoop) -> None:
        """Emit a page that a writer on `loop` has just stored, or read on if it is not the next."""
        if self._is_waiting and self._scope.loop is loop and shared.after == self._position:
            self._is_waiting = False
            self._shared, self._version = shared, shared.version
            assert isinstance(shared.page, Page), "a writer hands no futures over"
            self._on_page(shared.page)
        else:
            self.wake()

    def _ask_next_turn(self) -> None:
        loop = self._scope.loop
        if loop is None:
            self._turn.start(0)
        else:
            loop.call_soon(self._scope.run, self._ask_shared)  # a timer costs four times as much

    def _on_tick(self) -> None:
        self._tick.start(self._store.poll_seconds or LEASE_SECONDS)
        if self._is_waiting and (not self._notifier.writers or self._scope.now() >= self._check_at):
            self._check_at = self._scope.now() + LEASE_SECONDS
            self._ask()

    def _ask_shared(self) -> None:
        """Take the page of another reader, if there is one, or ask the store."""
        shared = self._notifier.page
        if (
            shared is None
            or shared.version is not self._notifier.version
            or shared.after != self._position
        ):
            self._ask()
        elif not self._is_asking:
            self._is_asking, self._is_waiting, self._version = True, False, shared.version
            self._shared = shared
            page = shared.page
            if isinstance(page, Future):
                call(lambda: page, self._on_page, self._fail)
            else:
                self._on_page(page)

    def _ask(self) -> None:
        if self._is_asking:
            return
        self._is_asking, self._is_waiting = True, False
        self._version = self._notifier.version  # before the read: see `RunNotifier.version`
        call(self._read, self._on_page, self._fail)

    def _read(self) -> Page | Future[Page]:
        page = self._store.read(self._key, self._position, PAGE)
        self._shared = self._notifier.page = SharedPage(self._version, self._position, page)
        return page

    def _on_page(self, page: Page) -> None:
        assert self._shared is not None, "it has the page"
        self._is_asking = False
        self._state, self._rest = page.state, self._items_of(self._shared, page)
        if page.entries:  # else the end mark was in the page before
            self._end = None
            attempt, seq, _ = page.entries[-1]
            self._position = Position(attempt, seq)
        self._scope.run(self._emit)

    def _on_gate_open(self) -> None:
        self._scope.run(self._emit)

    def _emit(self) -> None:
        """Emit the items of the page, and go on from there."""
        emit, rest, gate = self._observer.on_next, self._rest, self._scope.gate
        while True:
            try:
                item = next(rest, _NO_MORE)
            except StreamDecodeError as error:
                self._fail(error)
                return
            if item is _NO_MORE:
                break
            if isinstance(item, RecordedLine):
                self._end = item
                continue
            emit(item)
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
                self._ask_next_turn()
            case "lost" if self._on_lost is not None:
                self._is_waiting = True  # for the next attempt, or for the mark
                self._on_lost(self._key)
            case "lost":
                interrupt = partial(self._store.interrupt, self._key)
                call(interrupt, self._on_interrupted, self._fail)
            case "live":
                self._is_waiting = True  # before the look: a writer may be on another thread
                if self._version is not self._notifier.version:
                    self._is_waiting = False
                    self._ask_next_turn()

    def _on_interrupted(self, _: list[str]) -> None:
        self._notifier.wake()  # the other readers
        self._scope.run(self._ask_next_turn)

    def _fail(self, error: Exception) -> None:
        self._is_asking = False
        self._scope.run(partial(self._observer.on_error, error))
