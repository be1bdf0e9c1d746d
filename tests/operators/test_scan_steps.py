"""`scan_steps`: from chunks of text to thoughts, actions and the answer."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex.testing import ReactiveTest, TestScheduler
from timed_tools import calling

from rxagents import (
    Answer,
    ConfigurationError,
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
    """Return when what came, and the source."""
    scheduler = TestScheduler()
    source: Any = scheduler.create_hot_observable(*notes)
    observer: Any = scheduler.start(lambda: source.pipe(ops.scan_steps([add])), disposed=disposed)
    return [(message.time, _told(message.value)) for message in observer.messages], source


def _told(note: Any) -> Any:
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


def test_each_step_comes_with_the_text_that_completes_it() -> None:
    told, _ = run(
        text(210, "Thought: I "),
        text(220, "add.\nAct"),
        text(230, "ion: add(1,"),
        text(240, " 2)\n"),
        on_completed(250),
    )
    assert told == [
        (210, ("thought", "I")),
        (220, ("thought", " add.")),
        (230, (Thought, "I add.")),
        (230, ("action", "add(1,")),
        (240, ("action", " 2)")),
        (240, ("add", {"a": 1, "b": 2})),
        (250, "|"),
    ]


def test_the_answer_streams_and_comes_whole_at_the_end() -> None:
    told, _ = run(text(210, "Answer: 4"), text(220, "2"), on_completed(250))
    assert told == [(210, ("answer", "4")), (220, ("answer", "2")), (250, (Answer, "42")), (250, "|")]  # fmt: skip  # noqa: E501


def test_half_an_action_is_no_call() -> None:
    told, _ = run(text(210, "Action: add(1, "), on_completed(220))
    assert told == [(210, ("action", "add(1,")), (220, "|")]


def test_an_observation_that_is_made_up_ends_the_stream_and_the_source() -> None:
    told, source = run(
        text(210, "Action: add(1, 2)\n"),
        text(220, "Observation: 4\nAnswer: 4"),
        text(230, "Answer: 5"),
        on_completed(250),
    )
    assert [what for _, what in told] == [("action", "add(1, 2)"), ("add", {"a": 1, "b": 2}), "|"]
    assert told[-1][0] == 220
    assert source.subscriptions == [subscribe(200, 220)]


def test_a_reset_takes_back_the_section_that_was_open() -> None:
    told, _ = run(
        text(210, "Thought: old. Action: add(1,"),
        on_next(220, StreamChunk.reset(OSError("cut"))),
        text(230, " 2)\nAnswer: new"),
        on_completed(240),
    )
    assert told[1:] == [
        (220, (Reset, "cut")),
        (230, ("thought", "2)")),
        (230, (Thought, "2)")),
        (230, ("answer", "new")),
        (240, (Answer, "new")),
        (240, "|"),
    ]


def test_reasoning_is_told_apart_and_not_parsed() -> None:
    told, _ = run(text(210, "", reasoning="Action: add(1, 2)"), text(220, "hm"), on_completed(230))
    assert told[0] == (210, (Reasoning, "Action: add(1, 2)"))
    assert (add.name, {"a": 1, "b": 2}) not in [what for _, what in told]


def test_a_refusal_is_a_section_of_its_own_and_no_thought() -> None:
    told, _ = run(text(210, "", refusal="I will not."), on_completed(220))
    assert told == [(210, ("refusal", "I will not.")), (220, "|")]


def test_another_choice_is_not_read() -> None:
    told, _ = run(
        text(210, "Answer: 1", choice=1, reasoning="hm", refusal="no"),
        text(220, "Answer: 2"),
        on_completed(230),
    )
    assert told == [(220, ("answer", "2")), (230, (Answer, "2")), (230, "|")]


def test_native_tool_calls_are_not_the_protocols() -> None:
    told, _ = run(on_next(210, calling(0, "add")), on_completed(220))
    assert told == [(220, "|")]


def test_the_sources_error_passes_and_half_a_step_is_not_told() -> None:
    error = OSError("cut")
    told, _ = run(text(210, "Thought: I"), text(220, "\nAnswer: 4"), on_error(230, error))
    assert told[-1] == (230, error)
    assert (Answer, "4") not in [what for _, what in told]


def test_dispose_disposes_the_source() -> None:
    told, source = run(text(210, "x"), text(220, "y"), disposed=215)
    assert len(told) == 1
    assert source.subscriptions == [subscribe(200, 215)]


def test_steps_carry_the_time_of_their_chunk() -> None:
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


def test_each_subscription_parses_by_itself() -> None:
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
        told = [_told(message.value) for message in observer.messages]
        assert told == [("answer", "a"), ("answer", "b"), (Answer, "ab"), "|"]


def test_what_is_no_chunk_fails_with_a_typed_error() -> None:
    told, _ = run(on_next(210, "text"), on_completed(220))
    ((time, error),) = told
    assert time == 210
    assert isinstance(error, ConfigurationError)


@pytest.mark.parametrize("tools", ["add", ["add"], [None], [{}]])
def test_what_is_no_tool_is_refused_at_once(tools: Any) -> None:
    with pytest.raises(ConfigurationError):
        ops.scan_steps(tools)
