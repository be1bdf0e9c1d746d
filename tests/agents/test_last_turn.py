"""`at_limit="answer"`: a run at its limit asks the model once for its answer, without tools."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, HeldTool, RunSeen, each_agent, seen_to_end, served
from conversing import said
from msgspec import Struct
from observing import pending
from reactivex.testing import TestScheduler
from remembering import conversation_in
from wires import SpokenWire, any_wire, each_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    Conversation,
    FunctionAgent,
    MaxIterationsError,
    Message,
    OutputError,
    ReActAgent,
    ReActStep,
    RunLimitError,
    Token,
    ToolCall,
    ToolEnd,
    ToolResult,
    ToolStart,
    TurnEnd,
    Usage,
    tool,
)
from rxagents import operators as ops
from rxagents.core.exchange import is_whole
from rxagents.testing import Ending, Reply, ScriptedLLM

OSLO = ("weather", {"city": "Oslo"})
ROME = ("weather", {"city": "Rome"})


class Degrees(Struct):
    degrees: int


@each_agent
@each_wire
async def test_last_turn_answers_at_iteration_limit(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turns = agent.calls(OSLO), agent.calls(ROME), agent.answers("Both are cold.")
    async with served(wire, *turns) as (server, llm):
        made = agent.make(llm, [calls.weather()], max_iterations=2, at_limit="answer")
        seen = await seen_to_end(made.run_stream("Oslo and Rome?"))
        [complete] = seen.all(Complete)
        assert (complete.content, complete.finish_reason) == ("Both are cold.", "limit")
        assert (complete.iterations, len(server.requests)) == (3, 3)
        assert [answer.content for answer in seen.all(Answer)] == ["Both are cold."]
        assert seen.all(TurnEnd)[-1].finish_reason == "stop"
        assert "Write your answer now" in said(server.requests[2])[-1]
        assert len(calls.made) == 2


@each_wire
async def test_last_request_forbids_tools(wire: SpokenWire) -> None:
    calls = Calls()
    turns = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')]), "Cold."
    async with served(wire, *turns) as (server, llm):
        made = FunctionAgent(llm, [calls.weather()], max_iterations=1, at_limit="answer")
        await made.run("Oslo?")
    body = server.requests[1].json()
    forbidden = {
        "chat completions": body.get("tool_choice") == "none" and body.get("tools"),
        "openai responses": body.get("tool_choice") == "none" and body.get("tools"),
        "anthropic": body.get("tool_choice") == {"type": "none"} and body.get("tools"),
        "gemini": body.get("toolConfig") == {"functionCallingConfig": {"mode": "NONE"}},
        "ollama": "tools" not in body and "tool_choice" not in body,
    }
    assert forbidden[wire.name], body


async def test_request_without_calls_has_no_tools() -> None:
    llm = ScriptedLLM(Reply("Let me see. ", finish_reason="pause_turn"), "Cold.")
    weather = Calls().weather()
    made = FunctionAgent(llm, [weather], max_iterations=1, at_limit="answer", tool_choice="weather")
    assert (await made.run("Oslo?")).output == "Cold."
    assert [request.tools for request in llm.requests] == [(weather,), ()]
    assert llm.requests[1].settings.tool_choice == "none"


@each_wire
async def test_typed_last_request_has_format(wire: SpokenWire) -> None:
    """Gemini's API refuses a format beside tools, also beside tools that must not be called."""
    turns = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')]), '{"degrees": 3}'
    async with served(wire, *turns) as (server, llm):
        tools = [Calls().weather()]
        made = FunctionAgent(llm, tools, output_type=Degrees, max_iterations=1, at_limit="answer")
        result = await made.run("Oslo?")
        assert (result.output, result.finish_reason) == (Degrees(3), "limit")
    body = server.requests[1].json()
    formats = {
        "chat completions": "response_format",
        "openai responses": "text",
        "anthropic": "output_config",
        "gemini": "generationConfig",
        "ollama": "format",
    }
    assert body[formats[wire.name]]
    assert ("tools" in body) is (wire.name not in ("gemini", "ollama"))


@each_agent
async def test_calls_of_last_turn_never_run(agent: AgentKind) -> None:
    calls = Calls()
    made = agent.make(
        ScriptedLLM(agent.calls(OSLO)), [calls.weather()], max_iterations=2, at_limit="answer"
    )
    seen = await seen_to_end(made.run_stream("hi"))
    seen.assert_failed(OutputError)
    assert "after its 2 turns" in str(seen.error)
    assert seen.error is not None
    assert isinstance(seen.error.__cause__, MaxIterationsError)
    assert len(calls.made) == len(seen.all(ToolStart)) == 2


async def test_text_beside_calls_of_last_turn_is_the_answer() -> None:
    llm = ScriptedLLM(Reply("It is cold.", tool_calls=[ToolCall("c", "weather", "{}")]))
    made = FunctionAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    result = await made.run("hi")
    assert (result.output, result.finish_reason) == ("It is cold.", "limit")
    assert is_whole(result.messages)
    assert result.messages[-1] == Message.assistant("It is cold.")


@each_agent
@any_wire
async def test_call_over_limit_is_refused(agent: AgentKind, wire: SpokenWire) -> None:
    """The calls within the limit end, although one more comes while they run."""
    held, calls = HeldTool(), Calls()
    turn = agent.calls(("held", {"note": "a"}), OSLO, ROME)
    async with served(wire, turn, agent.answers("Cold.")) as (server, llm):
        tools = [held.tool, calls.weather()]
        made = agent.make(llm, tools, max_tool_calls=2, at_limit="answer")
        seen = RunSeen(made.run_stream("hi"))
        await seen.saw(ToolEnd, 2)
        held.release.set()
        await seen.over.wait()
        [complete] = seen.all(Complete)
        assert (complete.content, complete.finish_reason) == ("Cold.", "limit")
        assert calls.made == [("weather", {"city": "Oslo", "days": 1})]
        ends = {end.result: end.error for end in seen.all(ToolEnd)}
        assert ends["done"] is ends["Oslo is cold"] is None
        [refused] = [end for end in seen.all(ToolEnd) if end.error is not None]
        assert "all 2 tool calls of this task are used" in refused.result
        body = server.requests[1].body.decode()
        assert body.index("done") < body.index("Oslo is cold") < body.index("are used")


async def test_calls_up_to_limit_lead_to_no_last_turn() -> None:
    calls = [ToolCall(str(n), "weather", '{"city": "Oslo"}') for n in range(2)]
    llm = ScriptedLLM(Reply(tool_calls=calls), "Cold.")
    made = FunctionAgent(llm, [Calls().weather()], max_tool_calls=2, at_limit="answer")
    assert (await made.run("hi")).finish_reason == "stop"
    assert llm.requests[1].settings.tool_choice is None


@pytest.mark.parametrize(("concurrency", "numbers"), [(8, (2, 3)), (1, (1, 2, 3))])
async def test_calls_that_wait_for_approval_count(
    concurrency: int, numbers: tuple[int, ...]
) -> None:
    """A call that was denied leaves its place to a later one."""
    paid: list[int] = []

    @tool(requires_approval=True)
    async def pay(amount: int) -> str:
        paid.append(amount)
        return "paid"

    def calls(*amounts: int) -> Reply:
        made = [ToolCall(f"c{n}", "pay", f'{{"amount": {n}}}') for n in amounts]
        return Reply(tool_calls=made)

    async def approve(call: ToolCall) -> bool:
        await asyncio.sleep(1)
        return call.id != "c1"

    llm = ScriptedLLM(calls(*numbers), "Done.")
    agent = FunctionAgent(
        llm,
        [pay],
        approve=approve,
        max_tool_calls=1,
        at_limit="answer",
        tool_concurrency=concurrency,
    )
    result = await agent.run("hi")
    assert (result.output, result.finish_reason, paid) == ("Done.", "limit", [2])


@each_agent
@any_wire
async def test_last_turn_answers_at_token_limit(agent: AgentKind, wire: SpokenWire) -> None:
    calls, usage = Calls(), Usage(60, 40, 100)
    turns = agent.calls(OSLO, usage=usage), agent.answers("Cold.", usage=usage)
    async with served(wire, *turns) as (_, llm):
        made = agent.make(llm, [calls.weather()], max_total_tokens=100, at_limit="answer")
        result = await made.run("hi")
        assert (result.output, result.finish_reason) == ("Cold.", "limit")
        assert result.usage is not None
        assert result.usage.output_tokens == 80


@each_agent
async def test_time_limit_fails_all_the_same(agent: AgentKind) -> None:
    llm = ScriptedLLM(Reply("late", delay=60))
    seen = await seen_to_end(agent.make(llm, max_seconds=1, at_limit="answer").run_stream("hi"))
    seen.assert_failed(RunLimitError)


async def test_sub_agent_over_limit_ends_its_turn() -> None:
    held = HeldTool()
    ask = Reply(tool_calls=[ToolCall("1", "ask", '{"task": "Oslo?"}')])
    arguments = '{"note": "a long note"}'
    call = Reply(
        tool_calls=[ToolCall("2", "held", arguments), ToolCall("3", "held", arguments)], interval=1
    )
    inner = FunctionAgent(ScriptedLLM(call), [held.tool])
    llm = ScriptedLLM(ask, "I do not know.")
    outer = FunctionAgent(
        llm, [inner.as_tool("ask", "Knows.")], max_tool_calls=2, at_limit="answer"
    )
    seen = await seen_to_end(outer.run_stream("hi"))
    [complete] = [event for event in seen.all(Complete) if not event.path]
    assert (complete.content, complete.finish_reason) == ("I do not know.", "limit")
    assert held.cancelled.is_set()
    assert len(seen.all(ToolStart)) == 2
    [result] = llm.requests[1].messages[2].parts
    assert isinstance(result, ToolResult)
    assert "before this call ended" in result.content
    assert llm.requests[1].messages[-1].role == "user"


async def test_empty_turn_at_limit_leads_to_last_turn() -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    llm = ScriptedLLM(call, "", "Cold.")
    made = FunctionAgent(llm, [Calls().weather()], max_iterations=2, at_limit="answer")
    result = await made.run("hi")
    assert (result.output, result.finish_reason, result.iterations) == ("Cold.", "limit", 3)
    assert [message.role for message in result.messages[-2:]] == ["user", "assistant"]


async def test_withheld_last_answer_says_so() -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    llm = ScriptedLLM(call, Reply("", finish_reason="content_filter"))
    made = FunctionAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    result = await made.run("hi")
    assert (result.output, result.finish_reason) == ("", "content_filter")


@each_agent
@any_wire
async def test_conversation_remembers_last_answer(agent: AgentKind, wire: SpokenWire) -> None:
    calls = Calls()
    turns = agent.calls(OSLO), agent.answers("Cold."), agent.calls(ROME), agent.answers("Warm.")
    async with served(wire, *turns) as (server, llm):
        made = agent.make(llm, [calls.weather()], max_iterations=1, at_limit="answer")
        conversation = Conversation(made)
        assert (await conversation.run("Oslo?")).finish_reason == "limit"
        result = await conversation.run("Rome?")
        assert (result.output, len(calls.made)) == ("Warm.", 2)
        kept = conversation_in(conversation.memory).exchanges
        assert [each[0].text for each in kept] == ["Oslo?", "Rome?"]
        assert "Cold." in server.requests[2].body.decode()


async def test_failed_last_turn_keeps_calls_in_conversation() -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    agent = FunctionAgent(
        ScriptedLLM(call, ""), [Calls().weather()], max_iterations=1, at_limit="answer"
    )
    conversation = Conversation(agent)
    with pytest.raises(OutputError, match="no answer in the last turn"):
        await conversation.run("Oslo?")
    [exchange] = conversation_in(conversation.memory).exchanges
    assert exchange[2].role == "tool"


async def test_steered_last_turn_is_followed_by_another() -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    llm = ScriptedLLM(call, Reply("It is cold.", interval=1), "Brr.")
    made = FunctionAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    run = made.start("hi")
    seen = RunSeen(run.events)
    await seen.saw(Token)
    assert run.steer("In one word.")
    result = await run.result
    assert (result.output, result.finish_reason, result.iterations) == ("Brr.", "limit", 3)
    asked = [message.text for message in llm.requests[2].messages if message.role == "user"]
    assert asked[-1] == "In one word."
    assert sum("Write your answer now" in text for text in asked) == 1
    assert llm.requests[2].settings.tool_choice == "none"


async def test_stopped_last_turn_is_cancelled() -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    llm = ScriptedLLM(call, Reply("It is cold.", interval=1))
    made = FunctionAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    run = made.start("hi")
    seen = RunSeen(run.events)
    await seen.saw(Token)
    run.stop()
    result = await run.result
    assert (result.output, result.finish_reason) == ("It", "cancelled")


@any_wire
async def test_dispose_in_last_turn_closes_connection(wire: SpokenWire) -> None:
    call = Reply(tool_calls=[ToolCall("1", "weather", '{"city": "Oslo"}')])
    endless = Reply("on and on", ending=Ending.ENDLESS, interval=0.01)
    async with served(wire, call, endless) as (server, llm):
        made = FunctionAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
        seen = RunSeen(made.run_stream("hi"))
        await seen.saw(Token)
        await seen.assert_silent()
        await server.disconnected()


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Thought: I know.\nAnswer: Cold.", "Cold."),
        ("It is cold there.", "It is cold there."),
        ("Answer: It is", "It is"),
    ],
    ids=["labelled", "without label", "cut"],
)
async def test_react_answer_of_last_turn(text: str, answer: str) -> None:
    cut = "length" if text.endswith("is") else ""
    llm = ScriptedLLM('Action: weather({"city": "Oslo"})', Reply(text, finish_reason=cut))
    made = ReActAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    seen = await seen_to_end(made.run_stream("hi"))
    assert [event.content for event in seen.all(Answer)] == [answer]
    result = await ReActAgent(
        ScriptedLLM('Action: weather({"city": "Oslo"})', Reply(text, finish_reason=cut)),
        [Calls().weather()],
        max_iterations=1,
        at_limit="answer",
    ).run("hi")
    assert (result.output, result.finish_reason) == (answer, "limit")
    assert result.messages[-1].text.endswith(f"Answer: {answer}")
    assert result.messages[-1].text.count(answer) == 1
    assert result.trace[0] == ReActStep("", "weather", {"city": "Oslo"}, "Oslo is cold")


async def test_react_thought_alone_is_no_answer() -> None:
    llm = ScriptedLLM('Action: weather({"city": "Oslo"})', "Thought: I do not know.")
    made = ReActAgent(llm, [Calls().weather()], max_iterations=1, at_limit="answer")
    with pytest.raises(OutputError, match="no answer in the last turn"):
        await made.run("hi")


def test_last_turn_in_virtual_time() -> None:
    """The last turn follows the tools of the turn before at once; dispose leaves nothing."""
    call = Reply(tool_calls=[ToolCall("1", "unknown", "{}")], delay=10)
    for disposed in range(205, 260, 5):
        llm = ScriptedLLM(call, Reply("a b", delay=10, interval=10))
        made = FunctionAgent(llm, max_iterations=1, at_limit="answer")
        scheduler = TestScheduler()
        observer: Any = scheduler.start(partial(made.run_stream, "hi"), disposed=disposed)
        assert not pending(scheduler)
        tokens = [
            (note.time, note.value.value.content)
            for note in observer.messages
            if note.value.kind == "N" and isinstance(note.value.value, Token)
        ]
        assert tokens == [each for each in [(220, "a"), (230, " b")] if each[0] < disposed]


async def test_restarted_turn_forgets_its_limit() -> None:
    """A call that was refused before a `Reset` leads to no last turn."""

    class Retrying:
        def chat_stream(self, *arguments: Any, **settings: Any) -> Any:
            stream = llm.chat_stream(*arguments, **settings)
            return stream.pipe(
                ops.retry_with_backoff(on_reset=rxagents.StreamChunk.reset, first_wait=0)
            )

    calls = [ToolCall(str(n), "weather", '{"city": "Oslo"}') for n in range(3)]
    error = rxagents.ServerError("oh", status=500)
    paused = Reply("Hm. ", finish_reason="pause_turn")
    llm = ScriptedLLM(Reply(tool_calls=calls, error=error, interval=1), paused, "Cold.")
    made = FunctionAgent(Retrying(), [Calls().weather()], max_tool_calls=1, at_limit="answer")  # type: ignore[arg-type]  # it has what an agent needs
    result = await made.run("hi")
    assert (result.output, result.finish_reason) == ("Cold.", "stop")


@pytest.mark.parametrize("value", ["stop", None, True])
def test_bad_at_limit_is_refused(value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match='at_limit must be "error" or "answer"'):
        FunctionAgent(ScriptedLLM(), at_limit=value)
