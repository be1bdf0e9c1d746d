"""Trace everything that a program does with models, agents and tools."""

from __future__ import annotations

from typing import TYPE_CHECKING

from reactivex.disposable import Disposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.listening import install
from rxagents.runtime.tracing_extra import TraceNames, tracing_listener

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider


def instrument(
    *,
    content: bool = False,
    names: TraceNames = "new",
    chunk_times: bool = False,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Disposable:
    """Make spans and metrics of all model calls, agents' runs and tool calls of the program.

    They have the names of OpenTelemetry's conventions for generative AI: a span `chat {model}` for
    each request with its retries, `invoke_agent {name}` for each run, `execute_tool {name}` for
    each tool call. What has begun already is not traced. It needs the extra `otel`:
    `pip install 'rxagents[otel]'`.

    Args:
        content: Whether spans have the texts too: messages, tool arguments and results, and the
            messages of errors.
        names: `"new"` for the names of the conventions v0.1.0, `"old"` for those of the metrics and
            attributes that had others before, or `"both"`.
        chunk_times: Whether to record the time between two chunks, for each chunk. That costs more
            than all the rest.
        tracer_provider: Makes the tracer; OpenTelemetry's global one by default.
        meter_provider: Makes the meter; OpenTelemetry's global one by default.

    Returns:
        A Disposable that ends it; streams that run are traced to their end.

    Raises:
        ConfigurationError: opentelemetry-api is not installed, the program is instrumented already,
            or an argument is not usable.
    """
    listener = tracing_listener(
        content=content,
        names=names,
        chunk_times=chunk_times,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
    )
    before = install(listener)
    if before is not None:
        install(before)
        raise ConfigurationError(
            "The program is instrumented already. Dispose what rxagents.instrument returned first."
        )

    return Disposable(_uninstall)


def _uninstall() -> None:
    install(None)
