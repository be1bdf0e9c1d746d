"""Turn a coroutine function that emits items into a cold Observable.

Theory of operation:

All sources of the library go through `task_source`, so that all of them keep the same rules: one
task a subscription, serial items on the loop's thread, at most one terminal, silence after
`dispose`. How the task ended decides the terminal (`_Run._finish`, in this order):

    a consumer raised in on_next     no terminal; the exception is reported once
    disposed                         no terminal; what the clean-up raised is reported
    cancelled from outside           on_error(StreamCancelledError)
    raised CancelledError itself     on_error(RxAgentsError)
    returned                         on_completed
    raised                           on_error(the exception)

What must stay:

- The terminal comes from the task's done-callback, not from its coroutine. By then every `finally`
  has run, and what the task held is released before `on_completed`.
- `Emitter.push` is synchronous. The reader of an HTTP answer calls it as bytes arrive, so an item
  costs no switch to a task.
- A consumer's exception passes through the source's own code on its way out. Were it an
  `Exception`, that code would take it for a failure of the provider and try again; hence
  `ConsumerFailedError`, a `BaseException`.
- `disposed` is a flag of ours: a disposed task and one that was cancelled from outside both end
  with `CancelledError`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc

from rxagents.core.errors import StreamCancelledError
from rxagents.runtime.bridge import Bridge, Gate, bridge_of
from rxagents.runtime.loop import running_loop
from rxagents.runtime.reporting import as_exception, nonfatal, report_unhandled
from rxagents.runtime.scope import TaskScope
from rxagents.runtime.stream import Stream

T = TypeVar("T")


class ConsumerFailedError(BaseException):
    """Carries a consumer's exception past the `except Exception` of the source's own code."""


class Emitter(Generic[T]):
    """Delivers items to the subscriber, and waits while the subscriber wants none.

    Attributes:
        gate: Closed while the subscriber wants no more items.
        failure: What the subscriber raised.
        observer: The subscriber.
    """

    __slots__ = ("failure", "gate", "observer")

    def __init__(self, observer: abc.ObserverBase[T], gate: Gate) -> None:
        self.gate = gate
        self.failure: Exception | None = None
        self.observer = observer

    async def emit(self, items: Iterable[T]) -> None:
        """Emit `items`; wait between two of them while the gate is closed."""
        rest = iter(items)
        while not self.push(rest):
            await self.gate.opened()

    def push_one(self, item: T) -> None:
        """Emit one item, whether the gate is open or not.

        Raises:
            ConsumerFailedError: The subscriber raised. Let it pass.
        """
        try:
            self.observer.on_next(item)
        except BaseException as error:
            self.failure = nonfatal(error)
            raise ConsumerFailedError from error

    def push(self, items: Iterator[T]) -> bool:
        """Emit `items`; return False if the gate closed, to call again with the rest.

        Raises:
            ConsumerFailedError: The subscriber raised. Let it pass.
        """
        on_next, gate = self.observer.on_next, self.gate
        gate.is_emitting = True
        try:
            for item in items:
                on_next(item)
                if gate.closed:
                    return False
        except BaseException as error:
            self.failure = nonfatal(error)
            raise ConsumerFailedError from error
        finally:
            gate.end_burst()
        return True


Produce: TypeAlias = Callable[[Emitter[T]], Coroutine[Any, Any, None]]


def task_source(produce: Produce[T]) -> Observable[T]:
    """Make a cold Observable of a coroutine function that emits items.

    Each subscription runs `produce(emitter)` as a task of its own. When it returns, the stream
    completes; when it raises, the stream fails. Either is delivered after the task is over, so
    whatever the task held is released by then. What a consumer raises ends the source without a
    terminal, and is reported once: to the code that awaits the stream, or else to the loop's
    exception handler.

    Args:
        produce: Emits the items of one subscription.

    Returns:
        The Observable. It emits on the running loop's thread, and never inside `subscribe`.
        Outside a running loop it fails with `ConfigurationError`.
    """

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        bridge = bridge_of(scheduler)
        emitter = Emitter(observer, bridge.gate if bridge else Gate())
        run = _Run(running_loop(), emitter, bridge)
        run.start(produce(emitter))
        if bridge is not None:
            bridge.adopt(run)
        return run

    return Stream(subscribe)


class _Run(TaskScope):
    """The one task of a subscription, which is also what disposes the subscription.

    One object for all of it, since thousands of streams may be open: a scope, a closure for the end
    of the task and a `Disposable`, which has a lock, take 1 KB more.
    """

    __slots__ = ("_bridge", "_emitter")

    def __init__(
        self, loop: asyncio.AbstractEventLoop, emitter: Emitter[Any], bridge: Bridge | None
    ) -> None:
        super().__init__(loop)
        self._emitter = emitter
        self._bridge = bridge

    def _on_done(self, task: asyncio.Task[None]) -> None:
        super()._on_done(task)
        if self._bridge is not None:
            self._bridge.release(self)
        self._finish(task)

    def _finish(self, task: asyncio.Task[None]) -> None:
        """Deliver the terminal."""
        bridge, emitter, loop = self._bridge, self._emitter, task.get_loop()
        observer = emitter.observer
        failure = None if task.cancelled() else task.exception()
        try:
            if emitter.failure is not None:
                raise emitter.failure  # even if the task was cancelled after the consumer raised
            if self.disposed:
                if isinstance(failure, Exception) and _was_raised_by_cleanup(failure):
                    report_unhandled(failure, loop, bridge, "A stream failed after it was disposed")
            elif task.cancelled():
                observer.on_error(
                    _cancelled_from_outside()
                    if task.cancelling()
                    else as_exception(_SELF_CANCELLED)
                )
            elif failure is None:
                observer.on_completed()
            else:
                observer.on_error(as_exception(failure))
        except BaseException as error:
            report_unhandled(error, loop, bridge)


def _was_raised_by_cleanup(failure: Exception) -> bool:
    """Return whether `failure` was raised while the task handled its cancellation.

    If not, the stream had failed by itself just before `dispose`, and nobody waits for that error.
    """
    context = failure.__context__
    while context is not None and not isinstance(context, asyncio.CancelledError):
        context = context.__context__
    return context is not None


def _cancelled_from_outside() -> StreamCancelledError:
    error = StreamCancelledError(
        "The stream's task was cancelled from outside. To stop a stream, dispose its subscription."
    )
    error.__cause__ = asyncio.CancelledError()  # `is_cancellation` looks for it
    return error


def is_cancellation(error: Exception) -> bool:
    """Return whether a source failed with `error` because its task was cancelled from outside.

    User code may raise `StreamCancelledError` itself; that is a failure like any other.
    """
    return isinstance(error, StreamCancelledError) and isinstance(
        error.__cause__, asyncio.CancelledError
    )


_SELF_CANCELLED = asyncio.CancelledError()
"""Stands for a `CancelledError` that the source's own code raised."""
