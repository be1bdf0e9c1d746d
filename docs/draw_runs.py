"""Draw the pictures of docs/pictures.md.

    python docs/draw_runs.py

Makes three runs with scripted times, records each, and writes its SVG to docs/runs/.
"""

from __future__ import annotations

import random
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from rxagents import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    OverloadedError,
    RunPicture,
    StreamChunk,
    Thought,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
    draw_run,
)
from rxagents.core.events import Reset
from rxagents.runtime.recording import RecordedLine

FOLDER = Path(__file__).parent / "runs"

Line = RecordedLine[Any]


def short() -> Iterator[Line]:
    """Yield the chunks of an answer of ten tokens."""
    at = 0.62
    for index, text in enumerate(
        ("Air", " scatters", " blue", " light", " more", " than", " red", " light", " does", ".")
    ):
        yield Line(at, StreamChunk(text, index, finish_reason="stop" if text == "." else ""))
        at += 0.08 + 0.06 * (index % 3)
    yield Line(at, completed=True)


def tools() -> Iterator[Line]:
    """Yield the events of a ReAct run with two tools, of which one needs an approval."""
    clock = _Clock()
    yield clock.line(0, TurnStart(1))
    yield from clock.words(
        0.7, 0.05, "I need the price, and then I can place the order. ", "thought"
    )
    yield clock.line(0.02, Thought("I need the price."))
    yield from clock.words(0.04, 0.04, 'Action: price(item="desk")', "action")
    yield clock.line(0.01, ToolStart("a", "price", {"item": "desk"}))
    yield clock.line(1.3, ToolEnd("a", "price", "240", duration=1.3))
    yield clock.line(0, TurnEnd(1, "stop"))
    yield clock.line(0, TurnStart(2))
    yield from clock.words(
        0.5, 0.05, "It costs 240, which is within the budget of the team. ", "thought"
    )
    yield from clock.words(0.04, 0.04, 'Action: order(item="desk")', "action")
    yield clock.line(0.01, ApprovalRequest("b", "order", {"item": "desk"}))
    yield clock.line(3.4, ApprovalAnswer("b", "order", approved=True, arguments={"item": "desk"}))
    yield clock.line(0, ToolStart("b", "order", {"item": "desk"}))
    for _ in range(3):
        yield clock.line(0.25, ToolProgress("b", "order", "…"))
    yield clock.line(0.25, ToolEnd("b", "order", "placed", duration=1.0))
    yield clock.line(0, TurnEnd(2, "stop"))
    yield clock.line(0, TurnStart(3))
    yield from clock.words(
        0.45, 0.045, "The desk is ordered: it costs 240 and comes on Monday. ", "answer"
    )
    yield clock.line(0, Answer("The desk is ordered."))
    yield clock.line(0, TurnEnd(3, "stop"))
    yield clock.line(0, Complete("The desk is ordered.", finish_reason="stop"))
    yield Line(clock.at, completed=True)


def long() -> Iterator[Line]:
    """Yield the events of a long run: a reset, a sub-agent, a gap, and a dispose."""
    clock = _Clock()
    pace = random.Random(7)
    yield clock.line(0, TurnStart(1))
    for _ in range(260):
        yield clock.line(pace.expovariate(60), Token("word "))
    yield clock.line(0.2, Reset.of(OverloadedError("overloaded", provider="any")))
    yield clock.line(0.9, Token("Let "))
    for number in range(300):
        yield clock.line(pace.expovariate(70), Token("me "))
        if number > 270:
            yield Line(clock.at, ToolArguments("s", "research", "{"))
    yield clock.line(0.02, ToolStart("s", "research", {"task": "Read it."}))
    path = ("research",)
    yield clock.line(0.1, TurnStart(1, path=path))
    for _ in range(350):
        yield clock.line(pace.expovariate(90), Token("so ", path=path))
    for key in ("p", "q"):
        yield clock.line(0.05, ToolStart(key, "fetch", {}, path=path))
    yield clock.line(1.1, ToolEnd("p", "fetch", "", duration=1.1, path=path))
    yield clock.line(0.8, ToolEnd("q", "fetch", "", _not_found(), duration=1.9, path=path))
    yield clock.line(0, TurnEnd(1, "tool_calls", path=path))
    yield clock.line(0, TurnStart(2, path=path))
    for _ in range(300):
        yield clock.line(pace.expovariate(80), Token("it ", path=path))
    yield clock.line(0, TurnEnd(2, "stop", path=path))
    yield clock.line(0, ToolEnd("s", "research", "…", duration=12.0))
    yield clock.line(0, TurnEnd(1, "tool_calls"))
    yield clock.line(0, TurnStart(2))
    yield clock.line(0.8, Token("So "))
    for _ in range(500):
        yield clock.line(pace.expovariate(65), Token("on "))
    clock.at += 4.5
    for _ in range(290):
        yield clock.line(pace.expovariate(65), Token("and "))
    yield Line(clock.at + 1.8, stopped="disposed")


class _Clock:
    def __init__(self) -> None:
        self.at = 0.0

    def line(self, wait: float, item: Any) -> Line:
        self.at += wait
        return Line(self.at, item)

    def words(self, wait: float, pause: float, text: str, section: str) -> Iterator[Line]:
        for word in text.split():
            yield self.line(wait, Token(f"{word} ", section))
            wait = pause


def _not_found() -> Any:
    from rxagents import ErrorInfo

    return ErrorInfo("ToolError", "not found")


RUNS = {"short": short, "tools": tools, "long": long}


def picture(name: str, folder: Path) -> RunPicture:
    """Return the picture of a run, of which a recording is written to a folder."""
    path = folder / f"{name}.jsonl"
    path.write_bytes(msgspec.json.Encoder().encode_lines(RUNS[name]()))
    return draw_run(path)


def main() -> None:
    """Draw all pictures."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name in RUNS:
            (FOLDER / f"{name}.svg").write_text(picture(name, Path(folder)).svg, encoding="utf-8")


if __name__ == "__main__":
    main()
