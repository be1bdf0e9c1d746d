"""Load the package that makes traces, which needs OpenTelemetry."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.listening import Listener

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

TraceNames: TypeAlias = Literal["new", "old", "both"]
"""Which names of the conventions a trace has; see `rxagents.instrument`."""


def tracing_listener(
    *,
    content: bool,
    names: TraceNames,
    chunk_times: bool,
    tracer_provider: TracerProvider | None,
    meter_provider: MeterProvider | None,
) -> Listener:
    """Return the listener that makes traces.

    Raises:
        ConfigurationError: opentelemetry-api is not installed, or an option is not usable.
    """
    try:
        # By its name: the package stands above this one.
        module: Any = importlib.import_module("rxagents.tracing.tracer")
    except ImportError as error:
        if not (error.name or "").startswith("opentelemetry"):
            raise
        raise ConfigurationError(
            "Traces need the extra 'otel': pip install 'rxagents[otel]'"
        ) from None
    made = module.tracer(
        content=content,
        names=names,
        chunk_times=chunk_times,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
    )
    return cast("Listener", made)
