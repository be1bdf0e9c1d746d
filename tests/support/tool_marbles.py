"""Run `run_tools` in virtual time, with short marks for its items."""

from __future__ import annotations

from typing import Any

from observing import pending
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import (
    Reset,
    StreamChunk,
    Tool,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
)
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe

Marks = list[tuple[float, str]]


def marks(messages: list[Any]) -> Marks:
    """Return time and mark of each message: `S`tart, `P`rogress and `E`nd with the call's id.

    The fragments of arguments are left out: `test_turn_events` tests them.
    """
    return [(each.time, mark(each.value)) for each in messages if not _is_fragment(each)]


def _is_fragment(message: Any) -> bool:
    return message.value.kind == "N" and isinstance(message.value.value, ToolArguments)


def mark(note: Any) -> str:
    if note.kind == "C":
        return "|"
    if note.kind == "E":
        return f"# {note.exception}"
    item = note.value
    if isinstance(item, StreamChunk):
        return "reset" if item.metadata else item.delta or "calls"
    if isinstance(item, Reset):
        return "reset"
    letters: dict[type, str] = {ToolStart: "S", ToolProgress: "P", ToolEnd: "E"}
    letter = letters[type(item)]
    progress = f" {item.content}" if isinstance(item, ToolProgress) else ""
    return f"{letter} {item.call_id}{progress}"


def run_marbles(
    notes: list[Any],
    tools: list[Tool],
    *,
    disposed: float = 1000,
    hot: bool = True,
    **options: Any,
) -> tuple[Marks, list[Any], Any]:
    """Run the operator in virtual time; nothing may be left scheduled after it."""
    scheduler = TestScheduler()
    source: Any = (scheduler.create_hot_observable if hot else scheduler.create_cold_observable)(
        *notes
    )
    observer: Any = scheduler.start(
        lambda: source.pipe(ops.run_tools(tools, **options)), disposed=disposed
    )
    assert not pending(scheduler)
    items = [each for each in observer.messages if each.value.kind == "N"]
    values = [each.value.value for each in items if not _is_fragment(each)]
    return marks(observer.messages), values, source


def timeline(notes: list[Any], tools: list[Tool], **options: Any) -> Marks:
    return run_marbles(notes, tools, **options)[0]
