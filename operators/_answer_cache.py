"""Keep whole answers in an event log, and make each of them once at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ClassVar, Generic, TypeVar
from weakref import WeakKeyDictionary

import msgspec
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import LogGoneError
from rxagents.core.events import Reset
from rxagents.core.json_text import JSON_ERRORS
from rxagents.operators._replay import Replayed
from rxagents.operators.replay_bounded import replay_bounded
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_store import LogStore, Page, Position
from rxagents.runtime.loop import running_loop
from rxagents.runtime.recording import ChunkRestorer, RecordedLine, decode_line, encode_odd
from rxagents.runtime.reporting import report_harmless

# Theory of operation
#
# An answer is one run of the log with one attempt, and is written when it is complete: its entries
# and its end mark in one call. So the log never holds half an answer, also if the process ends,
# and a failed, disposed or void attempt leaves nothing. What the store drops (`Retention`) is a
# miss: a store gives out no run whose beginning it has dropped.
#
# While an answer is made, later subscribers of the same key join it (`Answers.making`) and get its
# items from the first on. It leaves the table after it was written, so that a subscriber finds it
# in one of the two places.

T = TypeVar("T")

_PAGE = 1_000
_encode = msgspec.json.Encoder().encode


class Answers:
    """The answers of one log that are being made, by their keys and event loops."""

    _by_log: ClassVar[WeakKeyDictionary[EventLog, Answers]] = WeakKeyDictionary()

    def __init__(self) -> None:
        self.making: dict[tuple[asyncio.AbstractEventLoop, str], Making[Any]] = {}

    @classmethod
    def of(cls, log: EventLog) -> Answers:
        """Return those of a log."""
        return cls._by_log.setdefault(log, cls())

    def join(
        self, log: EventLog, key: str, source: Observable[T], most_items: int
    ) -> Observable[T]:
        """Return the answer that is being made for a key, or begin one."""
        place = (running_loop(), key)
        making = self.making.get(place)
        if making is None or making.is_too_long:
            making = self.making[place] = Making(log.store, key, most_items)
            current = making

            def forget() -> None:
                if self.making.get(place) is current:
                    del self.making[place]

            shared = making.kept(source, forget).pipe(replay_bounded(most_items))
            making.stream = shared.pipe(rx_ops.map(_item_of))
        return making.stream


class Making(Generic[T]):
    """An answer that is being made.

    Attributes:
        stream: Its items, from the first on; its subscribers share one subscription.
        is_too_long: Whether its first items are no longer held, so that nobody can join.
    """

    stream: Observable[T]

    def __init__(self, store: LogStore, key: str, most_items: int) -> None:
        self.is_too_long = False
        self._store = store
        self._key = key
        self._most_items = most_items
        self._count = 0
        self._lines: list[RecordedLine[T]] = []

    def kept(self, source: Observable[T], forget: Callable[[], None]) -> Observable[T]:
        """Return the source, which is written to the store before it completes.

        Args:
            source: The stream of the answer.
            forget: Called when the stream is over.
        """

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            now = running_loop().time
            start, emit = now(), observer.on_next
            self._lines.clear()
            self._count, self.is_too_long = 0, False

            def on_next(item: T) -> None:
                self._add(RecordedLine(now() - start, item))
                emit(item)

            def on_error(error: Exception) -> None:
                forget()
                observer.on_error(error)

            def on_completed() -> None:
                def complete() -> None:
                    forget()
                    observer.on_completed()

                self._write(RecordedLine(now() - start, completed=True), complete)

            subscription = source.subscribe(on_next, on_error, on_completed, scheduler=scheduler)
            return CompositeDisposable(subscription, Disposable(forget))

        return Observable(subscribe)

    def _add(self, line: RecordedLine[T]) -> None:
        item = line.item
        self._count += 1
        if isinstance(item, Reset) or (isinstance(item, StreamChunk) and "reset" in item.metadata):
            self._lines.clear()  # what came before is void
        elif self._count <= self._most_items:
            self._lines.append(line)
        else:
            self.is_too_long = True
            self._lines.clear()

    def _write(self, end: RecordedLine[T], then: Callable[[], None]) -> None:
        """Write the answer, and call `then`, also if that fails: the answer itself is whole."""
        lines, self._lines = [*self._lines, end], []
        store, key = self._store, self._key

        def fail(error: Exception) -> None:
            report_harmless(error, "An answer could not be kept by ops.cached")
            then()

        def begin(_: object) -> None:
            call(lambda: store.begin(key), append, fail)

        def append(begun: Any) -> None:
            encoded = [_encoded(line) for line in lines]
            call(
                lambda: store.append(key, begun.token, 1, encoded, ends=True),
                lambda _: then(),
                fail,
            )

        if self.is_too_long:
            then()
        else:
            call(lambda: store.forget(key), begin, fail)


def read_answer(
    store: LogStore,
    key: str,
    decoder: msgspec.json.Decoder[RecordedLine[Any]],
    then: Callable[[list[RecordedLine[Any]] | None], object],
) -> None:
    """Read an answer, and call `then` with its lines; with `None` if the store has none.

    A store that fails is reported and counts as one that has none.
    """
    entries: list[tuple[int, int, bytes]] = []

    def ask(after: Position | None) -> None:
        call(lambda: _page(store, key, after), on_page, fail)

    def on_page(page: Page | None) -> None:
        if page is not None:
            entries.extend(page.entries)
            if page.state == "more":
                ask(Position(*entries[-1][:2]))
                return
        is_whole = page is not None and page.state == "ended" and bool(entries)
        then(_decoded(entries, decoder) if is_whole else None)

    def fail(error: Exception) -> None:
        if not isinstance(error, LogGoneError):
            report_harmless(error, "ops.cached could not read the log, and asks the source")
        then(None)

    ask(None)


def _page(store: LogStore, key: str, after: Position | None) -> Page | Future[Page]:
    return store.read(key, after, _PAGE)


def _decoded(
    entries: list[tuple[int, int, bytes]], decoder: msgspec.json.Decoder[RecordedLine[Any]]
) -> list[RecordedLine[Any]] | None:
    """Return the lines of an answer; `None` if they are no whole answer of this type."""
    restorer = ChunkRestorer()
    try:
        lines = [decode_line(line, decoder, restorer) for *_, line in entries]
    except JSON_ERRORS as error:
        report_harmless(error, "ops.cached cannot read an answer; was its type another?")
        return None
    if not lines[-1].completed:
        return None
    for line in lines:
        if isinstance(line.item, StreamChunk):
            line.item.metadata["cached"] = True
    return lines


def _encoded(line: RecordedLine[Any]) -> bytes:
    try:
        return _encode(line)
    except Exception as error:
        return encode_odd(line, error)


def _item_of(replayed: Replayed[T]) -> T:
    return replayed.item
