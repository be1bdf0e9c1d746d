"""Measures a stream as it passes."""

from __future__ import annotations

import time
from collections.abc import Iterator

from rich.text import Text

from rxagents.cli.pieces import printable
from rxagents.core.chunks import StreamChunk
from rxagents.core.usage import Usage


class Meter:
    """Notes when the chunks of a stream come, and what they tell about it.

    The clock starts when it is made.
    """

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._first: float | None = None
        self._last = 0.0
        self._count = 0
        self._usage: Usage | None = None
        self._finish_reason = ""

    def add(self, chunk: StreamChunk) -> None:
        """Take in a chunk, at the moment it comes."""
        self._usage = chunk.usage or self._usage
        self._finish_reason = chunk.finish_reason or self._finish_reason
        if chunk.delta or chunk.reasoning or chunk.refusal or chunk.tool_calls:
            self._last = time.perf_counter() - self._started
            self._first = self._last if self._first is None else self._first
            self._count += 1

    def summary(self) -> Text:
        """Return what was measured, in two lines."""
        dot = Text.assemble((" · ", "dim"))
        return Text("\n").join([dot.join(self._times()), dot.join(self._cost())])

    def _times(self) -> Iterator[Text]:
        if self._first is None:
            yield Text("no text", "dim")
            return
        tokens = None if self._usage is None else self._usage.output_tokens
        count, unit = (self._count, "chunks") if tokens is None else (tokens, "tokens")
        yield Text(f"first token after {_seconds(self._first)}", "dim")
        yield Text(f"{count} {unit} in {_seconds(self._last)}", "dim")
        yield Text(f"{count / self._last:.0f} {unit}/s", "bold green")

    def _cost(self) -> Iterator[Text]:
        counts = [] if self._usage is None else _counts(self._usage)
        yield Text("usage: " + (", ".join(counts) or "not reported"), "dim")
        if self._finish_reason not in {"", "stop"}:
            yield Text(f"finish reason: {printable(self._finish_reason)}", "yellow")


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
