"""Agents in virtual time: exact times, and what dispose leaves scheduled."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from agent_runs import AgentKind, each_agent
from observing import pending
from reactivex.testing import TestScheduler
from timed_tools import TimedTools, call

from rxagents import (
    ErrorEvent,
    FunctionAgent,
    ReActAgent,
    RunLimitError,
    ServerError,
    StreamEvent,
    ToolCall,
)
from rxagents.testing import Reply, ScriptedLLM

Marks = list[tuple[float, str]]

_DETAILS = {"turn_start", "turn_end", "tool_arguments"}  # `test_turn_events` tests these


def run(agent: Any, disposed: float = 1000, task: str = "hi") -> Marks:
    """Subscribe at 200, dispose at `disposed`; nothing may be left scheduled after it."""
    scheduler = TestScheduler()
    observer: Any = scheduler.start(lambda: agent.run_stream(task), disposed=disposed)
    assert not pending(scheduler)
    return _marks(observer)


def _marks(observer: Any) -> Marks:
    marks = [(message.time, _mark(message.value)) for message in observer.messages]
    return [each for each in marks if each[1].split(" ")[0] not in _DETAILS]


def _mark(note: Any) -> str:
    if note.kind != "N":
        return "|" if note.kind == "C" else f"# {type(note.exception).__name__}"
    event = note.value
    return f"{event.type} {event.content}".strip()


def test_run_takes_its_tokens_time() -> None:
    llm = ScriptedLLM(Reply("a b c", delay=10, interval=5))
    assert run(FunctionAgent(llm)) == [
        (210, "token a"),
        (215, "token  b"),
        (220, "token  c"),
        (230, "answer a b c"),
        (230, "complete a b c"),
        (230, "|"),
    ]


def test_next_turn_waits_for_all_tools() -> None:
    tools = TimedTools()
    first = Reply("hm", tool_calls=[call("slow"), call("quick")], interval=5)
    llm = ScriptedLLM(first, Reply("done", delay=10))
    marks = run(FunctionAgent(llm, [tools.taking("slow", 100), tools.taking("quick", 20)]))
    starts = {mark: time for time, mark in marks}
    assert [mark for _, mark in marks] == [
        "token hm",
        "tool_start slow",
        "tool_start quick",
        "tool_end quick",
        "tool_end slow",
        "token done",
        "answer done",
        "complete done",
        "|",
    ]
    assert starts["tool_end quick"] == starts["tool_start quick"] + 20
    assert starts["tool_end slow"] == starts["tool_start slow"] + 100
    assert starts["tool_start slow"] < starts["tool_start quick"]  # sealed by the next call
    assert starts["token done"] == starts["tool_end slow"] + 10


def test_react_tool_starts_at_closing_bracket() -> None:
    tools = TimedTools()
    text = ["Thought: hm\nAction: wait(", ")", " \n", " \n"]
    llm = ScriptedLLM(Reply(text, interval=10), "Answer: done")
    assert run(ReActAgent(llm, [tools.taking("wait", 5)])) == [
        (200, "token hm"),
        (200, "thought hm"),
        (200, "token wait("),
        (210, "token )"),
        (210, "tool_start wait"),
        (215, "tool_end wait"),
        (250, "token done"),
        (250, "answer done"),
        (250, "complete done"),
        (250, "|"),
    ]


@each_agent
@pytest.mark.parametrize(
    ("start", "started"), [("at_once", 200), ("turn_end", 230)], ids=["at once", "turn end"]
)
def test_tools_may_start_at_turn_end(agent: AgentKind, start: str, started: float) -> None:
    tools = TimedTools()
    first = agent.calls(("a", {}), ("b", {}), interval=10)
    llm = ScriptedLLM(first, agent.answers("done"))
    made = agent.make(llm, [tools.taking("a", 5), tools.taking("b", 5)], start_tools=start)
    times = {mark: time for time, mark in run(made)}
    assert (times["tool_start a"] == times["tool_start b"]) is (start == "turn_end")
    assert times["tool_start a"] >= started


@each_agent
def test_dispose_leaves_nothing_scheduled(agent: AgentKind) -> None:
    for moment in range(205, 420, 5):
        tools = TimedTools()
        first = agent.calls(("a", {}), ("b", {}), delay=10, interval=10)
        llm = ScriptedLLM(first, agent.answers("It is done", delay=10, interval=10))
        made = agent.make(llm, [tools.taking("a", 30), tools.taking("b", 60)])
        whole = run(made)
        disposed = run(
            agent.make(
                ScriptedLLM(first, agent.answers("It is done", delay=10, interval=10)),
                [tools.taking("a", 30), tools.taking("b", 60)],
            ),
            disposed=moment,
        )
        assert disposed == [(time, mark) for time, mark in whole if time < moment]
        assert sorted(tools.ended) == sorted(tools.started)


@each_agent
@pytest.mark.parametrize("seconds", [15, 35, 55, 400])
def test_max_seconds_ends_run_on_time(agent: AgentKind, seconds: float) -> None:
    tools = TimedTools()
    llm = ScriptedLLM(agent.calls(("a", {}), delay=10, interval=2))
    made = agent.make(llm, [tools.taking("a", 90)], max_seconds=seconds, max_iterations=99)
    marks = run(made)
    assert [time for time, _ in marks[-2:]] == [200 + seconds] * 2
    assert marks[-2][1].startswith("error The run took longer")
    assert marks[-1][1] == f"# {RunLimitError.__name__}"
    assert not [mark for _, mark in marks if mark.startswith("complete")]


@each_agent
def test_tools_end_before_time_limit_error(agent: AgentKind) -> None:
    tools = TimedTools()
    scheduler = TestScheduler()
    llm = ScriptedLLM(agent.calls(("a", {})))
    left: list[list[str]] = []

    def note(event: StreamEvent) -> None:
        if isinstance(event, ErrorEvent):
            left.append(list(tools.ended))

    made = agent.make(llm, [tools.taking("a", 90)], max_seconds=10)
    made.run_stream("hi").subscribe(note, lambda _: None, scheduler=scheduler)
    scheduler.start()
    assert left == [["a"]]


@each_agent
def test_error_event_directly_precedes_on_error(agent: AgentKind) -> None:
    reply = Reply("Say it", error=ServerError("oh", status=500), interval=10)
    marks = run(agent.make(ScriptedLLM(reply)))
    (event, error) = marks[-2:]
    assert event[0] == error[0] == 220
    assert event[1].startswith("error ")
    assert error[1] == "# ServerError"
    assert sum(mark.startswith(str(ErrorEvent.type)) for _, mark in marks) == 1


@each_agent
def test_two_subscriptions_are_independent(agent: AgentKind) -> None:
    tools = TimedTools()
    turns = [agent.calls(("a", {}), interval=10), agent.answers("done", interval=10)]
    alone = run(agent.make(ScriptedLLM(*turns), [tools.taking("a", 30)]))

    scheduler = TestScheduler()
    observers = [scheduler.create_observer() for _ in range(2)]

    def begin(observer: Any) -> None:
        made = agent.make(ScriptedLLM(*turns), [tools.taking("a", 30)])
        made.run_stream("hi").subscribe(observer, scheduler=scheduler)

    for start, observer in zip((200.0, 213.0), observers, strict=True):
        scheduler.schedule_absolute(start, lambda _, given: begin(given), observer)
    scheduler.start()
    for start, observer in zip((0, 13), observers, strict=True):
        assert [(time - start, mark) for time, mark in _marks(observer)] == alone


def _verdict(verdict: bool, _: ToolCall) -> bool:
    return verdict


@each_agent
def test_approval_works_in_virtual_time(agent: AgentKind) -> None:
    tools = TimedTools()
    dangerous = tools.taking("a", 30, requires_approval=True)
    for verdict in (True, False):
        llm = ScriptedLLM(agent.calls(("a", {})), agent.answers("done"))
        marks = run(agent.make(llm, [dangerous], approve=partial(_verdict, verdict)))
        times = {mark.partition(" ")[0]: time for time, mark in marks}
        assert times["tool_end"] == (230 if verdict else 200)
        assert marks[-1][1] == "|"
    assert tools.started == ["a"]
