"""`FunctionAgent` on every wire; `test_runs` tests what both agents do."""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import Calls, HeldTool, RunSeen, seen_to_end, served
from timed_tools import calling
from wires import WIRES, SpokenWire, each_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ErrorEvent,
    FunctionAgent,
    Message,
    OutputError,
    StreamChunk,
    Token,
    ToolCall,
    ToolCallDelta,
    ToolEnd,
    ToolStart,
    Usage,
)
from rxagents.testing import Ending, Reply, ScriptedLLM
from rxagents.testing.wires import wire_of

OSLO = ToolCall("call_1", "weather", '{"city":"Oslo"}')
ROME = ToolCall("call_2", "weather", '{"city":"Rome","days":3}')

_PATHS = {
    "chat completions": "/chat/completions",
    "anthropic": "/messages",
    "openai responses": "/responses",
}
each_piecewise_wire = pytest.mark.parametrize(
    "wire", [wire for wire in WIRES if wire.name in _PATHS], ids=lambda wire: wire.name
)


def in_the_middle(wire: SpokenWire, reply: Reply, text: bytes) -> int:
    """Return how many wire events contain the reply up to `text`."""
    if wire.name not in _PATHS:
        return 1  # a call is one event
    events = wire_of(_PATHS[wire.name]).events(reply, "m", "id")
    return next(n for n, event in enumerate(events) if text in event) + 2


@each_wire
async def test_direct_answer_emits_three_kinds(wire: SpokenWire) -> None:
    reply = Reply("Hello there, Ada", usage=Usage(5, 6, 11))
    async with served(wire, reply) as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm).run_stream("hi"))
    assert seen.kinds == ["token", "answer", "complete"]
    assert [token.content for token in seen.all(Token)] == reply.deltas()
    assert {token.section for token in seen.all(Token)} == {""}
    complete = seen.events[-1]
    assert isinstance(complete, Complete)
    assert complete.content == seen.events[-2].content == "Hello there, Ada"
    assert (complete.iterations, complete.finish_reason) == (1, "stop")


@each_wire
async def test_turn_with_calls_emits_in_order(wire: SpokenWire) -> None:
    first = Reply("Let me look.", reasoning="Two calls.", tool_calls=[OSLO, ROME])
    async with served(wire, first, "Cold.") as (_, llm):
        made = FunctionAgent(llm, [Calls().weather()], tool_concurrency=1)
        seen = await seen_to_end(made.run_stream("hi"))
    assert seen.kinds == [
        "reasoning",
        "token",
        "tool_start",
        "tool_end",
        "tool_start",
        "tool_end",
        "token",
        "answer",
        "complete",
    ]


@each_wire
async def test_model_gets_its_text_and_calls(wire: SpokenWire) -> None:
    first = Reply("Let me look.", tool_calls=[OSLO, ROME])
    async with served(wire, first, "Cold.") as (server, llm):
        result = await FunctionAgent(llm, [Calls().weather()]).run("hi")
        roles = [message.role for message in result.messages]
        assert roles == ["user", "assistant", "tool", "tool", "assistant"]
        said = result.messages[1]
        assert (said.text, [call.parse() for call in said.tool_calls]) == (
            "Let me look.",
            [OSLO.parse(), ROME.parse()],
        )
        body = server.requests[1].body.decode()
        assert body.index("Let me look.") < body.index("Oslo is cold") < body.index("Rome is")


@each_wire
async def test_signed_data_goes_back(wire: SpokenWire) -> None:
    signed = {
        "anthropic": b'"signature":"c2lnbmVk"',
        "gemini": b'"thoughtSignature":"c2lnbmVk"',
        "openai responses": b'"encrypted_content":"c2VjcmV0"',
        "chat completions": b"Winter, I think.",
        "ollama": b"Winter, I think.",
    }
    first = Reply(reasoning="Winter, I think.", tool_calls=[OSLO])
    async with served(wire, first, "Cold.") as (server, llm):
        await FunctionAgent(llm, [Calls().weather()]).run("hi")
        assert signed[wire.name] in server.requests[1].body


@each_wire
async def test_tools_are_sent_with_schemas(wire: SpokenWire) -> None:
    async with served(wire, "Hello.") as (server, llm):
        await FunctionAgent(llm, [Calls().weather()], tool_choice="auto").run("hi")
        body = server.requests[0].body.decode()
        for part in ('"weather"', "Tell the weather.", '"city"', "For how many days."):
            assert part in body


@each_wire
async def test_arguments_keep_their_types(wire: SpokenWire) -> None:
    """The Go original's ReAct agent passed every argument as a string."""
    calls = Calls()
    async with served(wire, Reply(tool_calls=[ROME]), "Cold.") as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm, [calls.weather()]).run_stream("hi"))
    assert calls.made == [("weather", {"city": "Rome", "days": 3})]
    assert seen.all(ToolStart)[0].arguments == {"city": "Rome", "days": 3}


@each_wire
async def test_call_starts_while_model_writes(wire: SpokenWire) -> None:
    held = HeldTool()
    # A call without arguments may be cut off: on some wires it waits for the finish reason.
    first = ToolCall("call_1", "held", '{"note": "wait"}')
    both = [first, ToolCall("call_2", "weather", ROME.arguments)]
    cut = in_the_middle(wire, Reply(tool_calls=both), b"weather")
    turn = Reply(tool_calls=both, cut_after=cut, ending=Ending.STALL)
    async with served(wire, turn) as (server, llm):
        calls = Calls()
        seen = RunSeen(FunctionAgent(llm, [held.tool, calls.weather()]).run_stream("hi"))
        await held.running.wait()
        assert [start.name for start in seen.all(ToolStart)] == ["held"]
        seen.dispose()
        await held.cancelled.wait()
        await server.disconnected()
        assert calls.made == []


@each_piecewise_wire
@pytest.mark.parametrize("ending", [Ending.FIN, Ending.CLOSE, Ending.RESET])
async def test_truncated_call_never_runs(wire: SpokenWire, ending: Ending) -> None:
    calls = Calls()
    cut = in_the_middle(wire, Reply(tool_calls=[ROME]), b"weather")
    turn = Reply(tool_calls=[ROME], cut_after=cut, ending=ending, interval=0.005)
    async with served(wire, turn) as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm, [calls.weather()]).run_stream("hi"))
        assert isinstance(seen.error, rxagents.ProviderError)
        assert isinstance(seen.events[-1], ErrorEvent)
        assert not seen.all(ToolStart)
        assert calls.made == []


async def test_length_cut_call_names_max_tokens() -> None:
    """Other calls of the turn may have run; half a call can neither run nor be sent back."""

    class Cut(ScriptedLLM):
        def chat_stream(self, *_: Any, **__: Any) -> Any:
            delta = ToolCallDelta(1, "call_2", "weather", '{"city": "R')
            half = StreamChunk(tool_calls=(delta,))
            return rxagents.from_aiter(lambda: chunks(half))

    async def chunks(half: StreamChunk) -> Any:
        yield calling(0, "weather", OSLO.arguments)
        yield half
        yield StreamChunk(finish_reason="length")

    calls = Calls()
    seen = await seen_to_end(FunctionAgent(Cut(), [calls.weather()]).run_stream("hi"))
    assert isinstance(seen.error, OutputError)
    assert "max_tokens" in str(seen.error)
    assert len(calls.made) == 1
    assert [end.call_id for end in seen.all(ToolEnd)] == ["weather"]


@each_wire
async def test_refusal_is_the_answer(wire: SpokenWire) -> None:
    async with served(wire, Reply(refusal="I will not.")) as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm).run_stream("hi"))
    assert "".join(token.content for token in seen.all(Token)) == "I will not."
    assert [answer.content for answer in seen.all(Answer)] == ["I will not."]
    assert seen.completed


async def test_text_and_refusal_are_both_emitted() -> None:
    class Both(ScriptedLLM):
        def chat_stream(self, *_: Any, **__: Any) -> Any:
            async def chunks() -> Any:
                yield StreamChunk("Well, ", refusal="I will", reasoning="Hm.")
                yield StreamChunk("no, ", refusal=" not.")
                yield StreamChunk("not seen", choice=1, reasoning="nor this", refusal="nor that")
                yield StreamChunk(finish_reason="stop")

            return rxagents.from_aiter(chunks)

    seen = await seen_to_end(FunctionAgent(Both()).run_stream("hi"))
    emitted = [(event.type, event.content) for event in seen.events[:-2]]
    texts = ["Hm.", "Well, ", "I will", "no, ", " not."]
    assert emitted == list(zip(["reasoning"] + 4 * ["token"], texts, strict=True))


@each_wire
@pytest.mark.parametrize("finish", ["length", "content_filter"])
async def test_early_end_completes_with_reason(wire: SpokenWire, finish: str) -> None:
    async with served(wire, Reply("It is", finish_reason=finish)) as (_, llm):
        result = await FunctionAgent(llm).run("hi")
        assert (result.output, result.finish_reason) == ("It is", finish)


@each_wire
async def test_result_messages_continue_the_conversation(wire: SpokenWire) -> None:
    turns = Reply(tool_calls=[OSLO]), "Cold.", "Still cold."
    async with served(wire, *turns) as (server, llm):
        agent = FunctionAgent(llm, [Calls().weather()])
        first = await agent.run("Oslo?")
        second = await agent.run([*first.messages, Message.user("And now?")])
        assert second.output == "Still cold."
        assert "Oslo is cold" in server.requests[2].body.decode()
