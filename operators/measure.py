"""Measure when the items of a stream come."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, get_args

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.checks import checked_function
from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Complete, Reasoning, StreamEvent, Token
from rxagents.operators._measurement import Measurement
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.timed_scope import TimedScope, timed

T = TypeVar("T")


@operator_factory
def measure(report: Callable[[Measurement], object]) -> Callable[[Observable[T]], Observable[T]]:
    """Measure the time to the first token, the rate and the gaps, and report them at the end.

    .. marble::
        -----1--2--3--|
        [ measure(print) ]
        -----1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does; the gaps that this causes are measured like all others.
    Completes when: the source completes.

    Args:
        report: Called once per subscription with its `Measurement`: when the stream has completed,
            failed or was disposed. What it raises goes to the loop's exception handler, as with
            `tap_safely`.

    Returns:
        An operator that leaves the items as they are.

    Raises:
        ConfigurationError: On the call, if `report` is not a function. The source's errors pass.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> def report(measurement):
        ...     print(measurement.items, "items")
        >>> rxagents.run(rx.of("a", "b").pipe(ops.measure(report)), print)
        a
        b
        2 items
        'b'
    """
    checked_function("report", report)

    def measure_(source: Observable[T]) -> Observable[T]:
        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            meter = _Meter(scope.now, report)
            on_next_, add = observer.on_next, meter.add

            def on_next(item: T) -> None:
                add(item)
                on_next_(item)

            def on_error(error: Exception) -> None:
                meter.end()
                observer.on_error(error)

            def on_completed() -> None:
                meter.end()
                observer.on_completed()

            scope.hold(Disposable(meter.end))
            scope.subscribe(source, on_next, on_error, on_completed)

        return timed(subscribe)

    return measure_


class _Meter:
    """Notes when items come; each item costs the same."""

    def __init__(self, now: Callable[[], float], report: Callable[[Measurement], object]) -> None:
        self._now = now
        self._report: Callable[[Measurement], object] | None = report
        self._start = now()
        self._first: float | None = None
        self._last = self._start
        self._items = 0
        self._longest_gap = 0.0
        self._usage_item: StreamChunk | Complete | None = None
        self._finish_reason = ""

    def add(self, item: object) -> None:
        """Note an item at the moment it comes."""
        if isinstance(item, (StreamChunk, Complete)):
            if item.usage is not None:
                self._usage_item = item
            self._finish_reason = item.finish_reason or self._finish_reason
        if not _brings_text(item):
            return
        now = self._now()
        if self._first is None:
            self._first = now
        elif now - self._last > self._longest_gap:
            self._longest_gap = now - self._last
        self._last = now
        self._items += 1

    def end(self) -> None:
        """Report the measurement, once."""
        report, self._report = self._report, None
        if report is None:
            return
        try:
            report(self._measurement())
        except BaseException as error:
            report_harmless(error, "The report function of measure raised")

    def _measurement(self) -> Measurement:
        start = self._start
        return Measurement(
            None if self._first is None else self._first - start,
            self._last - start,
            self._now() - start,
            self._items,
            self._longest_gap,
            None if self._usage_item is None else self._usage_item.usage,
            self._finish_reason,
        )


_WITHOUT_TEXT = tuple(kind for kind in get_args(StreamEvent) if kind not in (Token, Reasoning))


def _brings_text(item: object) -> bool:
    """Return whether `item` is new text or a fragment of a tool call, not a repeat or an end."""
    if isinstance(item, StreamChunk):
        return bool(item.delta or item.reasoning or item.refusal or item.tool_calls)
    return not isinstance(item, _WITHOUT_TEXT)
