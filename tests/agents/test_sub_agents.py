"""Agents as tools of other agents."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from agent_runs import AgentKind, Calls, HeldTool, RunSeen, each_agent, seen_to_end, served
from reactivex import Observable
from wires import WIRES, SpokenWire, any_wire

from rxagents import (
    Answer,
    Complete,
    Conversation,
    ErrorEvent,
    FunctionAgent,
    Reset,
    RunLimitError,
    ServerError,
    StreamEvent,
    Token,
    ToolCall,
    ToolEnd,
    ToolStart,
    TurnEnd,
    Usage,
    tool,
)
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

ASKS = ("expert", {"task": "What is 1 + 1?"})
FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)


def asks_expert(**fields: Any) -> Reply:
    return Reply(tool_calls=[ToolCall("call_e", "expert", '{"task":"How is Oslo?"}')], **fields)


def asks_weather(**fields: Any) -> Reply:
    return Reply(tool_calls=[ToolCall("call_w", "weather", '{"city":"Oslo"}')], **fields)


def expert(*replies: Any, **options: Any) -> FunctionAgent:
    return FunctionAgent(ScriptedLLM(*replies), [Calls().weather()], **options)


async def test_events_of_the_child_have_a_path() -> None:
    child = expert(asks_weather(), "It is cold.").as_tool("expert", "Knows the weather.")
    agent = FunctionAgent(ScriptedLLM(asks_expert(), "Cold."), [child])
    seen = await seen_to_end(agent.run_stream("Oslo?"))
    assert seen.completed
    inner = [event for event in seen.events if event.path]
    assert {event.path for event in inner} == {("expert",)}
    assert [e.content for e in inner if isinstance(e, ToolStart | ToolEnd | Answer | Complete)] == [
        "weather",
        "Oslo is cold",
        "It is cold.",
        "It is cold.",
    ]
    assert [e.content for e in seen.events if isinstance(e, Answer) and not e.path] == ["Cold."]
    (end,) = [e for e in seen.events if isinstance(e, ToolEnd) and not e.path]
    assert end.result == "It is cold."


@each_agent
async def test_output_of_the_child_is_the_result(agent: AgentKind) -> None:
    child = expert("It is 2.").as_tool("expert", "Counts.")
    outer = agent.make(ScriptedLLM(agent.calls(ASKS), agent.answers("Two.")), [child])
    result = await outer.run("1 + 1?")
    assert result.output == "Two."
    assert "It is 2." in str(result.messages)


async def test_path_grows_with_the_depth() -> None:
    inner = expert(Reply("deep", usage=FIVE)).as_tool("expert", "Knows.")
    middle_llm = ScriptedLLM(asks_expert(usage=FIVE), Reply("middle", usage=FIVE))
    middle = FunctionAgent(middle_llm, [inner]).as_tool("adviser", "Asks.")
    asks = Reply(tool_calls=[ToolCall("call_a", "adviser", '{"task":"?"}')], usage=FIVE)
    outer_llm = ScriptedLLM(asks, Reply("done", usage=FIVE))
    seen = await seen_to_end(FunctionAgent(outer_llm, [middle]).run_stream("go"))
    assert [(e.path, e.content) for e in seen.all(Answer)] == [
        (("adviser", "expert"), "deep"),
        (("adviser",), "middle"),
        ((), "done"),
    ]
    assert seen.items[-1].usage.total_tokens == 5 * FIVE.total_tokens  # type: ignore[operator]  # it is set
    assert [end.result for end in seen.all(ToolEnd)] == ["deep", "middle"]


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_usage_of_the_child_is_added(wire: SpokenWire) -> None:
    async with (
        served(wire, asks_weather(usage=FIVE), Reply("Cold.", usage=FIVE)) as (_, inner),
        served(wire, asks_expert(usage=FIVE), Reply("Yes.", usage=FIVE)) as (_, outer),
    ):
        child = FunctionAgent(inner, [Calls().weather()]).as_tool("expert", "Knows.")
        seen = await seen_to_end(FunctionAgent(outer, [child]).run_stream("Oslo?"))
        complete = [event for event in seen.all(Complete) if not event.path]
        assert complete[0].usage is not None
        assert (complete[0].usage.input_tokens, complete[0].usage.output_tokens) == (12, 8)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
async def test_dispose_closes_the_request_of_the_child(wire: SpokenWire) -> None:
    async with ScriptedServer(Reply("a b c", interval=60)) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as inner:
            child = FunctionAgent(inner).as_tool("expert", "Knows.")
            seen = RunSeen(FunctionAgent(ScriptedLLM(asks_expert()), [child]).run_stream("go"))
            await seen.saw(Token)
            assert seen.all(Token)[0].path == ("expert",)
            await seen.assert_silent()
            await server.disconnected()


async def test_dispose_cancels_a_tool_of_the_child() -> None:
    held = HeldTool()
    inner = FunctionAgent(ScriptedLLM(Reply(tool_calls=[ToolCall("1", "held", "{}")])), [held.tool])
    outer = FunctionAgent(ScriptedLLM(asks_expert()), [inner.as_tool("expert", "Knows.")])
    seen = RunSeen(outer.run_stream("go"))
    await held.running.wait()
    await seen.assert_silent()
    await held.cancelled.wait()


async def test_failure_of_the_child_is_the_tools() -> None:
    child = expert(Reply("", error=ServerError("broken", status=500))).as_tool("expert", "Knows.")
    seen = await seen_to_end(
        FunctionAgent(ScriptedLLM(asks_expert(), "Sorry."), [child]).run_stream("go")
    )
    assert seen.completed
    assert [event.path for event in seen.all(ErrorEvent)] == [("expert",)]
    (end,) = seen.all(ToolEnd)
    assert end.error is not None
    assert "broken" in end.error.message


async def test_limit_of_tool_calls_holds_for_the_child() -> None:
    def asking(limit: int) -> FunctionAgent:
        child = expert(asks_weather(), "It is cold.").as_tool("expert", "Knows.")
        return FunctionAgent(ScriptedLLM(asks_expert(), "Cold."), [child], max_tool_calls=limit)

    assert (await asking(2).run("go")).output == "Cold."
    seen = await seen_to_end(asking(1).run_stream("go"))
    assert isinstance(seen.error, RunLimitError)
    assert [event.name for event in seen.all(ToolStart)] == ["expert"]


async def test_answer_at_the_limit_ends_the_child() -> None:
    child = expert(asks_weather(), "It is cold.").as_tool("expert", "Knows.")
    llm = ScriptedLLM(asks_expert(), "I do not know.")
    agent = FunctionAgent(llm, [child], max_tool_calls=1, at_limit="answer")
    result = await agent.run("go")
    assert (result.output, result.finish_reason) == ("I do not know.", "limit")


@pytest.mark.parametrize(("limit", "sent"), [(5, 1), (16, 2)], ids=["reached", "not reached"])
@any_wire
async def test_limit_of_tokens_holds_for_the_child(wire: SpokenWire, limit: int, sent: int) -> None:
    replies = asks_weather(usage=FIVE), Reply("It is cold.", usage=FIVE)
    async with served(wire, *replies) as (server, inner):
        child = FunctionAgent(inner, [Calls().weather()]).as_tool("expert", "Knows.")
        outer = ScriptedLLM(asks_expert(usage=FIVE), "Cold.")
        agent = FunctionAgent(outer, [child], max_total_tokens=limit)
        seen = await seen_to_end(agent.run_stream("go"))
        assert len(server.requests) == sent
        if limit == 5:
            seen.assert_failed(RunLimitError)
        else:  # 15 are used before the last turn, and none is counted twice
            assert seen.completed


async def test_failed_child_counts_the_turns_that_ended() -> None:
    broken = Reply("", error=ServerError("broken", status=500))
    child = expert(asks_weather(usage=FIVE), broken).as_tool("expert", "Knows.")
    result = await FunctionAgent(ScriptedLLM(asks_expert(), "Sorry."), [child]).run("go")
    assert result.usage is not None
    assert result.usage.total_tokens == 5


@pytest.mark.parametrize(
    ("last", "result"),
    [((Complete("second", usage=FIVE),), "second"), ((), "null")],
    ids=["answer", "no answer"],
)
async def test_each_attempt_of_a_child_counts(last: tuple[Complete, ...], result: str) -> None:
    attempts: list[str] = []

    @tool(name="expert", retries=1)
    def ask(task: str) -> Observable[StreamEvent]:
        attempts.append(task)
        if len(attempts) == 1:
            first = Complete("first", usage=FIVE), TurnEnd(1, "stop", FIVE)
            return rx.concat(rx.of(*first), rx.throw(OSError("broken")))
        return rx.of(TurnEnd(1, "stop", FIVE), *last)

    seen = await seen_to_end(
        FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [ask]).run_stream("go")
    )
    assert [end.result for end in seen.all(ToolEnd)] == [result]
    assert seen.items[-1].usage.total_tokens == 15


async def test_usage_of_a_foreign_child_is_that_of_complete() -> None:
    @tool(name="expert")
    def ask(task: str) -> Observable[StreamEvent]:
        return rx.of(Complete(task, usage=FIVE))

    result = await FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [ask]).run("go")
    assert result.usage is not None
    assert result.usage.total_tokens == 5


async def test_conversation_as_tool_has_its_own_id() -> None:
    conversation = Conversation(FunctionAgent(ScriptedLLM("It is cold.")))
    child = conversation.as_tool("expert", "Knows.", "weather talk")
    await FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [child]).run("go")
    assert await conversation.memory.ids() == ["weather talk"]


async def test_own_agent_with_a_child_remembers_its_own_exchange() -> None:
    child = expert(asks_weather(), "It is cold.").as_tool("expert", "Knows.")
    agent = FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [child])

    class Own:
        def run_stream(self, task: Any, /) -> Observable[StreamEvent]:
            return agent.run_stream(task)

    conversation = Conversation(Own())
    seen = await seen_to_end(conversation.run_stream("go"))
    assert [(event.path, event.content) for event in seen.all(Complete)] == [
        (("expert",), "It is cold."),
        ((), "Yes."),
    ]
    stored = await conversation.memory.conversation("default")
    [exchange] = stored.exchanges
    assert [call.name for message in exchange for call in message.tool_calls] == ["expert"]
    assert [message.role for message in exchange] == ["user", "assistant", "tool", "assistant"]


async def test_tool_may_return_a_run() -> None:
    inner = expert("It is cold.")

    @tool(name="expert")
    def ask(task: str) -> Observable[StreamEvent]:
        return inner.run_stream(task)

    agent = FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [ask])
    seen = await seen_to_end(agent.run_stream("go"))
    assert [event.result for event in seen.all(ToolEnd)] == ["It is cold."]


async def test_reset_of_the_child_keeps_the_calls_of_the_parent() -> None:
    @tool(name="expert")
    def ask(task: str) -> Observable[StreamEvent]:
        return rx.of(Reset.of(RuntimeError(task)), Complete("again"))

    result = await FunctionAgent(ScriptedLLM(asks_expert(), "Yes."), [ask]).run("go")
    assert result.output == "Yes."


async def test_conversation_that_asks_itself_is_refused() -> None:
    agent = FunctionAgent(ScriptedLLM(asks_expert(), "Sorry."))
    conversation = Conversation(agent)
    agent.add_tool(conversation.as_tool("expert", "Knows."))
    result = await conversation.run("go")
    assert "wait for each other" in str(result.messages)


async def test_child_that_defers_has_no_result() -> None:
    @tool(requires_approval=True)
    async def pay() -> str:
        raise AssertionError("nobody approved")

    calls_pay = Reply(tool_calls=[ToolCall("call_p", "pay", "{}")])
    inner = FunctionAgent(ScriptedLLM(calls_pay), [pay], approve="defer")
    outer = FunctionAgent(
        ScriptedLLM(asks_expert(), "Sorry."), [inner.as_tool("expert", "Pays.")], approve="defer"
    )
    seen = await seen_to_end(outer.run_stream("go"))
    assert seen.completed
    (end,) = seen.all(ToolEnd)
    assert end.error is not None
    assert "its calls of pay wait for approval" in end.result
    last = seen.events[-1]
    assert isinstance(last, Complete)
    assert (last.content, last.finish_reason, last.pending) == ("Sorry.", "stop", ())
