"""Steer the run of an agent with the messages that come while it goes on.

Theory of operation. A message that comes during a run is given to the run, and waits in `_steered`
until a turn of the run has it: then it is among the run's `messages`. These change between two
turns, so `_report_seen` looks when a turn starts, and at the end of the run. A message that no turn
has by then, such as after a failure, goes to the front of `_waiting` and so into the next run. No
message is lost, and none is in two runs.

Each message is given as new objects: they are found among `messages` by identity, and a caller may
send one object twice.

The run goes on when its events have no subscriber. So dispose stops it, and does not only leave it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from typing import Protocol

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent, TurnStart
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message
from rxagents.core.protocols import Messages
from rxagents.operators._conversing import Conversing, ConversingRun, Entry
from rxagents.runtime.timed_scope import TimedScope


class SteerableRun(Protocol):
    """A run that goes on by itself, as `AgentRun` does."""

    @property
    def events(self) -> Observable[StreamEvent]:
        """The events of the run, from its start."""
        ...

    @property
    def messages(self) -> Sequence[Message]:
        """The conversation so far, with the objects that `steer` got and a turn has seen."""
        ...

    def steer(self, text: Messages, /) -> bool:
        """Give a message to the next turn; return `False` if there is none."""
        ...

    def stop(self) -> object:
        """End the run. Any thread may call it, also after the end; it never raises."""
        ...


class SteerableAgent(Protocol):
    """An agent that starts runs; with `conversation_id`, one with conversations."""

    @property
    def start(self) -> Callable[..., SteerableRun]:
        """Called with the task and, if there is one, the id of the conversation."""
        ...


class Steering(Conversing):
    """Runs an agent for the messages of one subscription, and steers the run that goes on.

    Args:
        observer: Gets the events of the runs and the outcomes of the messages.
        scope: The scope of the subscription.
        start: Starts a run for a task.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[StreamEvent],
        scope: TimedScope,
        start: Callable[[Messages], SteerableRun],
    ) -> None:
        super().__init__(observer, scope, self._started, "steer", 0)
        self._start_run = start
        self._handle: SteerableRun | None = None
        self._steered: deque[tuple[Entry, tuple[Message, ...]]] = deque()
        scope.hold(Disposable(self._stop))

    def _started(self, task: Messages) -> Observable[StreamEvent]:
        handle = self._start_run(task)
        missing = [name for name in _FACE if not hasattr(handle, name)]
        if missing:
            raise ConfigurationError(
                f"The agent's start must return a run with {', '.join(_FACE)}; "
                f"{type(handle).__name__} has no {' and no '.join(missing)}."
            )
        self._handle = handle
        if self._scope.is_disposed:  # by another thread, meanwhile
            self._stop()
        return handle.events

    def _take(self, entry: Entry) -> None:
        messages = tuple(copy(message) for message in to_messages(entry.message))
        if self._handle is None or not self._handle.steer(messages):
            super()._take(entry)
            return
        self._count += 1
        self._steered.append((entry, messages))
        self._report(entry, "queued", len(self._steered))

    def _listener(self, run: ConversingRun) -> Callable[[StreamEvent], None]:
        pass_on = super()._listener(run)

        def on_next(event: StreamEvent) -> None:
            if self._steered and isinstance(event, TurnStart):
                self._report_seen()
            pass_on(event)

        return on_next

    def _report_seen(self) -> None:
        """Report the messages that a turn has; they are seen in the order in which they came."""
        assert self._handle is not None
        seen = {id(message) for message in self._handle.messages}
        while self._steered and all(id(message) in seen for message in self._steered[0][1]):
            entry, _ = self._steered.popleft()
            self._report(entry, "delivered")

    def _on_run_end(self) -> None:
        if self._steered:
            self._report_seen()
        self._waiting.extendleft(entry for entry, _ in reversed(self._steered))
        self._steered.clear()
        self._handle = None
        super()._on_run_end()

    def _stop(self) -> None:
        handle, self._handle = self._handle, None
        if handle is not None:
            handle.stop()


_FACE = ("events", "messages", "steer", "stop")
