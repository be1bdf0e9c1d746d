"""Join the stages of a run to one stream.

Theory of operation. A run is a sequence of stages, each an Observable: the turns of the model,
before them perhaps a summary of the conversation, and at the end the `Complete` event. A
generator makes each stage when the one before has completed, and `concat_with_iterable` joins
them; `defer` (in the agents) makes a new generator for each subscription.

- No recursion. Measured with reactivex 6.1: `expand` over synchronous turns fails at 324 levels,
  a recursive `flat_map` at 450, and a recursive `concat(turn, defer(next))` costs O(depth) for
  each element and hangs at 900. The generator costs the same for each turn (63 us at 5,000 turns),
  and `dispose` ends the turn that is running.
- What must happen between two turns (limits, the messages of the turn that ended) is plain code
  in the generator. It runs when the turn's stream has completed, so when all its tools have ended.
  An exception in it becomes the run's `on_error`.
- All stages stand in one flat `concat`. A `concat` inside a `concat`, a `flat_map` over a run or a
  `do_action` on a whole run would cost every token one more call.
- A stage emits nothing after its end or after `dispose`, so `concat` gets it as a `DirectStream`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextvars import copy_context
from typing import TypeAlias

import reactivex as rx
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.agents.control import RunControl
from rxagents.core.errors import RunLimitError
from rxagents.core.events import ErrorEvent, ErrorInfo, StreamEvent
from rxagents.runtime.bridge import scheduler_on_loop
from rxagents.runtime.direct import DirectStream
from rxagents.runtime.factories import core_of
from rxagents.runtime.listening import AgentCall, listened, subscribed_in
from rxagents.runtime.metering.metering import NONE, Metering, under
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.timed_scope import TimedScope, timed

Events: TypeAlias = Observable[StreamEvent]


def run_stages(stages: Iterable[Events], seconds: float | None, control: RunControl) -> Events:
    """Concatenate the stages of a run.

    Args:
        stages: Makes each stage when the one before has completed.
        seconds: How long all stages together may take; `None` for no limit.
        control: Gets the run's failure, and the end of a run that is disposed.

    Returns:
        The run's events; a run that fails emits an `ErrorEvent` before `on_error`.
    """

    def make(call: AgentCall | None) -> Events:
        made = _deliverable(stages, control)
        if call is not None:
            return _in_own_context(made, seconds, control)
        return _with_deadline(_concatenated(made), seconds, control)

    def describe() -> AgentCall:
        return AgentCall(control.agent_name, lambda: control.result, control.conversation_id)

    return listened(make, describe)


def _in_own_context(stages: Iterator[Events], seconds: float | None, control: RunControl) -> Events:
    """Subscribe to each stage in the context of the run, whatever code ended the one before."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        context = copy_context()
        source = _concatenated(subscribed_in(context, stage) for stage in stages)
        subscription: abc.DisposableBase = core_of(_with_deadline(source, seconds, control))(
            observer, scheduler
        )
        return subscription

    return Observable(subscribe)


def _concatenated(stages: Iterator[Events]) -> Events:
    return rx.concat_with_iterable(map(DirectStream, stages))


def _deliverable(stages: Iterable[Events], control: RunControl) -> Iterator[Events]:
    """Yield the stages; wrap what making them raises, so that `concat_with_iterable` catches it.

    A model's `chat_stream` is called here. With `CancelledError` the run would never end.
    """
    made = iter(stages)
    while True:
        try:
            stage = next(made)
        except StopIteration:
            return
        except Exception:
            raise
        except BaseException as error:
            raise nonfatal(error) from error
        yield stage if control.metering is NONE else _metered(stage, control.metering)


def _metered(stage: Events, metering: Metering) -> Events:
    """Subscribe to a stage under the run's metering, whatever code ended the stage before."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        with under(metering):
            # `stage.subscribe` would put one more observer before each event.
            subscription: abc.DisposableBase = core_of(stage)(observer, scheduler)
        return subscription

    return Observable(subscribe)


def emitted(events: Iterable[StreamEvent]) -> Events:
    """Return a stage that emits `events` as soon as it is subscribed to."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], _: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        for event in events:
            observer.on_next(event)
        observer.on_completed()
        return Disposable()

    return Observable(subscribe)


def _with_deadline(source: Events, seconds: float | None, control: RunControl) -> Events:
    """Start in the loop's next iteration; fail after `seconds`; emit `ErrorEvent` first."""

    def subscribe(observer: abc.ObserverBase[StreamEvent], scope: TimedScope) -> None:
        def begin() -> None:
            scope.scheduler = scheduler_on_loop(scope.scheduler)
            scope.subscribe(source, observer.on_next, fail, observer.on_completed)

        def fail(error: Exception) -> None:
            control.fail(error)
            observer.on_next(ErrorEvent(ErrorInfo.of(error)))
            observer.on_error(error)

        def set_limit(limit: float | None) -> None:
            nonlocal seconds
            seconds = limit
            if limit is None:
                deadline.stop()
            else:
                deadline.start(limit)

        def expire() -> None:
            error = RunLimitError(
                f"The run took longer than its {seconds} seconds. Raise max_seconds."
            )
            control.fail(error)
            scope.dispose()
            fail(error)

        scope.hold(Disposable(control.dispose))
        scope.timer(begin).start(0)
        deadline = scope.timer(expire)
        control.set_time_limit = set_limit
        if seconds is not None:
            deadline.start(seconds)

    return timed(subscribe)
