"""Collect spans and metrics in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import rxagents


class Collected:
    """The spans and metrics that a test makes.

    Attributes:
        providers: The arguments of `instrument` and `trace` that make them.
    """

    def __init__(self) -> None:
        self._exporter = InMemorySpanExporter()
        self._reader = InMemoryMetricReader()
        self.spans_made = TracerProvider(shutdown_on_exit=False)
        self.spans_made.add_span_processor(SimpleSpanProcessor(self._exporter))
        meters = MeterProvider([self._reader], shutdown_on_exit=False)
        self.providers: dict[str, Any] = {
            "tracer_provider": self.spans_made,
            "meter_provider": meters,
        }

    @contextmanager
    def instrumented(self, **options: Any) -> Iterator[None]:
        """Instrument the program inside of the block."""
        installed = rxagents.instrument(**self.providers, **options)
        try:
            yield
        finally:
            installed.dispose()

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """The spans that have ended, in the order in which they began."""
        return tuple(sorted(self._exporter.get_finished_spans(), key=lambda s: s.start_time or 0))

    def named(self, name: str) -> list[ReadableSpan]:
        """Return the spans of a name."""
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        """Return the only span of a name."""
        (span,) = self.named(name)
        return span

    def tree(self) -> list[str]:
        """Return the names of the spans, each indented below its parent."""
        children: dict[int | None, list[ReadableSpan]] = {}
        for span in self.spans:
            children.setdefault(span.parent.span_id if span.parent else None, []).append(span)

        def below(parent: int | None, depth: int) -> Iterator[str]:
            for span in children.get(parent, ()):
                assert span.context is not None
                yield ".." * depth + span.name
                yield from below(span.context.span_id, depth + 1)

        return list(below(None, 0))

    def points(self, metric: str) -> list[Any]:
        """Return the data points of a metric."""
        data = self._reader.get_metrics_data()
        return [
            point
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
            if found.name == metric
            for point in found.data.data_points
        ]

    def metrics(self) -> set[str]:
        """Return the names of the metrics that have data points."""
        data = self._reader.get_metrics_data()
        return {
            found.name
            for resource in (data.resource_metrics if data else ())
            for scope in resource.scope_metrics
            for found in scope.metrics
        }

    def live(self) -> dict[Any, int]:
        """Return how many operations of each name run."""
        return {
            point.attributes.get("gen_ai.operation.name"): point.value
            for point in self.points("rxagents.live")
        }


def values(span: ReadableSpan) -> dict[str, Any]:
    """Return the attributes of a span."""
    return dict(span.attributes or {})
