"""Race two streams and keep the first that has content."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.racing.latencies import Latencies, percentile
from rxagents.runtime.racing.race import FirstContent, Race, Runner
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def hedge(
    other: Observable[T], *, after: float | str, latencies: Latencies | None = None
) -> Callable[[Observable[T]], Observable[T]]:
    """Start a second stream when the first is slow to begin; the faster one wins.

    A stream wins with its first content: text, reasoning, a tool call, a finish reason. Items
    before it, such as a chunk that only names the model or the start of a turn, wait until then.
    The loser is disposed, which closes its request. If a stream fails before it wins, the race goes
    on with the other, which starts at once if it has not yet. After a task was cancelled from
    outside, as at the end of its loop, nothing is started.

    .. marble::
        --------------1--2--|
            --a--b--|
        [ hedge(other, after=4) ]
        ------a--b--|
        time: 1 s per character

    Emits when: the winner emits.
    Backpressures when: downstream does.
    Completes when: the winner completes.

    Args:
        other: The second stream. It may be the same as the first: each subscription is a request
            of its own.
        after: Seconds to wait for the first stream before the second starts; 0 starts both at
            once. Or a percentile of the measured times to the first content, such as `"p95"`.
        latencies: Where these times are kept, to share them; by default the operator keeps those
            of its own subscriptions.

    Returns:
        An operator that leaves the winner's items as they are.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value.
        Exception: In the stream, the winner's error; the first stream's, if both fail before
            one wins.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> rxagents.run(rx.never().pipe(ops.hedge(rx.of("here"), after=0.01)), print)
        here
        'here'
    """
    if not isinstance(other, Observable):
        raise ConfigurationError(f"other must be an Observable, not {type(other).__name__}.")
    share = percentile(after) if isinstance(after, str) else None
    seconds = None if isinstance(after, str) else checked_seconds("after", after, zero=True)
    if latencies is not None and not isinstance(latencies, Latencies):
        raise ConfigurationError(
            f"latencies must be an rxagents.Latencies, not {type(latencies).__name__}."
        )
    times = Latencies() if latencies is None else latencies

    def hedge_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            started = scope.now()

            def on_won(winner: Runner[T]) -> None:
                if race.first_runs():
                    times.add(scope.now() - started, is_stopped=winner is not race.first)

            race = Race(observer, scope, partial(FirstContent, is_end_enough=True), on_won)
            race.enter_after(other, None)
            race.enter(source)
            if race.waits:
                race.enter_after(other, seconds if share is None else times.quantile(share))

        return timed(subscribe)

    return hedge_
