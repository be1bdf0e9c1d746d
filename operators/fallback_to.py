"""A stream that failed, replaced by another."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.operators._recovery import Recoverable

T = TypeVar("T")


def fallback_to(
    other: Observable[T],
    *,
    on_reset: Callable[[Exception], T] | None = None,
    fallback_if: Callable[[Exception], bool] | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Go on with another stream, such as that of another model, when the source fails.

    Before some of an answer has come this is silent. After it, it happens only with `on_reset`,
    as with `retry_with_backoff`. The `ErrorEvent` of an agent's run that is replaced is not seen.

    .. marble::
        -----#
        [ fallback_to(--a--b--|) ]
        -------a--b--|

    Emits when: the source emits, and after its failure, the other.
    Backpressures when: downstream does.
    Completes when: the source completes, or after its failure, the other.

    Args:
        other: Subscribed to when the source has failed.
        on_reset: Makes the item that goes before it, of the source's error: `StreamChunk.reset`
            or `Reset.of`; `None` to fail once some of an answer has come.
        fallback_if: Whether to go on after an error; by default after every one. After a task was
            cancelled from outside, as at the end of its loop, nothing is started in any case.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type.
        Exception: In the stream, the other's error; the source's, where nothing takes its place;
            and what `on_reset` or `fallback_if` raises.

    Example:
        >>> import reactivex as rx
        >>> from rxagents import operators as ops
        >>> broken = rx.throw(OSError("down"))
        >>> broken.pipe(ops.fallback_to(rx.of("the other"))).subscribe(print)
        the other
        <...>
    """
    if not isinstance(other, Observable):
        raise ConfigurationError(f"other must be an Observable, not {type(other).__name__}.")
    for name, function in (("on_reset", on_reset), ("fallback_if", fallback_if)):
        if function is not None:
            checked_function(name, function)

    def is_wanted(error: Exception) -> bool:
        if isinstance(error, StreamCancelledError):
            return False
        return fallback_if is None or fallback_if(error)

    def fallback_to_(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            stream = Recoverable(observer, on_reset)
            subscriptions = CompositeDisposable()

            def on_error(error: Exception) -> None:
                try:
                    wanted = stream.may_restart and is_wanted(error)
                except Exception as failure:
                    wanted, error = False, failure
                if not wanted:
                    stream.fail(error)
                elif stream.restart(error) and not subscriptions.is_disposed:
                    subscriptions.add(
                        other.subscribe(
                            stream.on_next, stream.fail, stream.complete, scheduler=scheduler
                        )
                    )

            subscriptions.add(
                source.subscribe(stream.on_next, on_error, stream.complete, scheduler=scheduler)
            )
            return subscriptions

        return Observable(subscribe)

    return fallback_to_
