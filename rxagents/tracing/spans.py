"""The span of an operation, with its metrics: it begins once and ends once.

Theory of operation. A span begins when the stream of its operation is subscribed to, and ends with
the stream: completed, failed, or disposed. Any thread may dispose, so `end` decides with a lock who
was first. A span that was disposed has no error: its attribute `rxagents.disposed` says so.

The span of a run or a tool is the current one while its stream is subscribed to. So it is the
parent of what begins there, and asyncio carries it into the tasks, timers and threads that start
there. The span of a model call is never current: the subscriber's code, which runs in the task of
the stream, would make it the parent of its own spans.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from rxagents.core.errors import ProviderError, RxAgentsError
from rxagents.core.printing import printed
from rxagents.runtime.source import is_cancellation
from rxagents.tracing import names
from rxagents.tracing.instruments import Attributes, Instruments
from rxagents.tracing.names import Metric


class Telemetry(Struct, frozen=True):
    """The tools that spans and metrics are made with.

    Attributes:
        tracer: Makes the spans.
        instruments: Record the metrics.
        has_content: Whether spans have the texts of messages, tools and errors.
        has_chunk_times: Whether the time of each chunk is recorded.
        old_attributes: Earlier names of attributes, by their present name.
        has_new_attributes: Whether attributes that have an earlier name get the present one too.
    """

    tracer: trace.Tracer
    instruments: Instruments
    has_content: bool
    has_chunk_times: bool
    old_attributes: Mapping[str, str]
    has_new_attributes: bool


class OpenSpan:
    """A span that has begun.

    Args:
        telemetry: Makes the span.
        name: Its name.
        operation: The name of its operation; empty for a span that has none.
        attributes: Its attributes, apart from the operation.
        kind: Its kind.
        metric: The metric of its duration; `None` for none.
        start: When it began, in nanoseconds since the epoch; `None` for now.
        parent: The context of its parent; `None` for the current one.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        name: str,
        operation: str,
        attributes: dict[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        metric: Metric | None = None,
        start: int | None = None,
        parent: Context | None = None,
    ) -> None:
        self.telemetry = telemetry
        self.parent = otel.get_current() if parent is None else parent
        operation_attributes = {names.OPERATION: operation} if operation else {}
        self.span = telemetry.tracer.start_span(
            name, self.parent, kind, {**operation_attributes, **attributes}, start_time=start
        )
        late = 0.0 if start is None else (time.time_ns() - start) / 1e9
        self.began = time.perf_counter() - late
        self.metric_attributes: dict[str, AttributeValue] = dict(operation_attributes)
        self._metric = metric
        self._retries = 0
        self._once = threading.Lock()
        self._live: Attributes = operation_attributes  # empty: it is no operation
        if operation:
            telemetry.instruments.live.add(1, self._live)

    @property
    def context(self) -> Context:
        """The context in which the span is the current one."""
        return trace.set_span_in_context(self.span, self.parent)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the span the current one inside of the block."""
        token = otel.attach(self.context)
        try:
            yield
        finally:
            otel.detach(token)

    def set(self, attributes: Mapping[str, AttributeValue | None]) -> None:
        """Set the attributes that have a value."""
        for name, value in attributes.items():
            if value is None:
                continue
            old = self.telemetry.old_attributes.get(name)
            if old is not None:
                self.span.set_attribute(old, value)
            if old is None or self.telemetry.has_new_attributes:
                self.span.set_attribute(name, value)

    def on_retry(self, error: Exception, seconds: float) -> None:
        """Add the event of a failed attempt after which another one follows."""
        self._retries += 1
        attributes: dict[str, AttributeValue] = {
            names.RETRY_ATTEMPT: self._retries,
            names.RETRY_DELAY: seconds,
            names.ERROR_TYPE: error_type(error),
        }
        if isinstance(error, ProviderError) and error.status is not None:
            attributes[names.STATUS_CODE] = error.status
        self.span.add_event(names.RETRY, attributes)

    def guarding(self, emit: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that emits an item, and ends the span if the consumer raises.

        The source then ends without a terminal, and nobody need dispose it.
        """

        def on_next(item: Any) -> None:
            try:
                emit(item)
            except BaseException:
                self.end(is_disposed=True)
                raise

        return on_next

    def fail(self, kind: str, message: str) -> None:
        """Set the error; its message only in a trace with content."""
        self.set({names.ERROR_TYPE: kind})
        self.metric_attributes[names.ERROR_TYPE] = kind
        shown = message if self.telemetry.has_content else None
        self.span.set_status(Status(StatusCode.ERROR, shown))

    def end(self, error: BaseException | None = None, *, is_disposed: bool = False) -> None:
        """End the span, unless it has ended; any thread may call it."""
        if not self._once.acquire(blocking=False):
            return
        if is_disposed or (isinstance(error, Exception) and is_cancellation(error)):
            self.set({names.DISPOSED: True})
        elif error is not None:
            self.fail(error_type(error), printed(error))
            if isinstance(error, ProviderError):
                self.set({names.STATUS_CODE: error.status})
        self.finish()
        self.span.end()
        instruments = self.telemetry.instruments
        if self._live:
            instruments.live.add(-1, self._live)
        if self._metric is not None:
            seconds = time.perf_counter() - self.began
            instruments.record(self._metric, seconds, self.metric_attributes)

    def finish(self) -> None:
        """Set the attributes that are known at the end, and record further metrics."""


def error_type(error: BaseException) -> str:
    """Return the name of an error's class, with its module if it is not of this library."""
    kind = type(error)
    if isinstance(error, RxAgentsError) or kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def attributes_of(values: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes that have a value."""
    return {name: value for name, value in values.items() if value is not None}
