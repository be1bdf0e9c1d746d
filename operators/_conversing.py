"""Run an agent for each message of a stream, and decide what happens to messages that come early.

Theory of operation. One `Conversing` is the state of one subscription:

    _inbox        messages that came while the subscriber was being called
    _waiting      messages that wait for a run
    _run          the run that goes on; `None` between two runs
    _is_starting  whether `_start` is due: in a turn of the loop, or when the gate opens

A message goes from `_inbox` through the policy into `_waiting`; `_start` takes what waits into a
run. The policies differ only in `_take` and in how many messages one run gets. `Steering`
(`_steering.py`) is the policy "steer", which needs a handle on the run too.

What must stay:

- The subscriber is never called inside its own callback. A callback that pushes a message only
  fills `_inbox`, which is emptied after the callback has returned.
- A run never starts in the callback of the run before it, or 10,000 synchronous runs would nest.
- A disposed run closes its socket within two turns of the loop: in the first its task is cancelled,
  in the second the transport closes. The next run starts in a turn of its own (`_start_timer`) and
  its request is sent by a new task, so the server sees the close before the next request.
- A run starts only while the gate is open: a slow reader gets no events of a next run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, TypeAlias

from msgspec import Struct
from reactivex import Observable, abc

from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.core.events import ErrorEvent, ErrorInfo, MessageOutcome, Outcome, StreamEvent
from rxagents.core.message_input import to_messages
from rxagents.core.protocols import Messages
from rxagents.runtime.timed_scope import TimedScope

Policy: TypeAlias = Literal["queue", "supersede", "merge", "steer", "ignore"]


class Entry(Struct, frozen=True):
    """A message, its number in the stream, and its text."""

    message: Messages
    number: int
    text: str


class ConversingRun:
    """The run that goes on, and the messages that it answers."""

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries
        self.subscription: abc.DisposableBase | None = None
        self.has_failed = False


class Conversing:
    """Runs an agent for the messages of one subscription.

    Args:
        observer: Gets the events of the runs and the outcomes of the messages.
        scope: The scope of the subscription.
        make_run: Returns the events of a run for a task.
        policy: What happens to a message that comes while a run goes on.
        quiet: Seconds without a message that end a burst.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[StreamEvent],
        scope: TimedScope,
        make_run: Callable[[Messages], Observable[StreamEvent]],
        policy: Policy,
        quiet: float,
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._make_run = make_run
        self._policy = policy
        self._quiet = quiet
        self._inbox: deque[Messages] = deque()
        self._waiting: deque[Entry] = deque()
        self._run: ConversingRun | None = None
        self._count = 0
        self._is_starting = self._is_emitting = self._has_completed = False
        self._start_timer = scope.timer(self._start)
        self._quiet_timer = scope.timer(self._advance)

    def on_next(self, message: Messages) -> None:
        """Take a message, unless the subscriber is being called: then take it afterwards."""
        self._inbox.append(message)
        self._drain()

    def on_completed(self) -> None:
        """Complete when the last run has ended."""
        self._has_completed = True
        self._quiet_timer.stop()
        self._drain()

    def _drain(self) -> None:
        if self._is_emitting:
            return
        while self._inbox:
            message = self._inbox.popleft()
            try:
                texts = [part.text for part in to_messages(message)]
            except ConfigurationError as error:
                self._observer.on_error(error)
                return
            self._take(Entry(message, self._count, "\n".join(texts)))
        self._advance()

    def _take(self, entry: Entry) -> None:
        """Apply the policy to a message."""
        self._count += 1
        is_busy = self._run is not None or len(self._waiting) > 0
        if self._policy == "ignore" and is_busy:
            self._report(entry, "ignored")
            return
        if self._policy == "supersede" and is_busy:
            self._supersede()
        self._waiting.append(entry)
        if self._policy == "merge" and not self._has_completed:
            self._quiet_timer.start(self._quiet)
        # A message that waits for no run but the one that is about to start is not in the queue.
        position = len(self._waiting) - (self._run is None)
        if (self._policy == "queue" and is_busy) or (self._policy == "merge" and self._run):
            self._report(entry, "queued", position)

    def _supersede(self) -> None:
        run, self._run = self._run, None
        old = [*(run.entries if run is not None else ()), *self._waiting]
        self._waiting.clear()
        if run is not None and run.subscription is not None:
            run.subscription.dispose()
        for entry in old:
            self._report(entry, "superseded")

    def _report(self, entry: Entry, outcome: Outcome, position: int = 0) -> None:
        self._emit(MessageOutcome(entry.text, outcome, entry.number, position))

    def _emit(self, event: StreamEvent) -> None:
        if not self._scope.is_disposed:
            self._is_emitting = True
            self._observer.on_next(event)
            self._is_emitting = False

    def _advance(self) -> None:
        """Start the next run, or complete, if it is time for it."""
        if self._run is not None or self._is_starting or self._quiet_timer.is_pending:
            return
        if self._waiting:
            self._is_starting = True
            self._start_timer.start(0)
        elif self._has_completed and not self._inbox:
            self._observer.on_completed()

    def _start(self) -> None:
        """Start a run for what waits, when the gate is open."""
        if self._scope.gate.closed:
            self._scope.gate.when_open(lambda: self._scope.run(self._start))
            return
        self._is_starting = False
        count = len(self._waiting) if self._policy in ("merge", "steer") else 1
        run = self._run = ConversingRun([self._waiting.popleft() for _ in range(count)])
        for entry in run.entries:
            self._report(entry, "delivered")
        if not self._scope.is_disposed:
            self._subscribe(run)
        self._drain()

    def _listener(self, run: ConversingRun) -> Callable[[StreamEvent], None]:
        """Return what takes the events of a run."""

        def on_next(event: StreamEvent) -> None:
            if run is not self._run:
                return  # superseded inside of its `subscribe`
            if isinstance(event, ErrorEvent):
                run.has_failed = True
            self._is_emitting = True
            self._observer.on_next(event)
            self._is_emitting = False
            if self._inbox or run is not self._run:
                self._drain()

        return on_next

    def _on_run_end(self) -> None:
        """Note that the run has ended."""
        self._run = None

    def _subscribe(self, run: ConversingRun) -> None:
        def on_error(error: Exception) -> None:
            if isinstance(error, StreamCancelledError):
                self._observer.on_error(error)
            elif run is self._run:
                if not run.has_failed:
                    self._emit(ErrorEvent(ErrorInfo.of(error)))
                on_completed()

        def on_completed() -> None:
            if run is self._run:
                self._on_run_end()
                self._drain()

        try:
            events = self._make_run(_joined([entry.message for entry in run.entries]))
            if not isinstance(events, Observable):
                raise ConfigurationError(
                    f"The agent's run_stream must return an Observable, not "
                    f"{type(events).__name__}. rxagents.from_aiter makes one of an async iterator."
                )
        except Exception as error:
            on_error(error)
            return
        run.subscription = self._scope.subscribe(
            events, self._listener(run), on_error, on_completed
        )
        if run is not self._run:
            run.subscription.dispose()


def _joined(messages: Sequence[Messages]) -> Messages:
    """Join a burst: texts to one text, other messages to one sequence."""
    if len(messages) == 1:
        return messages[0]
    texts = [message for message in messages if isinstance(message, str)]
    if len(texts) == len(messages):
        return "\n".join(texts)
    return [part for message in messages for part in to_messages(message)]
