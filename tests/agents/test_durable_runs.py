"""Runs that go on after their process was lost: from the last whole turn, tools not run again."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
import reactivex as rx
from agent_runs import AgentKind, HeldTool, each_agent
from log_stores import Clock, SlowStore
from observing import Seen, settle

from rxagents import (
    AgentResult,
    Checkpoint,
    Complete,
    ConfigurationError,
    EventLog,
    FunctionAgent,
    LeaseError,
    MemoryLogStore,
    Message,
    Reset,
    RunInterruptedError,
    RunReport,
    ServerError,
    StreamCancelledError,
    Token,
    ToolCall,
    ToolEnd,
    ToolResult,
    TurnEnd,
    Usage,
    from_log,
    run_many,
    tool,
)
from rxagents.agents.conversational import ConversationalAgent
from rxagents.runtime.event_log.log_store import LEASE_SECONDS
from rxagents.testing import Reply, ScriptedLLM

FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)


class Counted:
    """Tools that count their calls.

    Attributes:
        calls: The names of the tools that ran.
        hangs: What `hang` and `repeat` wait for.
    """

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.hangs = asyncio.Event()
        self.running = asyncio.Event()

        @tool(idempotent=True)
        async def double(number: int) -> int:
            """Double a number."""
            self.calls.append("double")
            return 2 * number

        @tool
        async def hang() -> str:
            """Wait."""
            self.calls.append("hang")
            self.running.set()
            await self.hangs.wait()
            return "hung"

        @tool(idempotent=True)
        async def repeat() -> str:
            """Wait, and may be repeated."""
            self.calls.append("repeat")
            self.running.set()
            await self.hangs.wait()
            return "repeated"

        self.tools = [double, hang, repeat]


class Process:
    """The view that one process has of a store; it writes nothing more once the process is dead."""

    def __init__(self, store: MemoryLogStore) -> None:
        self._store = store
        self.is_dead = False

    def __getattr__(self, name: str) -> Any:
        if self.is_dead and name in {"append", "save", "renew"}:
            return lambda *_, **__: None
        return getattr(self._store, name)


class Crash:
    """A log whose process dies; another process finds its runs after their leases."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryLogStore(clock=self.clock)
        self.process: Any = Process(self.store)
        self.log = EventLog(self.process)

    async def happen(self) -> EventLog:
        """Let the process die; return the log of the next one."""
        self.process.is_dead = True
        await self.log.aclose()
        self.clock.now += LEASE_SECONDS + 1
        return EventLog(self.store)


def texts(messages: Any) -> list[str]:
    def shown(message: Message) -> str:
        results = [part.content for part in message.parts if isinstance(part, ToolResult)]
        return message.text or "".join([*results, *(call.id for call in message.tool_calls)])

    return [f"{each.role} {shown(each)}" for each in messages]


async def seen_in(log: EventLog, key: str = "run") -> list[Any]:
    seen = Seen(from_log(log, key))
    await seen.over.wait()
    return [entry.item for entry in seen.items]


@each_agent
async def test_finished_tool_does_not_run_again(agent: AgentKind) -> None:
    counted, crash = Counted(), Crash()
    first = agent.make(
        ScriptedLLM(agent.calls(("double", {"number": 2}), ("hang", {}), usage=FIVE)), counted.tools
    )
    first.start("2 + 2?", log=crash.log, key="run")
    await counted.running.wait()
    await asyncio.sleep(0.1)
    log = await crash.happen()
    llm = ScriptedLLM(agent.answers("It is 4.", usage=FIVE))
    run = agent.make(llm, counted.tools).start("2 + 2?", log=log, key="run")
    result: AgentResult[Any] = await run.result
    assert counted.calls == ["double", "hang"]
    sent = llm.requests[0].messages
    said = "\n".join(texts(sent))
    assert "4" in said
    assert "was started, outcome unknown" in said
    assert result.output == "It is 4."
    assert (result.iterations, result.usage and result.usage.total_tokens) == (2, 10)
    events = await seen_in(log)
    reset = next(n for n, event in enumerate(events) if isinstance(event, Reset))
    assert events[reset].scope == "turn"
    again = events[reset + 1 :]
    ends = [event for event in again if isinstance(event, ToolEnd)]
    assert [(end.name, end.result.partition(":")[0]) for end in ends] == [
        ("double", "4"),
        ("hang", "Error"),
    ]
    assert ends[1].error is not None
    assert "outcome unknown" in ends[1].error.message
    assert [e.number for e in again if isinstance(e, TurnEnd)] == [1, 2]
    await run.events
    assert run.messages == result.messages


@each_agent
async def test_idempotent_tool_runs_again(agent: AgentKind) -> None:
    counted, crash = Counted(), Crash()
    first = agent.make(
        ScriptedLLM(agent.calls(("double", {"number": 2}), ("repeat", {}))), counted.tools
    )
    first.start("2 + 2?", log=crash.log, key="run")
    await counted.running.wait()
    await asyncio.sleep(0.1)
    log = await crash.happen()
    counted.hangs.set()
    counted.calls.clear()
    llm = ScriptedLLM(agent.answers("It is 4."))
    run = agent.make(llm, counted.tools).start("2 + 2?", log=log, key="run")
    result = await run.result
    assert counted.calls == ["repeat"]
    assert "repeated" in "\n".join(texts(llm.requests[0].messages))
    checkpoint = await log.checkpoint("run")
    assert checkpoint is not None
    assert (checkpoint.tool_calls, result.iterations) == (2, 2)


async def test_unfinished_turn_is_asked_again() -> None:
    crash, counted = Crash(), Counted()
    calls = Reply(tool_calls=[ToolCall("c", "double", '{"number": 2}')])
    llm = ScriptedLLM(calls, Reply("Half of an answer", interval=1.0))
    FunctionAgent(llm, counted.tools).start("2 + 2?", log=crash.log, key="run")
    await asyncio.sleep(2.5)
    assert len(llm.requests) == 2
    log = await crash.happen()
    again = ScriptedLLM("It is 4.")
    run = FunctionAgent(again, counted.tools).start("2 + 2?", log=log, key="run")
    assert (await run.result).output == "It is 4."
    assert again.requests[0].messages == llm.requests[1].messages
    assert counted.calls == ["double"]
    events = await seen_in(log)
    reset = next(n for n, event in enumerate(events) if isinstance(event, Reset))
    assert any(isinstance(event, Token) for event in events[:reset])
    written = [event.content for event in events[reset:] if isinstance(event, Token)]
    assert "".join(written) == "It is 4."


async def test_completed_run_is_not_run_again() -> None:
    log, llm = EventLog(), ScriptedLLM(Reply("It is 4.", usage=FIVE))
    first = FunctionAgent(llm).start("2 + 2?", log=log, key="run")
    one = await first.result
    kinds = [event.type for event in await seen_in(log)]
    second = FunctionAgent(llm).start("2 + 2?", log=log, key="run")
    assert await second.result == one
    assert len(llm.requests) == 1
    seen = Seen(second.events)
    await seen.over.wait()
    assert [event.type for event in seen.items] == kinds
    assert kinds[-1] == "complete"


async def test_typed_result_comes_from_the_log() -> None:
    log, llm = EventLog(), ScriptedLLM('{"value": [1, 2]}')
    agent = FunctionAgent(llm, output_type=list[int])
    assert (await agent.start("Numbers?", log=log, key="run").result).output == [1, 2]
    assert (await agent.start("Numbers?", log=log, key="run").result).output == [1, 2]
    assert len(llm.requests) == 1


async def test_answer_that_was_not_reported_is_reported() -> None:
    crash, llm = Crash(), ScriptedLLM("never")
    begun = crash.store.begin("run")
    messages = (Message.user("2 + 2?"), Message.assistant("It is 4."))
    data = msgspec.json.encode(Checkpoint(messages, output="It is 4.", iterations=1))
    crash.store.save("run", begun.token, data)
    log = await crash.happen()
    run = FunctionAgent(llm).start("2 + 2?", log=log, key="run")
    result = await run.result
    assert (result.output, result.iterations, llm.requests) == ("It is 4.", 1, [])
    assert [event.type for event in await seen_in(log)] == ["reset", "answer", "complete"]


async def test_failed_run_goes_on() -> None:
    counted, log = Counted(), EventLog()
    calls = Reply(tool_calls=[ToolCall("c", "double", '{"number": 2}')])
    agent = FunctionAgent(
        ScriptedLLM(calls, Reply(error=ServerError("down", status=500)), "It is 4."), counted.tools
    )
    failed = agent.start("2 + 2?", log=log, key="run")
    with pytest.raises(ServerError):
        await failed.result
    assert (await agent.start("2 + 2?", log=log, key="run").result).output == "It is 4."
    assert counted.calls == ["double"]


async def test_tool_waits_until_its_start_is_stored() -> None:
    store, stored = SlowStore(), []

    @tool
    async def look() -> str:
        """Look."""
        stored.append(store.saved("run"))
        return "seen"

    calls = Reply(tool_calls=[ToolCall("call_of_look", "look", "{}")])
    agent = FunctionAgent(ScriptedLLM(calls, "It is 4."), [look])
    run = agent.start("2 + 2?", log=EventLog(store), key="run")
    while not run.has_ended or store.waiting:
        store.answer(len(store.waiting))
        await settle()
    assert [saved is not None and b"call_of_look" in saved.data for saved in stored] == [True]


async def test_plain_logged_run_does_not_wait() -> None:
    store, counted = SlowStore(), Counted()
    calls = Reply(tool_calls=[ToolCall("c", "double", '{"number": 2}')])
    agent = FunctionAgent(ScriptedLLM(calls, "It is 4."), counted.tools)
    EventLog(store).start("run", agent.run_stream("2 + 2?"))
    store.answer()
    await asyncio.sleep(1)
    assert counted.calls == ["double"]


async def test_second_process_is_refused() -> None:
    store, held = MemoryLogStore(), HeldTool()
    calls = Reply(tool_calls=[ToolCall("c", "held", "{}")])
    agent = FunctionAgent(ScriptedLLM(calls, "done"), [held.tool])
    first = agent.start("Wait.", log=EventLog(store), key="run")
    await held.running.wait()
    second = agent.start("Wait.", log=EventLog(store), key="run")
    with pytest.raises(LeaseError, match="is being written"):
        await second.result
    seen = Seen(second.events)
    await seen.over.wait()
    assert isinstance(seen.error, LeaseError)
    held.release.set()
    assert (await first.result).output == "done"


async def test_process_that_lost_its_lease_runs_no_tool() -> None:
    crash, counted = Crash(), Counted()
    calls = Reply(tool_calls=[ToolCall("c", "double", '{"number": 2}')], interval=5.0)
    slow = FunctionAgent(ScriptedLLM(calls, "late"), counted.tools)
    late = slow.start("2 + 2?", log=crash.log, key="run")
    await asyncio.sleep(1)
    crash.clock.now += LEASE_SECONDS + 1  # the process hangs for longer than its lease
    other = EventLog(crash.store)
    run = FunctionAgent(ScriptedLLM("It is 4.")).start("2 + 2?", log=other, key="run")
    assert (await run.result).output == "It is 4."
    with pytest.raises(LeaseError):
        await late.result
    assert counted.calls == []


async def test_other_task_under_the_key_is_refused() -> None:
    log = EventLog()
    agent = FunctionAgent(ScriptedLLM("4", "5"))
    await agent.start("2 + 2?", log=log, key="run").result
    with pytest.raises(ConfigurationError, match="was asked something else"):
        await agent.start("2 + 3?", log=log, key="run").result


@pytest.mark.parametrize("given", [{"key": "run"}, {"log": EventLog()}, {"log": 1, "key": "run"}])
async def test_log_and_key_belong_together(given: Any) -> None:
    with pytest.raises(ConfigurationError, match="takes log"):
        FunctionAgent(ScriptedLLM("a")).start("hi", **given)


async def test_stopped_run_ends_in_the_log() -> None:
    log, held = EventLog(), HeldTool()
    calls = Reply(tool_calls=[ToolCall("c", "held", "{}")])
    run = FunctionAgent(ScriptedLLM(calls), [held.tool]).start("Wait.", log=log, key="run")
    await held.running.wait()
    run.stop()
    assert (await run.result).finish_reason == "cancelled"
    assert isinstance((await seen_in(log))[-1], Complete)


async def test_run_that_the_log_stops_fails() -> None:
    log, held = EventLog(), HeldTool()
    calls = Reply(tool_calls=[ToolCall("c", "held", "{}")])
    run = FunctionAgent(ScriptedLLM(calls), [held.tool]).start("Wait.", log=log, key="run")
    await held.running.wait()
    await log.aclose()
    with pytest.raises(StreamCancelledError):
        await run.result


async def test_handed_over_run_goes_on_with_its_agent() -> None:
    counted, crash = Counted(), Crash()
    hands = Reply(tool_calls=[ToolCall("h", "to_expert", "{}")])
    hangs = Reply(tool_calls=[ToolCall("c", "hang", "{}")])

    def make(first: ScriptedLLM, second: ScriptedLLM) -> FunctionAgent[str]:
        expert = FunctionAgent(second, counted.tools, system_prompt="Expert.")
        return FunctionAgent(first, [expert.as_handoff("to_expert", "For sums.")])

    make(ScriptedLLM(hands), ScriptedLLM(hangs)).start("2 + 2?", log=crash.log, key="run")
    await counted.running.wait()
    log, never, llm = await crash.happen(), ScriptedLLM("never"), ScriptedLLM("It is 4.")
    result = await make(never, llm).start("2 + 2?", log=log, key="run").result
    assert (result.output, never.requests) == ("It is 4.", [])
    assert llm.requests[0].messages[0].text == "Expert."


async def test_conversation_goes_on_and_is_remembered() -> None:
    counted, crash = Counted(), Crash()
    hangs = Reply(
        tool_calls=[ToolCall("c", "double", '{"number": 2}'), ToolCall("h", "hang", "{}")]
    )
    lost = ConversationalAgent(ScriptedLLM("Hello.", hangs), counted.tools)
    await lost.run("Hi.")
    crash.log.start("run", lost.run_stream("2 + 2?"), durable=True)
    await counted.running.wait()
    await asyncio.sleep(0.1)
    log, llm = await crash.happen(), ScriptedLLM("Hello.", "It is 4.")
    talk = ConversationalAgent(llm, counted.tools)
    await talk.run("Hi.")
    await log.start("run", talk.run_stream("2 + 2?"), durable=True).wait()
    assert counted.calls == ["double", "hang"]
    kept = await talk.memory.conversation("default")
    assert [len(exchange) for exchange in kept.exchanges] == [2, 5]


async def test_interrupted_mark_does_not_end_it() -> None:
    counted, crash = Counted(), Crash()
    calls = Reply(tool_calls=[ToolCall("c", "hang", "{}")])
    FunctionAgent(ScriptedLLM(calls), counted.tools).start("Wait.", log=crash.log, key="run")
    await counted.running.wait()
    log = await crash.happen()
    assert await log.mark_interrupted() == ["run"]
    seen = Seen(from_log(log, "run"))
    await seen.over.wait()
    assert isinstance(seen.error, RunInterruptedError)
    run = FunctionAgent(ScriptedLLM("done"), counted.tools).start("Wait.", log=log, key="run")
    assert (await run.result).output == "done"


async def test_many_runs_go_on_from_their_log() -> None:
    counted, crash = Counted(), Crash()
    doubles = ToolCall("c", "double", '{"number": 2}')
    hangs = Reply(tool_calls=[doubles, ToolCall("h", "hang", "{}")])
    inputs = {"a": "2 + 2?"}
    lost = run_many(
        lambda: FunctionAgent(ScriptedLLM(hangs), counted.tools),
        inputs,
        concurrency=1,
        log=crash.log,
    )
    seen = Seen(lost)
    await counted.running.wait()
    await asyncio.sleep(0.1)
    crash.process.is_dead = True
    seen.subscription.dispose()
    await settle()
    log = await crash.happen()
    agent = FunctionAgent(ScriptedLLM("It is 4."), counted.tools)
    reports: list[RunReport] = []
    await run_many(lambda: agent, inputs, concurrency=1, log=log, report=reports.append)
    assert [report.output for report in reports] == ["It is 4."]
    assert counted.calls == ["double", "hang"]


async def test_stream_of_another_task_starts_anew() -> None:
    log = EventLog()
    one, two = FunctionAgent(ScriptedLLM("one")), FunctionAgent(ScriptedLLM("two", "two"))
    stream = rx.concat(one.run_stream("One?"), two.run_stream("Two?"))
    await log.start("run", stream, durable=True).wait()
    anew = FunctionAgent(ScriptedLLM("one again"))
    await log.start("run", anew.run_stream("One?"), durable=True).wait()
    events = await seen_in(log)
    resets = [event.scope for event in events if isinstance(event, Reset)]
    assert (resets, events[-1].content) == (["run"], "one again")
