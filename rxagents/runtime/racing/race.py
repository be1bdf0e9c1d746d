"""Run several streams and pass on the first that wins.

Theory of operation. A race is decided once, by `Race.win`: it disposes all other streams, and from
then on the winner's `Runner` passes items on without asking the race. Until then each runner holds
its items back. A stream that ends without having won stays a candidate: it is emitted if no other
stream wins.

A source may emit inside `subscribe`, so a runner is in `_runners` before its subscription is known,
and `enter` disposes one that has lost by then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

from reactivex import Observable, abc

from rxagents.core.content import is_content
from rxagents.core.errors import StreamCancelledError
from rxagents.core.events import Reset, TurnStart
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.timed_scope import TimedScope

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)


class Criterion(Protocol[T_contra]):
    """Decides when one stream wins."""

    def wins(self, item: T_contra) -> bool:
        """Return whether the stream wins with this item."""
        ...

    def wins_at_end(self) -> bool:
        """Return whether the stream wins by completing."""
        ...


class FirstContent:
    """A stream wins with its first content.

    The start of a turn is none: a run emits it before its model has answered.

    Args:
        is_end_enough: Whether it also wins by completing without content.
    """

    __slots__ = ("_is_end_enough",)

    def __init__(self, *, is_end_enough: bool) -> None:
        self._is_end_enough = is_end_enough

    def wins(self, item: object) -> bool:
        """Return whether the item is content."""
        return is_content(item) and not isinstance(item, (TurnStart, Reset))

    def wins_at_end(self) -> bool:
        """Return whether completion is enough."""
        return self._is_end_enough


class Race(Generic[T]):
    """The race of one subscription.

    Args:
        observer: The subscriber.
        scope: Holds the subscriptions.
        criterion: Makes the criterion of one stream.
        on_won: Called with the stream that wins, before its items are emitted.

    Attributes:
        first: The stream that was entered first.
        is_won: Whether a stream has won.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[T],
        scope: TimedScope,
        criterion: Callable[[], Criterion[T]],
        on_won: Callable[[Runner[T]], None] | None = None,
    ) -> None:
        self.observer = observer
        self.is_won = False
        self._scope = scope
        self._criterion = criterion
        self._on_won = on_won
        self._waiting: Observable[T] | None = None
        self._timer = scope.timer(self._enter_waiting)
        self._runners: list[Runner[T]] = []
        self._completed: list[Runner[T]] = []
        self.first: Runner[T] | None = None
        self._failed: Runner[T] | None = None
        self._failure: Exception | None = None

    @property
    def waits(self) -> bool:
        """Whether a stream waits for its start."""
        return self._waiting is not None

    def first_runs(self) -> bool:
        """Return whether the stream that was entered first has not failed."""
        return self.first in self._runners

    def enter(self, *sources: Observable[T]) -> None:
        """Start streams."""
        # All are entered before one starts: the first may fail inside `subscribe`, and it must not
        # be taken for the last one.
        runners = [Runner(self, self._criterion()) for _ in sources]
        self.first = self.first or runners[0]
        self._runners += runners
        for runner, source in zip(runners, sources, strict=True):
            if runner not in self._runners:
                continue
            runner.subscription = self._scope.subscribe(
                source, runner.on_next, runner.on_error, runner.on_completed
            )
            if runner not in self._runners:
                runner.subscription.dispose()

    def enter_after(self, source: Observable[T], seconds: float | None) -> None:
        """Start `source` after `seconds`, or when a stream fails; `None` is only then."""
        self._waiting = source
        if seconds is not None:
            self._timer.start(seconds)

    def win(self, winner: Runner[T]) -> None:
        """Dispose all streams but the winner, and emit the items that it held back."""
        self.is_won = True
        self._waiting = None
        self._timer.stop()
        if self._on_won is not None:
            self._on_won(winner)
        losers = [runner for runner in self._runners if runner is not winner]
        self._runners, self._completed = [winner], []
        for loser in losers:
            if loser.subscription is not None:
                loser.subscription.dispose()
        winner.release()

    def fail(self, error: Exception) -> None:
        """End the race with an error that is no stream's; the end of the scope disposes them."""
        self.is_won = True
        self.observer.on_error(error)

    def set_completed(self, runner: Runner[T]) -> None:
        """Keep a stream that has completed without winning, in case that no other wins."""
        self._runners.remove(runner)
        self._completed.append(runner)
        self._go_on()

    def drop(self, runner: Runner[T], error: Exception) -> None:
        """Go on with the other streams after one has failed."""
        self._runners.remove(runner)
        if runner is self.first or self._failed is None:
            self._failed, self._failure = runner, error
        if isinstance(error, StreamCancelledError):
            self._waiting = None
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting is not None:
            self._enter_waiting()
        elif self._runners:
            return
        elif self._completed:
            self._completed[0].win_late()
        elif self._failed is not None and self._failure is not None:
            self._failed.release()
            self.observer.on_error(self._failure)

    def _enter_waiting(self) -> None:
        source, self._waiting = self._waiting, None
        self._timer.stop()
        if source is not None:
            self.enter(source)


class Runner(Generic[T]):
    """One stream of a race; holds its items back until it has won."""

    def __init__(self, race: Race[T], criterion: Criterion[T]) -> None:
        self.subscription: abc.DisposableBase | None = None
        self._race = race
        self._wins = criterion.wins
        self._wins_at_end = criterion.wins_at_end
        self._on_next = race.observer.on_next
        self._has_won = False
        self._held: list[T] = []

    def on_next(self, item: T) -> None:
        """Emit the item if the stream has won; else hold it back, and see whether it wins."""
        if self._has_won:
            self._on_next(item)
        elif not self._race.is_won:  # another stream may have won inside this one's `subscribe`
            try:
                wins = self._wins(item)
            except BaseException as error:
                self._race.fail(nonfatal(error))
                return
            self._held.append(item)
            if wins:
                self._win()

    def on_error(self, error: Exception) -> None:
        """Fail if the stream has won; else leave the race."""
        if self._has_won:
            self._race.observer.on_error(error)
        elif not self._race.is_won:
            self._race.drop(self, error)

    def on_completed(self) -> None:
        """Complete if the stream has won; else win with that, or wait for the others."""
        if self._has_won:
            self._race.observer.on_completed()
        elif not self._race.is_won:
            if self._wins_at_end():
                self.win_late()
            else:
                self._race.set_completed(self)

    def win_late(self) -> None:
        """Win after the end, and complete."""
        self._win()
        self._race.observer.on_completed()

    def release(self) -> None:
        """Emit the items that were held back."""
        held, self._held = self._held, []
        for item in held:
            self._on_next(item)

    def _win(self) -> None:
        self._has_won = True
        self._race.win(self)
