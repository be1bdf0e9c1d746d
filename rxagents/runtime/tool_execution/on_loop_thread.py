"""Move the notifications of a user's Observable to the loop's thread."""

from __future__ import annotations

from functools import partial

from reactivex import Observable, abc
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.runtime.bridge import LoopScheduler, bridge_of
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.reporting import nonfatal, report_unhandled


def on_loop_thread(items: Observable[object]) -> Observable[object]:
    """Return a user's Observable, with its notifications moved to the loop's thread.

    Its scheduler is the loop's, even if the subscriber has none: reactivex's time operators would
    else fire on other threads. What a scheduled action raises fails the Observable.
    """

    def subscribe(
        observer: abc.ObserverBase[object], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if isinstance(scheduler, VirtualTimeScheduler):
            return items.subscribe(observer, scheduler=scheduler)
        loop, bridge = running_loop(), bridge_of(scheduler)
        has_ended = False

        def on_error(error: Exception) -> None:
            nonlocal has_ended
            has_ended = True
            observer.on_error(error)

        def on_completed() -> None:
            nonlocal has_ended
            has_ended = True
            observer.on_completed()

        def on_action_error(error: BaseException) -> None:
            if has_ended:
                report_unhandled(error, loop, bridge)
            else:
                on_error(nonfatal(error))

        if scheduler is None or isinstance(scheduler, AsyncIOScheduler):
            scheduler = LoopScheduler(loop, bridge, on_action_error)
        return items.subscribe(
            partial(run_on_loop, loop, observer.on_next),
            partial(run_on_loop, loop, on_error),
            partial(run_on_loop, loop, on_completed),
            scheduler=scheduler,
        )

    return Observable(subscribe)
