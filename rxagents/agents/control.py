"""Stop and steer a run from outside, and observe its end.

Theory of operation. Each subscription to a run has one `RunControl`. `AgentRun` holds it at one
end; `Run` and the stages of the run hold it at the other. All of it changes on the loop's thread.

- Messages and the stop are only noted here. The run takes them up between two turns, in plain code
  (`Run.goes_on`), so no operator stands in the path of the tokens.
- `_interrupt` ends the stage that runs: it disposes the stage's source and completes the stage. It
  is set while a stage is subscribed; before the first stage it ends a run that is stopped. The
  generator of the stages then goes on as after any stage.
- A run ends once: with a result, with an error, or disposed. Whatever comes first counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable, SingleAssignmentDisposable

from rxagents.agents.run_checkpoint import checkpoint_of, is_checkpoint_of
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import StreamCancelledError
from rxagents.core.events import ErrorEvent, ErrorInfo, StreamEvent
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult
from rxagents.runtime.checkpoints import CheckpointSink, take_sink
from rxagents.runtime.metering.metering import NONE

if TYPE_CHECKING:
    from rxagents.agents.run import Run

T = TypeVar("T")


class RunControl:
    """Stops and steers one run, and notes its end.

    Args:
        on_end: Called once, when the run has ended.

    Attributes:
        run: The run's state; `None` until it starts, such as while it waits in a conversation.
        is_stopped: Whether the run was asked to end.
        takes_messages: Whether another turn may still see a message; not from the end of the last
            turn on, although the run has yet to emit its last events, or to store them.
        result: The run's result, if it has completed.
        error: Why the run has no result, if it failed or was disposed.
        set_time_limit: Sets how many seconds the run may take from now on; `None` for no limit.
        metering: The limiters and budgets of the run's requests.
        agent_name: The name of the agent, for a listener.
        conversation_id: The conversation that the run belongs to; `None` if there is none.
        before_failed: Called when the run fails or is disposed, with whether it is disposed.
    """

    def __init__(self, on_end: Callable[[], None] = lambda: None) -> None:
        self.run: Run | None = None
        self.is_stopped = False
        self.takes_messages = True
        self.result: AgentResult[Any] | None = None
        self.error: Exception | None = None
        self.set_time_limit: Callable[[float | None], None] = lambda _: None
        self.metering = NONE
        self.agent_name = "agent"
        self.conversation_id: str | None = None
        self.before_failed: Callable[[bool], None] = lambda _: None
        self._on_end = on_end
        self._checkpoints: CheckpointSink | None = None
        self._messages: list[Message] = []
        self._interrupt: Callable[[], None] | None = None

    @classmethod
    def subscribed(cls, on_end: Callable[[], None] = lambda: None) -> RunControl:
        """Return the control of a run that is being subscribed to.

        An event log that keeps the stream then gets the run's checkpoints.
        """
        control = cls(on_end)
        control.take_checkpoints()
        return control

    def take_checkpoints(self) -> None:
        """Give checkpoints to the event log that is subscribing to the run's stream."""
        self._checkpoints = take_sink(self)

    @property
    def previous(self) -> Checkpoint | None:
        """The checkpoint of the attempt before, of whatever task, until a run takes it."""
        return None if self._checkpoints is None else self._checkpoints.previous

    def take_previous(self, run: Run) -> Checkpoint | None:
        """Return the checkpoint that the run goes on from; `None` if it starts anew."""
        if self._checkpoints is None:
            return None
        return self._checkpoints.take_previous(partial(is_checkpoint_of, run))

    def save(self, then: Callable[[], None] = lambda: None) -> None:
        """Keep a checkpoint of the run, if an event log keeps its stream.

        Args:
            then: Called when it is stored.
        """
        if self._checkpoints is not None and self.run is not None:
            self._checkpoints.save(checkpoint_of(self.run), then)

    @property
    def before_tool(self) -> Observable[Any] | None:
        """Completes when the calls that have started are stored; `None` if no tool has to wait."""
        if self._checkpoints is None or not self._checkpoints.is_durable:
            return None

        def subscribe(
            observer: abc.ObserverBase[Any], _: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            self.save(observer.on_completed)
            return Disposable()

        return Observable(subscribe)

    @property
    def has_ended(self) -> bool:
        """Whether the run has completed, failed or been disposed."""
        return self.result is not None or self.error is not None

    @property
    def has_messages(self) -> bool:
        """Whether messages wait for the next turn."""
        return bool(self._messages)

    @property
    def waiting_messages(self) -> tuple[Message, ...]:
        """The messages that wait for the next turn."""
        return tuple(self._messages)

    def stop(self) -> None:
        """End the run with what there is."""
        self.is_stopped = True
        self.save()
        self._interrupt_stage()

    def steer(self, messages: Iterable[Message], *, now: bool) -> None:
        """Add messages before the next turn; with `now`, end the turn that runs."""
        self.add_messages(messages)
        self.save()
        if now:
            self._interrupt_stage()

    def add_messages(self, messages: Iterable[Message]) -> None:
        """Add messages before the next turn."""
        self._messages += messages

    def take_messages(self) -> list[Message]:
        """Return the messages that wait, and remove them."""
        messages, self._messages = self._messages, []
        return messages

    def checked_result(self) -> AgentResult[Any]:
        """Return the result of a run that has completed."""
        assert self.result is not None, "the run has completed"
        return self.result

    def complete(self, result: AgentResult[Any]) -> None:
        """Note the result of the run."""
        if not self.has_ended:
            self.result = result
            self._on_end()

    def fail(self, error: Exception, *, is_disposed: bool = False) -> None:
        """Note why the run failed, and give the error what the run has so far."""
        if self.has_ended:
            return
        self.before_failed(is_disposed)
        run = self.run
        if run is not None:
            with suppress(AttributeError):  # an exception of the user's with `__slots__`
                vars(error).update(
                    usage=run.usage_so_far,
                    messages=run.messages_so_far(),
                    iterations=run.iterations,
                )
        self.error = error
        self._on_end()

    def dispose(self) -> None:
        """Note that the run was disposed, unless it has ended."""
        if not self.has_ended:
            error = StreamCancelledError("The run was disposed before it ended.")
            self.fail(error, is_disposed=True)

    def set_interrupt(self, interrupt: Callable[[], None] | None) -> None:
        """Set how the stage that runs is interrupted; `None` when it has ended."""
        self._interrupt = interrupt

    def interruptible(self, source: Observable[T]) -> Observable[T]:
        """Return a stage that completes early when the run is stopped, or steered at once."""

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            subscription = SingleAssignmentDisposable()

            def interrupt() -> None:
                subscription.dispose()
                observer.on_completed()

            def end() -> None:
                self._interrupt = None
                subscription.dispose()

            self._interrupt = interrupt
            subscription.disposable = source.subscribe(
                observer.on_next, observer.on_error, observer.on_completed, scheduler=scheduler
            )
            return Disposable(end)

        return Observable(subscribe)

    def stoppable(
        self, source: Observable[StreamEvent], on_stop: Callable[[], StreamEvent]
    ) -> Observable[StreamEvent]:
        """Return a source that a stop ends before its first stage, such as while it is queued.

        A run that the queue refuses fails as any run does, with an `ErrorEvent` first.

        Args:
            source: The run's stream.
            on_stop: Notes the run's end, and returns its last item.
        """

        def subscribe(
            observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            subscription = SingleAssignmentDisposable()

            def fail(error: Exception) -> None:
                if not self.has_ended:
                    self.fail(error)
                    observer.on_next(ErrorEvent(ErrorInfo.of(error)))
                observer.on_error(error)

            def interrupt() -> None:
                if not self.is_stopped:  # it is steered: the first turn will see the message
                    self._interrupt = interrupt
                    return
                last = on_stop()
                subscription.dispose()
                observer.on_next(last)
                observer.on_completed()

            self._interrupt = interrupt
            subscription.disposable = source.subscribe(
                observer.on_next, fail, observer.on_completed, scheduler=scheduler
            )
            return subscription

        return Observable(subscribe)

    def _interrupt_stage(self) -> None:
        interrupt, self._interrupt = self._interrupt, None
        if interrupt is not None:
            interrupt()
