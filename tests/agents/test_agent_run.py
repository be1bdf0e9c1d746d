"""`agent.start`: a handle on one run, which stops and steers it."""

from __future__ import annotations

import asyncio
import gc
import threading
from typing import Any

import pytest
from agent_runs import AgentKind, HeldTool, each_agent, seen_to_end, served
from conversing import said
from observing import Seen, in_thread, settle
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    ConversationalAgent,
    FunctionAgent,
    MaxIterationsError,
    ServerError,
    StreamCancelledError,
    Token,
    ToolEnd,
    TurnEnd,
    Usage,
)
from rxagents.agents.partial import UNFINISHED, is_partial
from rxagents.testing import Ending, NoReply, Reply, ScriptedLLM

BEGUN = Reply("Answer: one two three four", ending=Ending.STALL, cut_after=5)


@each_agent
@any_wire
async def test_run_needs_no_subscriber(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.answers("Cold.", usage=Usage(3, 2, 5))) as (_, llm):
        run = agent.make(llm).start("Oslo?")
        result = await run.result
        assert (result.output, result.finish_reason, result.iterations) == ("Cold.", "stop", 1)
        assert run.has_ended
        assert run.usage == result.usage
        assert run.messages == result.messages
        assert (await run.result) is result


@each_agent
async def test_each_subscriber_gets_all_events(agent: AgentKind) -> None:
    made = agent.make(ScriptedLLM(agent.answers("one two three", interval=1)))
    run = made.start("hi")
    first = Seen(run.events)
    await first.saw(Token)
    second = Seen(run.events)
    await run.result
    late = await seen_to_end(run.events)
    await first.over.wait()
    assert first.notes == second.notes == late.notes
    assert isinstance(first.items[-1], Complete)


async def test_replay_is_bounded() -> None:
    run = FunctionAgent(ScriptedLLM("a " * 50)).start("hi", replay=4)
    await run.result
    late = await seen_to_end(run.events)
    assert [str(event.type) for event in late.items[-3:]] == ["answer", "turn_end", "complete"]
    assert len(late.items) == 4


async def test_run_without_replay_is_its_subscribers() -> None:
    run = FunctionAgent(ScriptedLLM(Reply("one two three", interval=1))).start("hi", replay=0)
    await asyncio.sleep(10)
    assert not run.has_ended
    seen = Seen(run.events)
    await seen.saw(Token)
    second = Seen(run.events)
    assert isinstance(second.error, ConfigurationError)
    assert "replay=0" in str(second.error)
    seen.subscription.dispose()
    with pytest.raises(StreamCancelledError, match="disposed"):
        await run.result


@each_agent
async def test_leaving_does_not_end_the_run(agent: AgentKind) -> None:
    run = agent.make(ScriptedLLM(agent.answers("one two three", interval=1))).start("hi")
    seen = Seen(run.events)
    await seen.saw(Token)
    seen.subscription.dispose()
    assert (await run.result).output == "one two three"


@each_agent
@any_wire
async def test_stop_ends_with_what_there_is(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, BEGUN) as (server, llm):
        run = agent.make(llm).start("hi")
        seen = Seen(run.events)
        await seen.saw(Token)
        run.stop()
        await seen.over.wait()
        await server.disconnected()
        assert seen.completed
        [complete] = seen.all(Complete)
        result = await run.result
        assert complete.finish_reason == result.finish_reason == "cancelled"
        assert complete.content == result.output
        assert result.output
        assert "one two three four".startswith(result.output.removeprefix("Answer: "))
        last = result.messages[-1]
        assert (last.role, is_partial(last)) == ("assistant", True)


@any_wire
async def test_usage_of_a_stopped_turn_is_an_estimate(wire: SpokenWire) -> None:
    counted = Reply(tool_calls=[rxagents.ToolCall("c", "now", "{}")], usage=Usage(3, 2, 5))
    now = rxagents.tool(lambda: "noon", name="now")
    async with served(wire, counted, BEGUN) as (_, llm):
        run = FunctionAgent(llm, [now]).start("hi")
        seen = Seen(run.events)
        await seen.saw(Token)
        run.stop()
        result = await run.result
        assert result.usage is not None
        assert (result.usage.input_tokens, result.usage.output_tokens) == (3, 2)
        assert not result.usage.estimated
        assert result.estimated_usage is not None
        assert result.estimated_usage.estimated
        assert result.estimated_usage.output_tokens
        assert seen.all(Complete)[0].estimated_usage == result.estimated_usage


@each_agent
@any_wire
async def test_stop_cancels_running_tools(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    async with served(wire, agent.calls(("held", {}))) as (_, llm):
        run = agent.make(llm, [held.tool]).start("hi")
        await held.running.wait()
        run.stop()
        result = await run.result
        await held.cancelled.wait()
        assert result.finish_reason == "cancelled"
        assert any(UNFINISHED in str(message) for message in result.messages)


@each_agent
async def test_stop_before_the_first_turn(agent: AgentKind) -> None:
    llm = ScriptedLLM("never")
    run = agent.make(llm).start("hi")
    run.stop()
    result = await run.result
    assert (result.output, result.finish_reason, result.iterations) == ("", "cancelled", 0)
    assert not llm.requests


async def test_stop_from_another_thread() -> None:
    run = FunctionAgent(ScriptedLLM(Reply("one two", interval=1000))).start("hi")
    seen = Seen(run.events)
    await seen.saw(Token)
    in_thread(run.stop)
    assert (await run.result).finish_reason == "cancelled"
    assert seen.threads == {threading.get_ident()}


async def test_stop_after_the_end_does_nothing() -> None:
    run = FunctionAgent(ScriptedLLM("done")).start("hi")
    await run.result
    run.stop()
    run.stop()
    assert (await run.result).finish_reason == "stop"


@each_agent
@any_wire
async def test_steer_reaches_the_next_turn(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    turns = agent.calls(("held", {})), agent.answers("Bergen is wet.")
    async with served(wire, *turns) as (server, llm):
        run = agent.make(llm, [held.tool]).start("Oslo?")
        await held.running.wait()
        assert run.steer("No, Bergen.")
        held.release.set()
        result = await run.result
        assert said(server.requests[1])[-1] == "No, Bergen."
        assert (result.output, result.iterations) == ("Bergen is wet.", 2)
        assert "No, Bergen." in [message.text for message in result.messages]


@each_agent
@any_wire
async def test_steer_in_the_last_turn_adds_one(agent: AgentKind, wire: SpokenWire) -> None:
    turns = agent.answers("Oslo is cold."), agent.answers("Bergen is wet.")
    async with served(wire, *turns) as (server, llm):
        run = agent.make(llm).start("Oslo?")
        seen = Seen(run.events)
        await seen.saw(Token)
        assert run.steer("And Bergen?")
        assert (await run.result).output == "Bergen is wet."
        assert said(server.requests[1])[-1] == "And Bergen?"
        assert len(seen.all(Answer)) == 2
        assert len(seen.all(Complete)) == 1


@each_agent
@any_wire
async def test_steer_now_ends_the_turn(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, BEGUN, agent.answers("Wet.")) as (server, llm):
        run = agent.make(llm).start("Oslo?")
        seen = Seen(run.events)
        await seen.saw(Token)
        assert run.steer("No, Bergen.", now=True)
        result = await run.result
        await server.disconnected()
        _, partial, steered = said(server.requests[1])
        assert "Answer: one two three four".startswith(partial.strip())
        assert steered == "No, Bergen."
        assert (result.output, result.finish_reason, result.iterations) == ("Wet.", "stop", 2)
        assert [is_partial(message) for message in result.messages if message.role == "assistant"][
            :1
        ] == [True]


@each_agent
@any_wire
async def test_steer_now_cancels_tools(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    async with served(wire, agent.calls(("held", {})), agent.answers("Wet.")) as (server, llm):
        run = agent.make(llm, [held.tool]).start("Oslo?")
        seen = Seen(run.events)
        await held.running.wait()
        assert run.steer("No, Bergen.", now=True)
        assert (await run.result).output == "Wet."
        await held.cancelled.wait()
        assert any(UNFINISHED in text for text in said(server.requests[1]))
        assert not seen.all(ToolEnd)


async def test_steer_after_the_end_is_refused() -> None:
    run = FunctionAgent(ScriptedLLM("done")).start("hi")
    await run.result
    assert not run.steer("more")
    stopped = FunctionAgent(ScriptedLLM(Reply("one", delay=10))).start("hi")
    stopped.stop()
    assert not stopped.steer("more")
    await stopped.result


@pytest.mark.parametrize("kind", [Answer, TurnEnd], ids=["answer", "turn end"])
async def test_steer_after_the_last_turn_is_refused(kind: type) -> None:
    """The run of a conversation goes on until it is remembered, without another turn."""
    run = ConversationalAgent(ScriptedLLM("done")).start("hi")
    took: list[bool] = []
    Seen(run.events, lambda event: took.append(run.steer("more")) if type(event) is kind else None)
    assert (await run.result).iterations == 1
    assert took == [False]


@each_agent
async def test_steer_is_refused_where_no_turn_is_left(agent: AgentKind) -> None:
    run = agent.make(ScriptedLLM(agent.calls(("none", {}))), max_iterations=1).start("hi")
    took: list[bool] = []
    Seen(run.events, lambda event: took.append(run.steer("more")) if type(event) is TurnEnd else 0)
    with pytest.raises(MaxIterationsError):
        await run.result
    assert took == [False]


async def test_failed_run_lacks_the_message_that_no_turn_saw() -> None:
    run = FunctionAgent(ScriptedLLM(Reply("one two", interval=1)), max_iterations=1).start("hi")
    await asyncio.sleep(0.5)
    assert run.steer("more")
    with pytest.raises(MaxIterationsError):
        await run.result
    assert [message.text for message in run.messages] == ["hi", "one two"]


async def test_steer_refuses_what_is_no_message() -> None:
    run = FunctionAgent(ScriptedLLM("done")).start("hi")
    bad: Any = 3
    with pytest.raises(ConfigurationError, match="int"):
        run.steer(bad)
    assert (await run.result).output == "done"


@any_wire
async def test_usage_grows_while_it_goes(wire: SpokenWire) -> None:
    held = HeldTool()
    asks = Reply(tool_calls=[rxagents.ToolCall("c", "held", "{}")], usage=Usage(3, 2, 5))
    async with served(wire, asks, Reply("Done.", usage=Usage(4, 3, 7))) as (_, llm):
        run = FunctionAgent(llm, [held.tool]).start("hi")
        assert run.usage is None
        await held.running.wait()
        await settle()
        assert run.usage is not None
        assert run.usage.input_tokens == 3
        held.release.set()
        await run.result
        assert (run.usage.input_tokens, run.usage.output_tokens) == (7, 5)


@each_agent
@any_wire
async def test_error_carries_what_the_run_has(agent: AgentKind, wire: SpokenWire) -> None:
    held = HeldTool()
    held.release.set()
    turns = (
        agent.calls(("held", {}), usage=Usage(3, 2, 5)),
        Reply("Half an", error=ServerError("broken", status=500)),
    )
    async with served(wire, *turns) as (_, llm):
        made = agent.make(llm, [held.tool])
        with pytest.raises(ServerError) as failed:
            await made.start("hi").result
        error = failed.value
        assert error.iterations == 2
        assert error.usage is not None
        assert error.usage.input_tokens == 3
        assert "done" in str(error.messages)
        assert is_partial(error.messages[-1])


async def test_unawaited_failure_is_not_reported(caplog: pytest.LogCaptureFixture) -> None:
    run = FunctionAgent(ScriptedLLM(Reply(error=ServerError("no", status=500)))).start("hi")
    early = run.result
    seen = Seen(run.events)
    await seen.over.wait()
    assert isinstance(seen.error, ServerError)
    del run, seen, early
    gc.collect()
    await settle()
    assert not caplog.records


async def test_waiter_may_give_up() -> None:
    run = FunctionAgent(ScriptedLLM(Reply("one two", interval=10))).start("hi")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(run.result, 1)
    assert (await run.result).output == "one two"


def test_start_needs_a_running_loop() -> None:
    with pytest.raises(ConfigurationError, match="event loop"):
        FunctionAgent(ScriptedLLM("done")).start("hi")


async def test_each_run_has_an_id() -> None:
    agent = FunctionAgent(ScriptedLLM("done", "done"))
    first, second = agent.start("hi"), agent.start("hi")
    assert first.id != second.id
    await asyncio.gather(first.result, second.result)


async def test_conversation_starts_runs() -> None:
    conversation = rxagents.ConversationalAgent(ScriptedLLM("one", "two"))
    first = conversation.start("a", "room")
    second = conversation.start("b", "room")
    assert (await second.result).output == "two"
    assert (await first.result).output == "one"


async def test_queued_run_stops_at_once() -> None:
    llm = ScriptedLLM(Reply("one", delay=100), "three")
    conversation = rxagents.ConversationalAgent(llm)
    first, second = conversation.start("a"), conversation.start("b")
    await settle()
    assert second.steer("more", now=True)
    await settle()
    assert not second.has_ended
    second.stop()
    result = await asyncio.wait_for(second.result, 1)
    assert (result.output, result.finish_reason, result.iterations) == ("", "cancelled", 0)
    assert [message.text for message in second.messages] == ["b"]
    seen = await seen_to_end(second.events)
    assert [type(event) for event in seen.items] == [Complete]
    third = conversation.start("c")
    assert (await first.result).output == "one"
    assert (await third.result).output == "three"


@any_wire
async def test_stopped_before_the_first_byte(wire: SpokenWire) -> None:
    async with served(wire, NoReply(Ending.STALL)) as (server, llm):
        run = FunctionAgent(llm).start("hi")
        await server.received()
        run.stop()
        result = await run.result
        await server.disconnected()
        assert (result.output, result.finish_reason) == ("", "cancelled")
        assert [message.role for message in result.messages] == ["user"]
