"""Start a failed stream again."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.backoff import (
    FIRST_WAIT_SECONDS,
    JITTER,
    LONGEST_WAIT_SECONDS,
    backoff,
    is_transient,
    retry_wait,
)
from rxagents.core.checks import (
    checked_count_or_zero,
    checked_fraction,
    checked_function,
    checked_seconds,
)
from rxagents.operators._recovery import RestartableObserver
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def retry_with_backoff(
    max_retries: int = 2,
    *,
    on_reset: Callable[[Exception], T] | None = None,
    retry_if: Callable[[Exception], bool] = is_transient,
    first_wait: float = FIRST_WAIT_SECONDS,
    longest_wait: float = LONGEST_WAIT_SECONDS,
    jitter: float = JITTER,
) -> Callable[[Observable[T]], Observable[T]]:
    """Subscribe to the source again when it fails, after a wait that doubles each time.

    If the source fails before any content, the subscriber sees nothing of the failure. After
    content, the source starts again only if `on_reset` is given: its item states that everything
    before it is void. Use `StreamChunk.reset` for chunks and `Reset.of` for events; `accumulate`,
    `collect`, `assemble_tool_calls`, `stop_at`, `scan_steps` and the agents understand both. The
    `ErrorEvent` of an agent's run that is started again is not emitted.

    .. marble::
        --1--#
                 --1--2--|
        [ retry_with_backoff(first_wait=4, jitter=0, on_reset=Reset.of) ]
        --1--R-----1--2--|
        time: 1 s per character
        legend: R = Reset

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        max_retries: How often to start again.
        on_reset: Makes, from the error, the item that precedes a new start; `None` to fail once
            content has come.
        retry_if: Returns whether to start again after an error. By default after a provider's
            errors that are `retryable`, after streams that were cut off or fell silent, and after
            all exceptions that are not the library's own.
        first_wait: Seconds before the first new start, unless the provider asks for a certain
            wait.
        longest_wait: The most seconds that the doubling may reach.
        jitter: The share, 0 to 1, by which a wait is shortened at random at most.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value.
        Exception: In the stream, the source's last error, and whatever `on_reset` or `retry_if`
            raises.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> attempts = iter([rx.throw(OSError("down")), rx.of("up")])
        >>> flaky = rx.defer(lambda _: next(attempts))
        >>> rxagents.run(flaky.pipe(ops.retry_with_backoff(first_wait=0.01)), print)
        up
        'up'
    """
    checked_count_or_zero("max_retries", max_retries)
    checked_function("retry_if", retry_if)
    if on_reset is not None:
        checked_function("on_reset", on_reset)
    checked_seconds("first_wait", first_wait, zero=True)
    checked_seconds("longest_wait", longest_wait, zero=True)
    checked_fraction("jitter", jitter)

    def wait_after(error: Exception, attempt: int) -> float | None:
        if attempt >= max_retries or not retry_if(error):
            return None
        return retry_wait(backoff(attempt, first_wait, longest_wait, jitter), error)

    def retry_with_backoff_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            stream = RestartableObserver(observer, on_reset)
            attempt = 0

            def start() -> None:
                scope.subscribe(source, stream.on_next, on_error, stream.complete)

            def on_error(error: Exception) -> None:
                nonlocal attempt
                try:
                    wait = wait_after(error, attempt) if stream.may_restart else None
                except BaseException as failure:
                    wait, error = None, nonfatal(failure)
                if wait is None:
                    stream.fail(error)
                elif stream.restart(error):
                    attempt += 1
                    timer.start(wait)

            timer = scope.timer(start)
            start()

        return timed(subscribe)

    return retry_with_backoff_
