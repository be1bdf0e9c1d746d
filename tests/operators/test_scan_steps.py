"""Test `scan_steps` in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex.testing import ReactiveTest, TestScheduler
from timed_tools import calling

from rxagents import (
    Answer,
    ConfigurationError,
    ErrorInfo,
    Reasoning,
    Reset,
    StreamChunk,
    Thought,
    Token,
    ToolCall,
    tool,
)
from rxagents import operators as ops

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


@tool
def add(a: int, b: int) -> int:
    return a + b


def run(*notes: Any, disposed: int = 1000) -> tuple[list[Any], Any]:
    """Return the messages with their times, and the source."""
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.scan_steps([add])), disposed=disposed)
    return [(message.time, _emitted(message.value)) for message in observer.messages], source


def _emitted(note: Any) -> Any:
    if note.kind != "N":
        return "|" if note.kind == "C" else note.exception
    match note.value:
        case Token(content, section):
            return section, content
        case ToolCall() as call:
            return call.name, call.parse()
        case event:
            return type(event), event.content


def text(time: int, delta: str, **fields: Any) -> Any:
    return on_next(time, StreamChunk(delta, timestamp=time, **fields))


def test_steps_come_with_completing_text() -> None:
    emitted, _ = run(
        text(210, "Thought: I "),
        text(220, "add.\nAct"),
        text(230, "ion: add(1,"),
        text(240, " 2)\n"),
        on_completed(250),
    )
    assert emitted == [
        (210, ("thought", "I")),
        (220, ("thought", " add.")),
        (230, (Thought, "I add.")),
        (230, ("action", "add(1,")),
        (240, ("action", " 2)")),
        (240, ("add", {"a": 1, "b": 2})),
        (250, "|"),
    ]


def test_answer_streams_then_comes_whole() -> None:
    emitted, _ = run(text(210, "Answer: 4"), text(220, "2"), on_completed(250))
    tokens = [(210, ("answer", "4")), (220, ("answer", "2"))]
    assert emitted == [*tokens, (250, (Answer, "42")), (250, "|")]


def test_unfinished_action_is_no_call() -> None:
    emitted, _ = run(text(210, "Action: add(1, "), on_completed(220))
    assert emitted == [(210, ("action", "add(1,")), (220, "|")]


@pytest.mark.parametrize("reason", ["length", "content_filter", "network_error"])
def test_cut_text_completes_no_action(reason: str) -> None:
    emitted, _ = run(
        text(210, "Action: add(1, 2)\nAction: add"),
        text(220, "", finish_reason=reason),
        text(230, ""),
        on_completed(250),
    )
    assert [what for _, what in emitted if what[0] == "add"] == [("add", {"a": 1, "b": 2})]


@pytest.mark.parametrize("reason", ["", "stop", "tool_calls", "eos_token"])
def test_whole_text_completes_its_action(reason: str) -> None:
    reset = on_next(210, StreamChunk(metadata={"reset": ErrorInfo("OSError", "cut")}))
    cut = text(205, "Action: add", finish_reason="length")
    emitted, _ = run(cut, reset, text(220, "Action: add", finish_reason=reason), on_completed(250))
    assert (250, ("add", {})) in emitted


def test_made_up_observation_ends_stream() -> None:
    emitted, source = run(
        text(210, "Action: add(1, 2)\n"),
        text(220, "Observation: 4\nAnswer: 4"),
        text(230, "Answer: 5"),
        on_completed(250),
    )
    assert [what for _, what in emitted] == [
        ("action", "add(1, 2)"),
        ("add", {"a": 1, "b": 2}),
        "|",
    ]
    assert emitted[-1][0] == 220
    assert source.subscriptions == [subscribe(200, 220)]


def test_reset_voids_the_open_section() -> None:
    emitted, _ = run(
        text(210, "Thought: old. Action: add(1,"),
        on_next(220, StreamChunk.reset(OSError("cut"))),
        text(230, " 2)\nAnswer: new"),
        on_completed(240),
    )
    assert emitted[1:] == [
        (220, (Reset, "cut")),
        (230, ("thought", "2)")),
        (230, (Thought, "2)")),
        (230, ("answer", "new")),
        (240, (Answer, "new")),
        (240, "|"),
    ]


def test_reasoning_is_not_parsed() -> None:
    emitted, _ = run(
        text(210, "", reasoning="Action: add(1, 2)"), text(220, "hm"), on_completed(230)
    )
    assert emitted[0] == (210, (Reasoning, "Action: add(1, 2)"))
    assert (add.name, {"a": 1, "b": 2}) not in [what for _, what in emitted]


def test_refusal_is_its_own_section() -> None:
    emitted, _ = run(text(210, "", refusal="I will not."), on_completed(220))
    assert emitted == [(210, ("refusal", "I will not.")), (220, "|")]


def test_other_choices_are_ignored() -> None:
    emitted, _ = run(
        text(210, "Answer: 1", choice=1, reasoning="hm", refusal="no"),
        text(220, "Answer: 2"),
        on_completed(230),
    )
    assert emitted == [(220, ("answer", "2")), (230, (Answer, "2")), (230, "|")]


def test_native_tool_calls_are_ignored() -> None:
    emitted, _ = run(on_next(210, calling(0, "add")), on_completed(220))
    assert emitted == [(220, "|")]


def test_error_drops_the_unfinished_step() -> None:
    error = OSError("cut")
    emitted, _ = run(text(210, "Thought: I"), text(220, "\nAnswer: 4"), on_error(230, error))
    assert emitted[-1] == (230, error)
    assert (Answer, "4") not in [what for _, what in emitted]


def test_dispose_disposes_the_source() -> None:
    emitted, source = run(text(210, "x"), text(220, "y"), disposed=215)
    assert len(emitted) == 1
    assert source.subscriptions == [subscribe(200, 215)]


def test_steps_have_their_chunks_timestamp() -> None:
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(
        text(210, "I think."), text(220, "\nAnswer: yes"), on_completed(300)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.scan_steps()))
    events = [m.value.value for m in observer.messages if m.value.kind == "N"]
    assert [(type(event), event.timestamp) for event in events] == [
        (Token, 210),
        (Thought, 220),
        (Token, 220),
        (Answer, 220),
    ]


def test_subscriptions_parse_separately() -> None:
    scheduler = TestScheduler()
    cold: Any = scheduler.create_cold_observable(
        text(10, "Answer: a"), text(20, "b"), on_completed(30)
    )
    piped = cold.pipe(ops.scan_steps())
    observers: list[Any] = [scheduler.create_observer() for _ in range(2)]
    for start, observer in zip((0.0, 15.0), observers, strict=True):
        scheduler.schedule_absolute(
            start, lambda _, observer: piped.subscribe(observer, scheduler=scheduler), observer
        )
    scheduler.start()
    for observer in observers:
        emitted = [_emitted(message.value) for message in observer.messages]
        assert emitted == [("answer", "a"), ("answer", "b"), (Answer, "ab"), "|"]


def test_non_chunk_is_a_typed_error() -> None:
    emitted, _ = run(on_next(210, "text"), on_completed(220))
    ((time, error),) = emitted
    assert time == 210
    assert isinstance(error, ConfigurationError)


@pytest.mark.parametrize("tools", ["add", ["add"], [None], [{}]])
def test_non_tool_is_refused(tools: Any) -> None:
    with pytest.raises(ConfigurationError):
        ops.scan_steps(tools)
