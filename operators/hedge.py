"""Race two streams and keep the first that has content."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import ConfigurationError, StreamCancelledError
from rxagents.operators._recovery import is_content
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def hedge(other: Observable[T], *, after: float) -> Callable[[Observable[T]], Observable[T]]:
    """Start a second stream when the first is slow to begin; the faster one wins.

    A stream wins with its first content: text, reasoning, a tool call, a finish reason. Items
    before it, such as a chunk that only names the model, wait until then. The loser is disposed,
    which closes its request. If a stream fails before it wins, the race goes on with the other,
    which starts at once if it has not yet. After a task was cancelled from outside, as at the end
    of its loop, nothing is started.

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
            once.

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
    checked_seconds("after", after, zero=True)

    def hedge_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            race = _Race(observer, scope, other)
            race.start(source, after)

        return timed(subscribe)

    return hedge_


class _Race(Generic[T]):
    """The race of one subscription: the streams that run, and whether one has won."""

    # The race is decided once, by `win`; after that the winner's runner passes items on without
    # asking the race. A source may emit inside `subscribe`, so a runner is in `_runners` before its
    # subscription is known, and `_enter` disposes one that has lost by then.

    def __init__(
        self, observer: abc.ObserverBase[T], scope: TimedScope, other: Observable[T]
    ) -> None:
        self.observer = observer
        self._scope = scope
        self._other: Observable[T] | None = other
        self._timer = scope.timer(self._enter_other)
        self._runners: list[_Runner[T]] = []
        self._first = _Runner(self)
        self._failure: Exception | None = None
        self.is_won = False

    def start(self, source: Observable[T], after: float) -> None:
        """Start `source`, and the other after `after` seconds unless a stream has won by then."""
        self._enter(self._first, source)
        if self._other is not None:
            self._timer.start(after)

    def win(self, winner: _Runner[T]) -> None:
        """Dispose all streams but the winner, and emit the items that it held back."""
        self.is_won = True
        self._other = None
        self._timer.stop()
        losers = [runner for runner in self._runners if runner is not winner]
        self._runners = [winner]
        for loser in losers:
            if loser.subscription is not None:
                loser.subscription.dispose()
        winner.release()

    def drop(self, runner: _Runner[T], error: Exception) -> None:
        """Go on with the other stream after `runner` failed; if both have failed, fail."""
        self._runners.remove(runner)
        if runner is self._first or self._failure is None:
            self._failure = error
        if isinstance(error, StreamCancelledError):
            self._other = None
        if self._other is not None:
            self._enter_other()
        elif not self._runners:
            self._first.release()
            self.observer.on_error(self._failure)

    def _enter_other(self) -> None:
        other, self._other = self._other, None
        self._timer.stop()
        if other is not None:
            self._enter(_Runner(self), other)

    def _enter(self, runner: _Runner[T], source: Observable[T]) -> None:
        self._runners.append(runner)
        runner.subscription = self._scope.subscribe(
            source, runner.on_next, runner.on_error, runner.on_completed
        )
        if runner not in self._runners:
            runner.subscription.dispose()  # the other stream won inside this `subscribe`


class _Runner(Generic[T]):
    """One of the two streams; holds its items back until it has won."""

    def __init__(self, race: _Race[T]) -> None:
        self.subscription: abc.DisposableBase | None = None
        self._race = race
        self._on_next = race.observer.on_next
        self._has_won = False
        self._held: list[T] = []

    def on_next(self, item: T) -> None:
        if self._has_won:
            self._on_next(item)
        elif self._race.is_won:
            return  # the other stream won inside this one's `subscribe`
        elif is_content(item):
            self._win()
            self._on_next(item)
        else:
            self._held.append(item)

    def on_error(self, error: Exception) -> None:
        if self._has_won:
            self._race.observer.on_error(error)
        elif not self._race.is_won:
            self._race.drop(self, error)

    def on_completed(self) -> None:
        if not self._race.is_won:
            self._win()
        if self._has_won:
            self._race.observer.on_completed()

    def release(self) -> None:
        """Emit the items that were held back."""
        held, self._held = self._held, []
        for item in held:
            self._on_next(item)

    def _win(self) -> None:
        self._has_won = True
        self._race.win(self)
