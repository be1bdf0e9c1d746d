"""A wrong part of a typed answer ends the request at once; partial objects come before."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reactivex as rx
from agent_runs import HeldTool, RunSeen, seen_to_end, served
from msgspec import Struct
from observing import pending
from reactivex import operators as rx_ops
from reactivex.testing import TestScheduler
from wires import WIRES, SpokenWire, each_wire

from rxagents import (
    Answer,
    ConversationalAgent,
    FunctionAgent,
    OutputError,
    Partial,
    ReActAgent,
    Reset,
    StreamChunk,
    ToolCall,
    ToolCallDelta,
    ToolEnd,
    TurnEnd,
    tool,
)
from rxagents.testing import Ending, Reply, ScriptedLLM


class Weather(Struct):
    city: str
    degrees: int
    text: str = ""


RIGHT = '{"city":"Oslo","degrees":3}'
WRONG = ['{"city": "Oslo",', ' "degrees": "cold"', ', "text": "', "It is", " cold", '"}']
WRONG_TEXT = "".join(WRONG)


def as_call(text: str, *others: ToolCall) -> list[ToolCall]:
    return [ToolCall("a1", "give_answer", text), *others]


def marks(agent: Any) -> list[tuple[float, str]]:
    """Run in virtual time from 200; return the events that are no tokens, with their times."""
    scheduler = TestScheduler()
    observer: Any = scheduler.start(lambda: agent.run_stream("?"))
    assert not pending(scheduler)
    events = [(m.time, m.value.value) for m in observer.messages if m.value.kind == "N"]
    return [(at, f"{event.type} {event.content}") for at, event in events if event.type != "token"]


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
def test_wrong_field_ends_turn_at_its_end(kind: Any) -> None:
    wrong, right = WRONG, RIGHT
    if kind is ReActAgent:
        wrong, right = [f"Answer: {WRONG[0]}", *WRONG[1:]], f"Answer: {RIGHT}"
    llm = ScriptedLLM(Reply(wrong, delay=10, interval=10), Reply(right, delay=10))
    seen = marks(kind(llm, output_type=Weather))
    reset = next(n for n, (_, mark) in enumerate(seen) if mark.startswith("reset"))
    assert seen[0] == (200, "turn_start ")
    assert (210, 'partial {"city":"Oslo"}') in seen
    at, mark = seen[reset]
    assert at == 220  # the text would have gone on until 270
    assert "Expected `int`, got `str` - at `$.degrees`" in mark
    assert [each[0] for each in seen[reset:]] == [220, 220, 220, 230, 230, 230, 230]
    assert seen[-3:] == [
        (230, f"answer {RIGHT}"),
        (230, "turn_end "),
        (230, f"complete {RIGHT}"),
    ]


@each_wire
async def test_server_sees_close_at_wrong_field(wire: SpokenWire) -> None:
    stalled = Reply(WRONG, ending=Ending.STALL, cut_after=7)
    async with served(wire, stalled, RIGHT) as (server, llm):
        seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
        await server.disconnected()
        second = json.dumps(server.requests[1].json())
    assert seen.all(Answer)[0].content == RIGHT
    assert "at `$.degrees`" in second
    assert '\\"city\\": \\"Oslo\\"' in second
    first_end = seen.all(TurnEnd)[0]
    assert first_end.finish_reason == "cancelled"
    assert first_end.usage is not None
    assert first_end.usage.estimated


@pytest.mark.parametrize("name", ["chat completions", "anthropic"])
async def test_wrong_argument_of_answer_ends_request(name: str) -> None:
    wire = next(each for each in WIRES if each.name == name)
    late = [Reply(tool_calls=as_call(WRONG_TEXT)), Reply(tool_calls=as_call(RIGHT))]
    async with served(wire, *late, structured_output="tool") as (server, llm):
        seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
        second = json.dumps(server.requests[1].json())
    assert seen.all(Answer)[0].content == RIGHT
    assert seen.all(TurnEnd)[0].finish_reason == "cancelled"
    assert len(seen.all(Reset)) == 1
    assert "at `$.degrees`" in second
    assert '\\"city\\": \\"Oslo\\"' in second


async def test_tool_that_runs_ends_before_correction() -> None:
    @tool
    def look(city: str) -> str:
        """Look."""
        return f"{city}: cold"

    both = [ToolCall("c1", "look", '{"city": "Oslo"}'), *as_call(WRONG_TEXT)]
    llm = ScriptedLLM(Reply(tool_calls=both), Reply(tool_calls=as_call(RIGHT)))
    llm.structured_output = "tool"
    seen = await seen_to_end(FunctionAgent(llm, [look], output_type=Weather).run_stream("?"))
    assert seen.all(ToolEnd)[0].result == "Oslo: cold"
    assert seen.all(Answer)[0].content == RIGHT
    sent = llm.requests[1].messages
    assert [message.role for message in sent] == ["user", "assistant", "tool", "user"]
    assert [call.name for call in sent[1].tool_calls] == ["look"]


async def test_text_after_calls_is_not_judged() -> None:
    @tool
    def look() -> str:
        """Look."""
        return "cold"

    call = ToolCallDelta(0, "c1", "look", "{}", sealed=True)
    end = StreamChunk(finish_reason="tool_calls")
    first = [StreamChunk(tool_calls=(call,)), StreamChunk('{"degrees": "unknown", '), end]

    class CallFirst(ScriptedLLM):
        def chat_stream(self, *arguments: Any, **settings: Any) -> Any:
            stream = super().chat_stream(*arguments, **settings)
            return stream if self.requests else stream.pipe(rx_ops.flat_map(first_of))

    def first_of(chunk: StreamChunk) -> Any:
        return rx.from_iterable(first) if chunk.delta else rx.empty()

    agent = FunctionAgent(CallFirst("once", RIGHT), [look], output_type=Weather)
    seen = await seen_to_end(agent.run_stream("?"))
    assert (len(seen.all(Reset)), seen.all(ToolEnd)[0].result) == (0, "cold")
    assert seen.all(Answer)[0].content == RIGHT


async def test_request_closes_while_a_tool_runs() -> None:
    held = HeldTool()
    both = [ToolCall("c1", "held", "{}"), *as_call(WRONG_TEXT)]
    wrong = Reply(tool_calls=both, ending=Ending.STALL, cut_after=10)
    right = Reply(tool_calls=as_call(RIGHT))
    wire = next(each for each in WIRES if each.name == "chat completions")
    async with served(wire, wrong, right, structured_output="tool") as (server, llm):
        agent = FunctionAgent(llm, [held.tool], output_type=Weather)
        seen = RunSeen(agent.run_stream("?"))
        await held.running.wait()
        await server.disconnected()
        assert not seen.all(Reset)
        held.release.set()
        await seen.over.wait()
    assert seen.all(ToolEnd)[0].result == "done"
    assert seen.all(Answer)[0].content == RIGHT


async def test_early_ends_count_as_corrections() -> None:
    llm = ScriptedLLM(Reply(WRONG))
    seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
    seen.assert_failed(OutputError)
    assert len(llm.requests) == 3
    assert len(seen.all(Reset)) == 2
    assert "degrees" in str(seen.error)


async def test_restarted_model_stream_is_read_anew() -> None:
    class Restarting(ScriptedLLM):
        def chat_stream(self, *arguments: Any, **settings: Any) -> Any:
            reset = StreamChunk.reset(OutputError("cut"))
            first = rx.from_iterable([StreamChunk('{"city": "Os'), reset])
            return rx.concat(first, super().chat_stream(*arguments, **settings))

    seen = await seen_to_end(FunctionAgent(Restarting(RIGHT), output_type=Weather).run_stream("?"))
    assert seen.all(Partial)[-1].value == {"city": "Oslo", "degrees": 3}
    assert seen.all(Answer)[0].content == RIGHT


@each_wire
async def test_partial_objects_come_while_it_streams(wire: SpokenWire) -> None:
    pieces = ['{"city": "Os', 'lo", "deg', 'rees": 3, "te', 'xt": "It is', " cold.", '"}']
    async with served(wire, Reply(pieces)) as (_, llm):
        seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
    values = [partial.value for partial in seen.all(Partial)]
    assert values[0] == {"city": "Oslo"}
    assert values[1] == {"city": "Oslo", "degrees": 3}
    assert values[-1] == {"city": "Oslo", "degrees": 3, "text": "It is cold."}
    kinds = [str(item.type) for item in seen.items]
    assert kinds.index("partial") < len(kinds) - 1 - kinds[::-1].index("token")
    assert len(values) == 3


async def test_answer_call_has_partial_objects_too() -> None:
    llm = ScriptedLLM(Reply(tool_calls=as_call(RIGHT)))
    llm.structured_output = "tool"
    seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
    assert seen.all(Partial)[-1].value == {"city": "Oslo", "degrees": 3}


async def test_runs_without_type_have_no_partial_objects() -> None:
    seen = await seen_to_end(FunctionAgent(ScriptedLLM(RIGHT)).run_stream("?"))
    assert not seen.all(Partial)


async def test_conversation_keeps_partial_answer_and_correction() -> None:
    llm = ScriptedLLM(Reply(WRONG), RIGHT, RIGHT)
    agent = ConversationalAgent(llm, output_type=Weather)
    await agent.run("?")
    await agent.run("And now?")
    roles = [message.role for message in llm.requests[2].messages]
    assert roles == ["user", "assistant", "user", "assistant", "user"]


class Raising(Struct):
    n: int

    def __post_init__(self) -> None:
        raise LookupError("of the type's own code")


class WithRaising(Struct):
    part: Raising
    text: str


async def test_error_of_the_types_code_fails_the_run() -> None:
    llm = ScriptedLLM(Reply(['{"part": {"n": 1}, ', '"text": ""}']))
    seen = await seen_to_end(FunctionAgent(llm, output_type=WithRaising).run_stream("?"))
    seen.assert_failed(LookupError)
    assert len(llm.requests) == 1
