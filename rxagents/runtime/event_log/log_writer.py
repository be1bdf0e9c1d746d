"""Write one attempt of a run to the store of an event log.

Theory of operation:

Goal: what readers see is what was written, in order and without a gap, and each attempt ends with
exactly one end mark, whatever ends the stream. A writer is in one of these states:

    "new"        `begin` was not called yet, or its answer has not come
    "open"       the store has given it an attempt and a lease: items are added
    "ending"     the end mark is the last line in `_pending`, or is being written
    "closed"     the end mark is in the store, or the writer has lost the run, or the store failed

- An item is encoded once, when it comes, since its objects may change later. The bytes go through
  the store to all readers.
- There is no queue between tasks and no timer for each item. The first item of a burst
  (`Gate.after_burst`) is written at once, and the rest at its end: a burst is two calls. With a
  store that answers later, the lines that come until its answer are the next batch: the slower the
  disk, the larger the batch. Only checkpoints and the end of a disposed stream are handed over
  while a write is on its way. A store keeps the order of its calls, and refuses lines after those
  that it failed to write.
- Readers get lines after the store has answered. A reader that saw an item which a crash then
  undid could not go on from it. A store that answers at once (memory) is not asked again: at the
  end of the burst the writer hands its lines to the readers that wait for them (`Handover`).
- The end waits for its mark: `on_completed` and `on_error` come after it is stored.
- Nothing awaits a write, so that neither `dispose` nor the end of the loop can undo it. The mark of
  a disposed stream is handed to the store inside `dispose`.
- A store refuses the writer of an older attempt (`LeaseError`). That writer's stream fails:
  another process has the run, and the provider's tokens would be paid twice. An append renews the
  lease; the timer does it only for a stream that is silent.
- All state changes happen on the loop's thread; `dispose` goes there from any other.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

import msgspec

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import LeaseError, StorageError
from rxagents.core.events import ErrorInfo, Token
from rxagents.runtime.checkpoints import CheckpointSink
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.closed_signal import ClosedSignal
from rxagents.runtime.event_log.handover import Handover
from rxagents.runtime.event_log.lease import Lease
from rxagents.runtime.event_log.log_store import Begun, Position, checked_key, too_slow
from rxagents.runtime.event_log.resets import reset_after
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.recording import RecordedLine, encode_odd, encode_value
from rxagents.runtime.reporting import as_exception, report_harmless
from rxagents.runtime.timed_scope import TimedScope

if TYPE_CHECKING:
    from rxagents.runtime.event_log.event_log import EventLog

T = TypeVar("T")

_HIGH = 1_000  # lines that wait before a run that the log itself has started is slowed down
_MOST = 100_000  # lines that may wait where nothing slows the source down

_encode = msgspec.json.Encoder().encode


class LogWriter(Generic[T]):
    """Writes the items of one subscription, and its end mark.

    Args:
        log: The event log.
        key: The key of the run.
        scope: The subscription.
        fail: Called on the loop, at most once, with what keeps the writer from writing on.
        slows_source: Whether to close the gate of the scope while the store is behind.

    Attributes:
        attempt: The number of the attempt; 0 before it has begun.
        failure: What kept the writer from writing on.
        checkpoints: Takes the checkpoints of the agent's run whose events these are.
        closed: Set once nothing more will be written.
        state: See above.
    """

    def __init__(
        self,
        log: EventLog,
        key: str,
        scope: TimedScope,
        fail: Callable[[Exception], None],
        *,
        slows_source: bool = False,
    ) -> None:
        self.attempt = 0
        self.failure: Exception | None = None
        self.state: Literal["new", "open", "ending", "closed"] = "new"
        self._log = log
        self._store = log.store
        self._key = checked_key(key)
        self._notifier = log.notifier(key)
        self._handover = Handover(self._notifier)
        self._scope = scope
        self._now = scope.now
        self._start = 0.0
        self._fail = fail
        self._gate = scope.gate if slows_source else None
        self._lease = Lease(scope, self._renew, self._close)
        self._previous: bytes | None = None
        self._token = ""
        self._next = 1  # the number of the next entry
        self._pending: list[bytes] = []
        self._tokens: list[object] = []  # the items of `_pending`, where they are
        self._writes, self._is_in_burst = 0, False  # writes without an answer yet
        self.checkpoints = CheckpointSink(self._save)
        self.closed = ClosedSignal()
        self._on_end: Callable[[], None] = _do_nothing

    def begin(self, then: Callable[[], None]) -> None:
        """Begin an attempt, and call `then` when the items may come."""
        self._start = self._now()
        self._log.writers.add(self)
        call(partial(self._store.begin, self._key), partial(self._on_begun, then), self._close)

    def _on_begun(self, then: Callable[[], None], begun: Begun) -> None:
        self.attempt, self._previous, self._token = begun
        self._notifier.writers += 1
        is_disposed, self.state = self.state == "closed", "open"
        if is_disposed:  # while the store worked
            self._dispose()
            return
        self._lease.start()
        then()

    def append(self, item: T) -> None:
        """Write an item."""
        if self._previous is not None:
            previous, self._previous = self._previous, None
            if reset := reset_after(previous, item, self.checkpoints.reset_scope):
                self.append(reset)
        if self.state != "open":
            return
        line = RecordedLine(self._now() - self._start, item)
        token = item if type(item) is Token else None  # see `SharedPage.tokens`
        try:
            encoded = _encode(line)
        except BaseException as error:
            token = None  # the line has another text
            try:
                encoded = encode_odd(line, error)
            except StorageError as failure:
                self.end(self.end_of(failure), partial(self._fail, failure), self._fail)
                return
        self._pending.append(encoded)
        self._tokens.append(token)
        if self._writes:
            if len(self._pending) > _HIGH:
                self._slow_down()
        elif not self._is_in_burst or len(self._pending) > _HIGH:
            if not self._is_in_burst and self._scope.loop is not None:
                self._is_in_burst = True
                self._scope.gate.after_burst(self._scope.loop, self._end_burst)
            self._write()

    def _end_burst(self) -> None:
        if self._pending and not self._writes:
            self._write()
        self._is_in_burst = False
        if self._handover.lines and self._scope.loop is not None:
            self._handover.deliver(self._scope.loop)

    def _save(self, checkpoint: Checkpoint, then: Callable[[], None]) -> None:
        """Write a checkpoint, after the items before it; call `then` when it is stored."""
        if self.state != "open":
            return
        try:
            data = encode_value(checkpoint)
        except Exception as error:  # of `provider_data` or `raw`, which may be the user's
            if self.checkpoints.is_durable:
                self.end(self.end_of(error), partial(self._fail, error), self._fail)
            else:
                report_harmless(error, f"A checkpoint of the run {self._key!r} cannot be encoded")
            return
        if self._pending:
            self._write()
        try:
            written = self._store.save(self._key, self._token, data)
        except Exception as error:
            self._close(as_exception(error))
        else:
            self._await(written)
            call(lambda: written, lambda _: then(), _do_nothing)

    def end(
        self,
        line: RecordedLine[Any],
        then: Callable[[], None],
        fail: Callable[[Exception], None],
    ) -> None:
        """Write the end mark; call `then` when it is stored, or `fail` with what prevented it."""
        if self.state != "open":
            return
        self.state, self._on_end, self._fail = "ending", then, fail
        self._lease.stop()
        self._pending.append(_encode(line))
        self._tokens.append(None)
        if not self._writes:
            self._write()

    def end_of(self, error: Exception | None) -> RecordedLine[Any]:
        """Return the mark of a stream that failed, or completed."""
        info = None if error is None else ErrorInfo.of(error)
        return RecordedLine(self._now() - self._start, completed=info is None, error=info)

    def dispose(self) -> None:
        """Write the mark `disposed` unless the stream has ended. Any thread may call it."""
        loop = self._scope.loop
        if loop is None or loop.is_closed():
            self._dispose()
        else:
            run_on_loop(loop, self._dispose)

    def _dispose(self) -> None:
        if self.state == "new":
            self.state = "closed"  # `_on_begun` writes the mark
        line = RecordedLine[None](self._now() - self._start, stopped="disposed")
        self.end(line, _do_nothing, self._report)
        if self._pending:
            self._write()  # the loop may close before the write that is on its way is answered

    def _report(self, error: Exception) -> None:
        if not isinstance(error, LeaseError):  # then the other writer's end counts
            report_harmless(error, f"The end of the run {self._key!r} could not be stored")

    def _renew(self) -> Future[None] | None:
        return self._store.renew(self._key, self._token)

    def _write(self) -> None:
        """Hand all lines that wait to the store."""
        lines, self._pending = self._pending, []
        tokens, self._tokens = self._tokens, []
        first, ends = self._next, self.state == "ending"
        self._next += len(lines)
        try:
            written = self._store.append(self._key, self._token, first, lines, ends=ends)
        except Exception as error:
            self._close(as_exception(error))
        else:
            if written is None and self._is_in_burst and not ends:
                self._handover.add(Position(self.attempt, first - 1), lines, tokens)
            self._await(written)

    def _await(self, written: Future[None] | None) -> None:
        self._lease.is_renewed = True
        if isinstance(written, Future):
            self._writes += 1
            call(lambda: written, self._on_written, self._close)
        elif self.state == "ending" or (self._notifier.readers and not self._is_in_burst):
            self._on_written(None)  # else `_end_burst` hands the lines over

    def _on_written(self, _: None) -> None:
        self._writes = max(0, self._writes - 1)
        self._handover.clear()
        self._notifier.wake()
        if self._writes:
            return
        if self._pending:
            self._write()
        elif self.state == "ending":
            self._close()
        if self._gate is not None and self._gate.closed and not self._writes:
            self._gate.open()

    def _slow_down(self) -> None:
        if self._gate is not None:
            self._gate.close()
        if len(self._pending) > _MOST:
            self._close(too_slow(self._key, _MOST))

    def _close(self, failure: Exception | None = None) -> None:
        if self not in self._log.writers:
            return
        if self.attempt:
            self._notifier.writers -= 1
        self.state, self.failure = "closed", failure
        self._lease.stop()
        self.checkpoints.close()
        self._pending.clear()
        self._log.writers.discard(self)
        self._notifier.wake()
        on_end, fail = self._on_end, self._fail
        self._on_end = self._fail = _do_nothing
        if failure is None:
            on_end()
        else:
            fail(failure)
        self.closed.set()


def _do_nothing(*_: object) -> None: ...
