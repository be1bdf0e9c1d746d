"""Trace an agent, its sub-agent and their tools with OpenTelemetry, and print the spans.

pip install 'rxagents[otel]' opentelemetry-sdk
"""

from contextlib import suppress

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import rxagents
from rxagents import FunctionAgent, ToolCall
from rxagents.testing import Reply, ScriptedLLM


@rxagents.tool
async def temperature(city: str) -> int:
    """Return the temperature of a city."""
    return len(city)


def agent() -> FunctionAgent:
    """Return an agent with a sub-agent, both of which answer from a script."""
    ask = Reply(tool_calls=[ToolCall("call_1", "weather", '{"task": "How warm is Oslo?"}')])
    look = Reply(tool_calls=[ToolCall("call_2", "temperature", '{"city": "Oslo"}')], interval=0.01)
    expert = FunctionAgent(ScriptedLLM(look, "4 degrees."), [temperature], name="meteorologist")
    tools = [expert.as_tool("weather", "Knows the weather.")]
    return FunctionAgent(ScriptedLLM(ask, "It is 4 degrees in Oslo."), tools, name="host")


def show(spans: list[ReadableSpan], parent: int | None = None, depth: int = 0) -> None:
    """Print spans, each below its parent."""
    for span in sorted(spans, key=lambda span: span.start_time or 0):
        if (span.parent.span_id if span.parent else None) == parent and span.context:
            seconds = ((span.end_time or 0) - (span.start_time or 0)) / 1e9
            print(f"{'  ' * depth}{span.name} ({seconds:.3f} s)")
            show(spans, span.context.span_id, depth + 1)


if __name__ == "__main__":
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    with rxagents.instrument(tracer_provider=provider), suppress(KeyboardInterrupt):
        rxagents.run(agent().run_stream("How warm is it in Oslo?"))
        show(list(exporter.get_finished_spans()))
