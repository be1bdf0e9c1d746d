"""The one way in which the library's own asynchronous sources become Observables."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import StreamCancelledError
from rxagents.runtime.bridge import Bridge, Gate, bridge_of
from rxagents.runtime.loop import running_loop
from rxagents.runtime.reporting import as_exception, report_unhandled
from rxagents.runtime.scope import TaskScope

T = TypeVar("T")


class ConsumerFailedError(BaseException):
    """Carries a consumer's exception past the `except Exception` of the source's own code."""


class Emitter(Generic[T]):
    """Hands items to the subscriber; waits while the subscriber has enough.

    Attributes:
        gate: Closed while it has.
        failure: What the subscriber raised.
    """

    __slots__ = ("_observer", "failure", "gate")

    def __init__(self, observer: abc.ObserverBase[T], gate: Gate) -> None:
        self.gate = gate
        self.failure: Exception | None = None
        self._observer = observer

    async def emit(self, items: Iterable[T]) -> None:
        """Emit `items`, each as soon as it is wanted."""
        rest = iter(items)
        while not self.push(rest):
            await self.gate.opened()

    def push(self, items: Iterator[T]) -> bool:
        """Emit `items` while they are wanted; return whether that was all of them."""
        on_next, gate = self._observer.on_next, self.gate
        try:
            for item in items:
                on_next(item)
                if gate.closed:
                    return False
        except Exception as error:
            self.failure = error
            raise ConsumerFailedError from error
        return True


Produce: TypeAlias = Callable[[Emitter[T]], Coroutine[Any, Any, None]]


def task_source(produce: Produce[T]) -> Observable[T]:
    """Make a cold Observable of a coroutine function that emits.

    Each subscription runs `produce(emitter)` as a task of its own. Its return is the completion
    and its exception the error, both told after the task is over, so that whatever it held is
    released by then. What a consumer raises ends the source without either, and is reported
    once: to the code that awaits the stream, or else to the loop's exception handler.

    Args:
        produce: Emits the items, one subscription's worth.

    Returns:
        The Observable. It emits on the running loop's thread, and never inside `subscribe`.
        Subscribed to outside of a running loop it fails with `ConfigurationError`.
    """

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        loop = running_loop()
        bridge = bridge_of(scheduler)
        scope = TaskScope(loop)
        emitter = Emitter(observer, bridge.gate if bridge else Gate())
        task = scope.start(produce(emitter))
        if bridge is not None:
            bridge.adopt(scope)

        def finish(task: asyncio.Task[None]) -> None:
            if bridge is not None:
                bridge.release(scope)
            _finish(task, emitter, observer, scope, bridge)

        task.add_done_callback(finish)
        return Disposable(scope.dispose)

    return Observable(subscribe)


def _finish(
    task: asyncio.Task[None],
    emitter: Emitter[Any],
    observer: abc.ObserverBase[Any],
    scope: TaskScope,
    bridge: Bridge | None,
) -> None:
    loop = task.get_loop()
    failure = None if task.cancelled() else task.exception()
    try:
        if emitter.failure is not None:
            raise emitter.failure  # also where what the source held was cancelled after it
        if scope.disposed:
            if isinstance(failure, Exception) and _is_of_cleanup(failure):
                report_unhandled(failure, loop, bridge, "A stream failed after it was disposed")
        elif task.cancelled():
            cancelled = StreamCancelledError(_CANCELLED)
            observer.on_error(cancelled if task.cancelling() else as_exception(_SELF_CANCELLED))
        elif failure is None:
            observer.on_completed()
        else:
            observer.on_error(as_exception(failure))
    except Exception as error:
        report_unhandled(error, loop, bridge)


def _is_of_cleanup(failure: Exception) -> bool:
    """Whether something went wrong in taking down what was cancelled.

    Where it did not, it is how the stream would have ended, which nobody wants to know any more.
    """
    context = failure.__context__
    while context is not None and not isinstance(context, asyncio.CancelledError):
        context = context.__context__
    return context is not None


_CANCELLED = (
    "The stream's task was cancelled from outside. To stop a stream, dispose its subscription."
)


_SELF_CANCELLED = asyncio.CancelledError()
"""Stands for one that the source's own code raised."""
