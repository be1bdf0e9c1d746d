"""Map, filter and scan in one operator."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeVar, overload

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import Callbacks, core_of, operator_factory

T = TypeVar("T")
U = TypeVar("U")
S = TypeVar("S")


class _NoSeed:
    """Stands for a seed that was not given; `None` is a seed."""

    def __repr__(self) -> str:
        return "<no seed>"


_NO_SEED = _NoSeed()


@overload
def fuse(
    *, map: Callable[[T], U], filter: Callable[[U], object] | None = None
) -> Callable[[Observable[T]], Observable[U]]: ...
@overload
def fuse(
    *, map: Callable[[T], U], filter: Callable[[U], object] | None = None, scan: Callable[[U, U], U]
) -> Callable[[Observable[T]], Observable[U]]: ...
@overload
def fuse(
    *,
    map: Callable[[T], U],
    filter: Callable[[U], object] | None = None,
    scan: Callable[[S, U], S],
    seed: S,
) -> Callable[[Observable[T]], Observable[S]]: ...
@overload
def fuse(*, filter: Callable[[T], object]) -> Callable[[Observable[T]], Observable[T]]: ...
@overload
def fuse(
    *, filter: Callable[[T], object] | None = None, scan: Callable[[T, T], T]
) -> Callable[[Observable[T]], Observable[T]]: ...
@overload
def fuse(
    *, filter: Callable[[T], object] | None = None, scan: Callable[[S, T], S], seed: S
) -> Callable[[Observable[T]], Observable[S]]: ...
@operator_factory
def fuse(
    *,
    map: Callable[[Any], Any] | None = None,
    filter: Callable[[Any], object] | None = None,
    scan: Callable[[Any, Any], Any] | None = None,
    seed: Any = _NO_SEED,
) -> Callable[[Observable[Any]], Observable[Any]]:
    """Map, filter and scan the items in one step.

    The result is that of `rx_ops.map(map)`, `rx_ops.filter(filter)` and `rx_ops.scan(scan, seed)`
    in a pipe, in this order, at less than half of their cost. Each of the three may be left out.

    .. marble::
        --1--2--3---4---|
        [ fuse(map=double, filter=is_above_2, scan=add, seed=0) ]
        -----4--10--18--|

    Emits when: the source emits an item that passes the filter.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        map: Turns each item of the source into another.
        filter: Keeps a mapped item if what it returns is true.
        scan: Makes the next state, which is emitted, from the state and a kept item.
        seed: The state before the first item. Without it the first kept item is the first state,
            and passes as it is. All subscriptions begin with this object: do not change it in
            place.

    Returns:
        An operator from items to states, or to mapped and kept items if there is no `scan`.

    Raises:
        ConfigurationError: On the call, if no function is given, something else or a coroutine
            function, or a seed without `scan`.
        Exception: In the stream, whatever a function raises, or the truth value of what `filter`
            returns; no function is called after that. The source's errors pass.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import StreamChunk, operators as ops
        >>> chunks = rx.of(StreamChunk("Hel"), StreamChunk(), StreamChunk("lo"))
        >>> lengths = chunks.pipe(
        ...     ops.fuse(
        ...         map=lambda chunk: chunk.delta,
        ...         filter=lambda text: text != "",
        ...         scan=lambda length, text: length + len(text),
        ...         seed=0,
        ...     )
        ... )
        >>> lengths.subscribe(print)
        3
        5
        <...>
    """
    _check(map=map, filter=filter, scan=scan)
    if seed is not _NO_SEED and scan is None:
        raise ConfigurationError(
            f"seed={seed!r} is the first state of scan: pass the function scan too, or no seed."
        )

    def fuse_(source: Observable[Any]) -> Observable[Any]:
        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            state, is_stopped = seed, False

            # `is_stopped` does the work of the observers that reactivex puts between two operators:
            # after dispose or an error no function is called. It saves 34 of 229 ns an item. A
            # function of its own for each choice of the three would save 14 ns more.
            def on_next(item: Any) -> None:
                nonlocal state, is_stopped
                if is_stopped:
                    return
                try:
                    if map is not None:
                        item = map(item)
                        if is_stopped:
                            return
                    if filter is not None and (not filter(item) or is_stopped):
                        return
                    if scan is not None:
                        item = state = item if state is _NO_SEED else scan(state, item)
                except Exception as error:
                    is_stopped = True
                    observer.on_error(error)
                else:
                    observer.on_next(item)

            callbacks = Callbacks(on_next, observer.on_error, observer.on_completed)
            subscription = core_of(source)(callbacks, scheduler)
            if not hasattr(subscription, "dispose"):  # a function or None, as `rx.create` allows
                subscription = Disposable(subscription)

            def dispose() -> None:
                nonlocal is_stopped
                is_stopped = True
                subscription.dispose()

            return Disposable(dispose)

        return Observable(subscribe)

    return fuse_


def _check(**functions: Callable[..., Any] | None) -> None:
    given = {name: function for name, function in functions.items() if function is not None}
    if not given:
        raise ConfigurationError("fuse needs at least one function: map, filter or scan.")
    for name, function in given.items():
        checked_function(name, function)
        if inspect.iscoroutinefunction(function):
            raise ConfigurationError(
                f"fuse cannot await {name}, which is a coroutine function: use map_async."
            )
