"""Stop a stream with a kill switch."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.kill_switch import KillSwitch
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def stop_with(switch: KillSwitch) -> Callable[[Observable[T]], Observable[T]]:
    """End the stream when a kill switch is used, and cancel the source.

    One switch serves any number of streams. After it was used, a stream ends without a
    subscription to its source.

    .. marble::
        --1--2--3--4--|
        [ stop_with(switch) ]
        --1--2---|
        time: 1 s per character
        legend: switch = shut down after 9 s

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes, or after `switch.shutdown()`.

    Args:
        switch: The switch.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `switch` is not a `KillSwitch`.
        Exception: In the stream, the error of `switch.abort(error)`. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> switch = rxagents.KillSwitch()
        >>> numbers = rx.concat(rx.of(1), rx.never()).pipe(ops.stop_with(switch))
        >>> rxagents.run(numbers, lambda _: switch.shutdown())
        1
        >>> rxagents.run(numbers, print)
    """
    if not isinstance(switch, KillSwitch):
        raise ConfigurationError(
            f"switch must be an rxagents.KillSwitch, not {type(switch).__name__}."
        )

    def stop_with_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            stream = _StoppableStream(observer, scope)
            if not switch.join(stream):
                stream.stop(switch.error)
                return
            scope.hold(Disposable(partial(switch.leave, stream)))
            stream.subscription = scope.subscribe(
                source, observer.on_next, observer.on_error, observer.on_completed
            )

        return timed(subscribe)

    return stop_with_


class _StoppableStream:
    """One subscription. Its end comes on a turn of the loop of its own, so that it never nests."""

    __slots__ = ("_observer", "_scope", "subscription")

    def __init__(self, observer: abc.ObserverBase[Any], scope: TimedScope) -> None:
        self.subscription: abc.DisposableBase = Disposable()
        self._observer = observer
        self._scope = scope

    def stop(self, error: Exception | None) -> None:
        if self._scope.loop is None:
            self._stop(error)
        else:
            run_on_loop(self._scope.loop, self._stop, error)

    def _stop(self, error: Exception | None) -> None:
        if not self._scope.is_disposed:
            self.subscription.dispose()
            self._scope.timer(partial(self._end, error)).start(0)

    def _end(self, error: Exception | None) -> None:
        if error is None:
            self._observer.on_completed()
        else:
            self._observer.on_error(error)
