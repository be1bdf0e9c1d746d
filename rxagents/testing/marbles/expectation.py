"""Run a stream in virtual time, and compare it with a marble string."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.core.printing import printed
from rxagents.runtime.bridge import LoopScheduler
from rxagents.runtime.loop import is_loop_running
from rxagents.testing.marbles.comparing import matches
from rxagents.testing.marbles.diagram import (
    Kind,
    Mark,
    checked_frame,
    named_values,
    parse,
)
from rxagents.testing.marbles.drawing import difference
from rxagents.testing.marbles.sources import Playing, playing
from rxagents.testing.virtual_time import run_in_virtual_time, running_loop_error

GRACE_FRAMES = 100
"""How long a stream is watched after the end of its marble string."""

_LAST_TURNS = 30
"""Turns of the loop in which a disposed stream may end."""

_INSTANT = 1e-6
"""Frames. An unsubscription comes so much before the items of its frame."""


def expect(
    stream: Observable[Any],
    marbles: str,
    values: Mapping[str, Any] | None = None,
    *,
    errors: Exception | type[Exception] | str | None = None,
    subscription: str = "^",
    frame: float = 1.0,
    **named: Any,
) -> None:
    """Check that a stream emits what a marble string draws, at these times.

    The stream runs on an event loop of its own, with virtual time: nothing waits in real time, and
    no scheduler is needed. It works with reactivex's operators, ours, models and agents. Without
    `!`, the stream is watched for 100 frames more than the string has, and must emit nothing then.

    Args:
        stream: The Observable.
        marbles: The string; see `rxagents.testing.marbles`.
        values: The expected items by their characters, for names such as `"1"`.
        errors: The error expected at `#`: its type, or an exception of the same type and message,
            or a part of its message; by default any.
        subscription: When to subscribe (`^`) and to unsubscribe (`!`, before the items of that
            frame).
        frame: The seconds of one frame.
        **named: The expected items: `a=…`. A value is equal to the item; or the text of a chunk or
            an event, as a `str`; or a type; or a chunk, event or tool call, which is compared in
            the fields that it sets, and never in times. A letter without a value is itself.

    Raises:
        AssertionError: The stream differs. The message draws both, one under the other.
        ConfigurationError: An argument is not valid, or a loop is already running, as in an
            `async def` test.
    """
    if not isinstance(stream, Observable):
        raise ConfigurationError(f"expect takes an Observable, not {type(stream).__name__}.")
    if is_loop_running():
        raise running_loop_error("expect")
    drawn = parse(marbles, named_values(marbles, values, named), checked_frame(frame), "|#")
    times = parse(subscription, {}, frame, "^!")
    start, stop = times.frame_of(Kind.SUBSCRIBE) or 0.0, times.frame_of(Kind.UNSUBSCRIBE)
    limit = drawn.length + GRACE_FRAMES if stop is None else stop - _INSTANT
    watch = _Watch(stream, frame, start, limit)
    run_in_virtual_time(watch.run())
    message = _compare(drawn.marks, watch.marks, errors, frame)
    cause = watch.failures[0] if watch.failures else _error_of(watch.marks)
    if watch.failures:
        message = (
            f"{message or 'The stream is as expected.'}\n\nAn exception was reported to the event "
            f"loop: {type(cause).__name__}: {printed(watch.failures[0])}"
        )
    if message:
        raise AssertionError(message) from cause


class _Watch:
    """One subscription of a test.

    Attributes:
        marks: What the stream emitted.
        failures: What reached the loop's exception handler.
    """

    def __init__(self, stream: Observable[Any], frame: float, start: float, limit: float) -> None:
        self.marks: list[Mark] = []
        self.failures: list[Exception] = []
        self._stream = stream
        self._frame = frame
        self._start = start
        self._limit = limit

    async def run(self) -> None:
        """Subscribe, and return when the stream has ended or its time is over."""
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(self._keep)
        playing.set(Playing(loop.time(), self._frame))
        over = asyncio.Event()
        clock = loop.time

        def note(kind: Kind, value: Any = None) -> None:
            self.marks.append(Mark(clock() / self._frame, kind, value=value))
            if kind is not Kind.NEXT:
                over.set()

        await asyncio.sleep(self._start * self._frame)
        subscription = self._stream.subscribe(
            lambda item: note(Kind.NEXT, item),
            lambda error: note(Kind.ERROR, error),
            lambda: note(Kind.COMPLETED),
            scheduler=LoopScheduler(loop, None),  # reactivex's own would fire on other threads
        )
        try:
            async with asyncio.timeout_at(self._limit * self._frame):
                await over.wait()
        except TimeoutError:
            pass
        subscription.dispose()
        for _ in range(_LAST_TURNS):
            await asyncio.sleep(0)

    def _keep(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self.failures.append(context.get("exception") or RuntimeError(context["message"]))


def _compare(
    expected: tuple[Mark, ...],
    seen: list[Mark],
    errors: Exception | type[Exception] | str | None,
    frame: float,
) -> str:
    """Return the difference; "" if there is none."""
    same = [_is_same(wanted, found, errors) for wanted, found in zip(expected, seen, strict=False)]
    if all(same) and len(expected) == len(seen):
        return ""
    place = next((number for number, is_same in enumerate(same) if not is_same), len(same))
    return difference(expected, seen, place, errors, frame)


def _error_of(seen: list[Mark]) -> Exception | None:
    return next((mark.value for mark in seen if mark.kind is Kind.ERROR), None)


def _is_same(wanted: Mark, found: Mark, errors: Exception | type[Exception] | str | None) -> bool:
    if wanted.kind is not found.kind or not is_same_frame(wanted.frame, found.frame):
        return False
    if wanted.kind is Kind.ERROR:
        return _is_error(errors, found.value)
    return wanted.kind is Kind.COMPLETED or matches(wanted.value, found.value)


def is_same_frame(one: float, other: float) -> bool:
    """Return whether two times are the same, except for the rounding of sums."""
    return abs(one - other) < 1e-3


def _is_error(expected: Exception | type[Exception] | str | None, found: Exception) -> bool:
    if expected is None:
        return True
    if isinstance(expected, str):
        return expected in str(found)
    if isinstance(expected, type):
        return isinstance(found, expected)
    return type(found) is type(expected) and str(found) == str(expected)
