"""Make a point of a pipe visible to `rxagents.inspect` and `rxagents top`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import Callbacks, core_of, operator_factory
from rxagents.runtime.probing import Meter, counted
from rxagents.runtime.stream import Stream, stage_of

T = TypeVar("T")


@operator_factory
def probe(name: str) -> Callable[[Observable[T]], Observable[T]]:
    """Count and time the items at this point of a pipe, for `rxagents.inspect` and `rxagents top`.

    Put one probe between two stages. What the code between two probes costs, or waits for, is the
    time of that stage; `rxagents.inspect` names the slowest one.

    .. marble::
        -----1--2--3--|
        [ probe("tokens") ]
        -----1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does; this time is measured.
    Completes when: the source completes.

    Args:
        name: The name that is shown.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `name` is not a text of one character or more. The
            source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> def look(_):
        ...     print(rxagents.inspect().pipes[0].probes[0].items)
        >>> rxagents.run(rx.of("a", "b").pipe(ops.probe("letters")), look)
        1
        2
        'b'
    """
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name must be a text of one character or more, not {name!r}.")

    def probe_(source: Observable[T]) -> Observable[T]:
        core, written = core_of(source), stage_of(source)

        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            meter = Meter(name, written, scheduler)

            def on_error(error: Exception) -> None:
                meter.end()
                observer.on_error(error)

            def on_completed() -> None:
                meter.end()
                observer.on_completed()

            counting = Callbacks(counted(meter, observer.on_next), on_error, on_completed)
            try:
                with meter.place.subscribing():
                    subscription: Any = core(counting, scheduler)
            except BaseException:
                meter.end()
                raise
            stop = getattr(subscription, "dispose", subscription)  # it may be a function or None

            def dispose() -> None:
                meter.end()
                if stop is not None:
                    stop()

            return Disposable(dispose)

        return Stream(subscribe)

    return probe_
