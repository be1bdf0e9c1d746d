"""Continue with another stream after a failure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.operators._recovery import RestartableObserver
from rxagents.runtime.circuit import Circuit, CircuitCall, checked_circuit
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.reporting import nonfatal

T = TypeVar("T")


@operator_factory
def fallback_to(
    other: Observable[T],
    *,
    on_reset: Callable[[Exception], T] | None = None,
    fallback_if: Callable[[Exception], bool] | None = None,
    on: type[Exception] | tuple[type[Exception], ...] = Exception,
    circuit: Circuit | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Continue with another stream, such as that of another model, when the source fails.

    If the source fails before any content, the subscriber sees only the other stream. After
    content, the other stream starts only if `on_reset` is given, as with `retry_with_backoff`.
    The `ErrorEvent` of an agent's run that is replaced is not emitted.

    With a `circuit`, a source that has failed several times in a row is not asked for a while: the
    other stream starts at once.

    .. marble::
        -----#
             --a--b--|
        [ fallback_to(other) ]
        -------a--b--|

    Emits when: the source emits and, after its failure, the other stream does.
    Backpressures when: downstream does.
    Completes when: the source completes or, after its failure, the other stream does.

    Args:
        other: The stream to subscribe to when the source has failed.
        on_reset: Makes, from the source's error, the item that precedes the other stream's:
            `StreamChunk.reset` or `Reset.of`. `None` to fail once content has come.
        fallback_if: Returns whether to continue after an error; by default after every error.
            Never called for `StreamCancelledError`: after a task was cancelled from outside, as
            at the end of its loop, nothing is started.
        on: The kinds of error to continue after, such as `(RateLimitError, ServerError)`. Other
            errors pass, and do not count for the circuit.
        circuit: Counts the failures of the source, and is shared by all that use the same source.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type.
        Exception: In the stream, the other stream's error; the source's error, if the other is
            not started; and whatever `on_reset` or `fallback_if` raises.

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
    kinds = on if isinstance(on, tuple) else (on,)
    if not kinds or not all(isinstance(kind, type) for kind in kinds):
        raise ConfigurationError(f"on must be one or more classes of errors, not {on!r}.")
    checked_circuit(circuit)

    def is_wanted(error: Exception) -> bool:
        if isinstance(error, StreamCancelledError) or not isinstance(error, kinds):
            return False
        return fallback_if is None or fallback_if(error)

    def fallback_to_(source: Observable[T]) -> Observable[T]:
        def subscribe(
            observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
        ) -> abc.DisposableBase:
            stream = RestartableObserver(observer, on_reset)
            subscriptions = CompositeDisposable()
            call = None if circuit is None else circuit.enter(scheduler)

            def subscribe_to_other() -> None:
                subscriptions.add(
                    other.subscribe(
                        stream.on_next, stream.fail, stream.complete, scheduler=scheduler
                    )
                )

            def on_error(error: Exception) -> None:
                try:
                    wanted = (stream.may_restart or call is not None) and is_wanted(error)
                except BaseException as failure:
                    wanted, error = False, nonfatal(failure)
                if call is not None:
                    call.end(has_failed=True if wanted and not stream.observer_raised else None)
                if not (wanted and stream.may_restart):
                    stream.fail(error)
                elif stream.restart(error) and not subscriptions.is_disposed:
                    subscribe_to_other()

            def on_completed() -> None:
                if call is not None:
                    call.end(has_failed=False)
                stream.complete()

            if circuit is not None and call is None:
                subscribe_to_other()
                return subscriptions
            subscriptions.add(
                source.subscribe(stream.on_next, on_error, on_completed, scheduler=scheduler)
            )
            if call is not None:
                subscriptions.add(Disposable(partial(_leave, call, stream)))
            return subscriptions

        return Observable(subscribe)

    return fallback_to_


def _leave(call: CircuitCall, stream: RestartableObserver[T]) -> None:
    call.end(has_failed=False if stream.has_delivered else None)
