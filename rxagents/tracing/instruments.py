"""The instruments of the metrics, under their new names, their old ones, or both."""

from __future__ import annotations

from collections.abc import Mapping

from opentelemetry.metrics import Histogram, Meter
from opentelemetry.util.types import AttributeValue

from rxagents.tracing import names
from rxagents.tracing.names import Metric, Names

Attributes = Mapping[str, AttributeValue]


class Instruments:
    """Records the metrics.

    Args:
        meter: Makes the instruments.
        chosen: Which names they have.

    Attributes:
        live: The number of operations that run now.
    """

    def __init__(self, meter: Meter, chosen: Names) -> None:
        self._meter = meter
        self._is_new, self._is_old = chosen != "old", chosen != "new"
        self._histograms = {metric: self._made(metric) for metric in _HISTOGRAMS}
        live = names.LIVE
        self.live = meter.create_up_down_counter(live.name, live.unit, live.description)
        self._counters = {
            attribute: meter.create_counter(counter, "{token}", "Tokens of model calls.")
            for attribute, counter in names.USAGE_COUNTERS.items()
            if self._is_new
        }

    def record(self, metric: Metric, value: float, attributes: Attributes) -> None:
        """Record a value of a histogram."""
        for histogram in self._histograms[metric]:
            histogram.record(value, attributes)

    def record_tokens(self, counts: Mapping[str, int], attributes: Attributes) -> None:
        """Record the token counts of a model call, by the attributes of its span."""
        known = {**attributes, names.MODALITY: names.UNKNOWN_MODALITY}
        for attribute, counter in self._counters.items():
            if attribute in counts:
                counter.add(counts[attribute], known)
        for attribute, metric, kind in _PER_CALL:
            if attribute in counts:
                self.record(metric, counts[attribute], attributes)
                old = {**attributes, names.TOKEN_TYPE: kind}
                self.record(names.OLD_TOKENS, counts[attribute], old)

    def _made(self, metric: Metric) -> tuple[Histogram, ...]:
        chosen = (metric.name if self._is_new else "", metric.old if self._is_old else "")
        return tuple(
            self._meter.create_histogram(
                name,
                metric.unit,
                metric.description,
                explicit_bucket_boundaries_advisory=metric.buckets,
            )
            for name in dict.fromkeys(chosen)
            if name
        )


_PER_CALL = (
    (names.INPUT_TOKENS, names.INPUT_PER_CALL, "input"),
    (names.OUTPUT_TOKENS, names.OUTPUT_PER_CALL, "output"),
)

_HISTOGRAMS = (
    names.DURATION,
    names.TIME_TO_FIRST_CHUNK,
    names.TIME_PER_CHUNK,
    names.INPUT_PER_CALL,
    names.OUTPUT_PER_CALL,
    names.OLD_TOKENS,
    names.RUN_DURATION,
    names.RUN_CALLS,
    names.RUN_TOOL_CALLS,
    names.TOOL_DURATION,
)
