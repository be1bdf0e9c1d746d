"""Summarize the measurement of a stream in two lines."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from rxagents.cli.pieces import printable
from rxagents.core.usage import Usage
from rxagents.operators import Measurement


def summary(measured: Measurement) -> Text:
    """Return a line with the times and a line with the usage."""
    dot = Text.assemble((" · ", "dim"))
    return Text("\n").join([dot.join(_times(measured)), dot.join(_usage(measured))])


def finish_line(measured: Measurement) -> Text | None:
    """Return an unusual finish reason; `None` if the answer is complete."""
    if measured.finish_reason in {"", "stop"}:
        return None
    return Text(f"finish reason: {printable(measured.finish_reason)}", "yellow")


def _times(measured: Measurement) -> Iterator[Text]:
    if measured.first is None:
        yield Text("no text", "dim")
        return
    tokens = None if measured.usage is None else measured.usage.output_tokens
    if tokens is None:
        count, unit, rate = measured.items, "chunks", measured.items_per_second
    else:
        count, unit, rate = tokens, "tokens", measured.tokens_per_second
    yield Text(f"first token after {_seconds(measured.first)}", "dim")
    yield Text(f"{count} {unit} in {_seconds(measured.last)}", "dim")
    if rate is not None:
        yield Text(f"{rate:.0f} {unit}/s", "bold green")


def _usage(measured: Measurement) -> Iterator[Text]:
    counts = [] if measured.usage is None else _counts(measured.usage)
    yield Text("usage: " + (", ".join(counts) or "not reported"), "dim")
    if line := finish_line(measured):
        yield line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _counts(usage: Usage) -> list[str]:
    counts = {
        "input": usage.input_tokens,
        "cached": usage.cached_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
        "total": usage.total_tokens,
    }
    return [f"{count} {name}" for name, count in counts.items() if count is not None]
