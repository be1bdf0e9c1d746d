"""Make streams of marble strings."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any

from msgspec import Struct
from reactivex import Observable, abc

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.testing.marbles.diagram import Kind, Mark, checked_frame, named_values, parse


class Playing(Struct, frozen=True):
    """The test that runs.

    Attributes:
        start: The loop's time of frame 0.
        frame: The seconds of one frame.
    """

    start: float
    frame: float


playing: ContextVar[Playing | None] = ContextVar("rxagents_marbles", default=None)


def cold(
    marbles: str,
    values: Mapping[str, Any] | None = None,
    *,
    errors: Exception | None = None,
    frame: float | None = None,
    **named: Any,
) -> Observable[Any]:
    """Make a stream of a marble string, which starts anew with each subscription.

    Args:
        marbles: The string; see `rxagents.testing.marbles`.
        values: The values of the items by their characters, for names such as `"1"`.
        errors: The error of `#`; by default a `RuntimeError`.
        frame: The seconds of one frame; by default those of the `expect` that runs, or else 1.
        **named: The values of the items: `a=…`. A letter without a value is itself, as a `str`,
            and a digit as an `int`.

    Returns:
        The Observable. It waits while a slow reader's gate is closed, and works on any loop.

    Raises:
        ConfigurationError: `marbles` or `frame` is not valid.
    """
    play = _player(marbles, values, errors, frame, named, "|#")
    return timed(lambda observer, scope: play(observer, scope, scope.now(), -math.inf))


def hot(
    marbles: str,
    values: Mapping[str, Any] | None = None,
    *,
    errors: Exception | None = None,
    frame: float | None = None,
    **named: Any,
) -> Observable[Any]:
    """Make a stream of a marble string that runs whether or not anybody has subscribed.

    A subscriber gets what happens from then on. Frame 0 of the test is at `^`, or at the beginning
    of the string. Outside of `expect`, the first subscription is at frame 0.

    Args:
        marbles: The string; see `rxagents.testing.marbles`.
        values: As for `cold`, like the arguments after it.
        errors: The error of `#`.
        frame: The seconds of one frame.
        **named: The values of the items.

    Raises:
        ConfigurationError: `marbles` or `frame` is not valid.
    """
    play = _player(marbles, values, errors, frame, named, "|#^")
    first: list[float] = []

    def subscribe(observer: abc.ObserverBase[Any], scope: TimedScope) -> None:
        test, now = playing.get(), scope.now()
        if test is None:
            first.append(now)
        start = first[0] if test is None else test.start
        # Whoever subscribes at frame 0 gets all of that frame; later, the frame is over by then.
        play(observer, scope, start, now if now > start else -math.inf)

    return timed(subscribe)


_Play = Callable[[abc.ObserverBase[Any], TimedScope, float, float], None]
"""Emits to an observer what happens after a time; the first time is that of frame 0."""


def _player(
    marbles: str,
    values: Mapping[str, Any] | None,
    errors: Exception | None,
    frame: float | None,
    named: Mapping[str, Any],
    allowed: str,
) -> _Play:
    joined = named_values(marbles, values, named)
    parse(marbles, joined, 1.0 if frame is None else checked_frame(frame), allowed)
    if errors is not None and not isinstance(errors, Exception):
        raise ConfigurationError(f"errors must be the exception of `#`, not {errors!r}.")
    error = RuntimeError("the error of the marble string") if errors is None else errors

    def play(
        observer: abc.ObserverBase[Any], scope: TimedScope, start: float, after: float
    ) -> None:
        test = playing.get()
        seconds = frame or (1.0 if test is None else test.frame)
        diagram = parse(marbles, joined, seconds, allowed)
        zero = diagram.frame_of(Kind.SUBSCRIBE)
        first = start - (zero or 0.0) * seconds
        marks = [(first + mark.frame * seconds, mark) for mark in diagram.marks]
        after = after if zero is None else max(after, start)
        _Player(observer, scope, [mark for mark in marks if mark[0] > after], error).go_on()

    return play


class _Player:
    """Emits what is still to come, one timer at a time, so that items of a frame keep order."""

    def __init__(
        self,
        observer: abc.ObserverBase[Any],
        scope: TimedScope,
        marks: list[tuple[float, Mark]],
        error: Exception,
    ) -> None:
        self._observer = observer
        self._scope = scope
        self._marks = marks
        self._error = error
        self._timer = scope.timer(self._play)

    def go_on(self) -> None:
        """Wait for the next mark; never emit inside `subscribe`."""
        if self._marks:
            self._timer.start(max(self._marks[0][0] - self._scope.now(), 0.0))

    def _play(self) -> None:
        while self._marks and not self._scope.is_disposed:
            if self._scope.gate.closed:
                self._scope.gate.when_open(self.go_on)
                return
            due, mark = self._marks[0]
            if due > self._scope.now():
                self.go_on()
                return
            del self._marks[0]
            match mark.kind:
                case Kind.NEXT:
                    self._observer.on_next(mark.value)
                case Kind.ERROR:
                    self._observer.on_error(self._error)
                case _:
                    self._observer.on_completed()
