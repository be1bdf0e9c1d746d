"""Runs whose answer is a value of the caller's type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
from agent_runs import RunSeen, seen_to_end, served
from msgspec import Struct
from observing import pending
from reactivex.testing import TestScheduler
from wires import WIRES, SpokenWire, each_wire

from rxagents import (
    AgentResult,
    Answer,
    ConfigurationError,
    Conversation,
    ConversationalAgent,
    FunctionAgent,
    OutputError,
    Partial,
    ReActAgent,
    Reset,
    Token,
    ToolCall,
    ToolStart,
    TurnStart,
    Usage,
    tool,
)
from rxagents.testing import Reply, ScriptedLLM

RIGHT = '{"city":"Oslo","degrees":3}'
WRONG = '{"city": "Oslo", "degrees": "cold"}'


class Weather(Struct):
    city: str
    degrees: int


@dataclass
class Point:
    x: int


@tool
def look(city: str) -> str:
    """Look up the weather."""
    return f"{city}: 3 degrees"


def calls_look(call_id: str = "c1") -> Reply:
    return Reply(tool_calls=[ToolCall(call_id, "look", '{"city": "Oslo"}')])


def gives(text: str, *others: ToolCall, call_id: str = "a1") -> Reply:
    return Reply(tool_calls=[ToolCall(call_id, "give_answer", text), *others])


def model(mode: str, *replies: Any) -> ScriptedLLM:
    llm = ScriptedLLM(*replies)
    llm.structured_output = mode  # type: ignore[assignment]  # one of the three
    return llm


@each_wire
async def test_answer_after_tools_becomes_value(wire: SpokenWire) -> None:
    has_format = wire.name not in {"gemini", "ollama"}
    replies = [calls_look(), Reply(RIGHT) if has_format else gives(RIGHT)]
    async with served(wire, *replies) as (server, llm):
        agent = FunctionAgent(llm, [look], output_type=Weather)
        seen = await seen_to_end(agent.run_stream("How cold is it in Oslo?"))
        bodies = [json.dumps(request.json()) for request in server.requests]
    assert seen.all(Answer)[0].content == RIGHT
    assert seen.items[-1].content == RIGHT
    assert "".join(token.content for token in seen.all(Token)) == RIGHT
    assert all('"degrees"' in body for body in bodies)
    assert all(("give_answer" in body) != has_format for body in bodies)


@each_wire
@pytest.mark.parametrize("mode", ["native", "tool", "prompt"])
async def test_wrong_answer_is_corrected(wire: SpokenWire, mode: str) -> None:
    usage = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
    text = json.dumps({"city": "Oslo", "late": 1})
    replies = [
        gives(text) if mode == "tool" else Reply(text, usage=usage),
        gives(RIGHT, call_id="a2") if mode == "tool" else Reply(RIGHT, usage=usage),
    ]
    async with served(wire, *replies, structured_output=mode) as (server, llm):
        result = await FunctionAgent(llm, output_type=Weather).run("How cold is it in Oslo?")
        second = json.dumps(server.requests[1].json())
    assert result.output == Weather("Oslo", 3)
    assert result.iterations == 2
    assert "missing required field `degrees`" in second
    if mode != "tool":
        assert result.usage is not None
        assert result.usage.input_tokens == 6


@each_wire
async def test_react_answer_is_corrected(wire: SpokenWire) -> None:
    replies = [
        Reply('Thought: I must look.\nAction: look({"city": "Oslo"})\n'),
        Reply('Thought: I know.\nAnswer: {"city": "Oslo"}'),
        Reply(f"Answer: {RIGHT}"),
    ]
    async with served(wire, *replies) as (server, llm):
        agent = ReActAgent(llm, [look], output_type=Weather)
        result = await agent.run("How cold is it in Oslo?")
        bodies = [json.dumps(request.json()) for request in server.requests]
    assert result.output == Weather("Oslo", 3)
    assert "must be one JSON object" in bodies[0]
    assert "Observation: The answer does not match" in bodies[2]
    assert result.trace[-1].observation.startswith("The answer does not match")


async def test_correction_is_seen_as_reset() -> None:
    llm = ScriptedLLM("no JSON", RIGHT)
    seen = await seen_to_end(FunctionAgent(llm, output_type=Weather).run_stream("?"))
    kinds = [str(item.type) for item in seen.items if not isinstance(item, Token)]
    assert kinds[:4] == ["turn_start", "reset", "turn_end", "turn_start"]
    assert kinds[-3:] == ["answer", "turn_end", "complete"]
    assert "contains no JSON object" in seen.all(Reset)[0].content
    assert [message.role for message in llm.requests[1].messages] == ["user", "assistant", "user"]


@pytest.mark.parametrize("mode", ["native", "tool", "prompt"])
async def test_corrections_are_bounded(mode: str) -> None:
    llm = model(mode, "no JSON")
    agent = FunctionAgent(llm, output_type=Weather, corrections=1)
    seen = await seen_to_end(agent.run_stream("?"))
    seen.assert_failed(OutputError)
    assert len(llm.requests) == 2
    assert seen.error.iterations == 2  # type: ignore[union-attr]  # errors of runs have it
    with pytest.raises(ConfigurationError, match="corrections"):
        FunctionAgent(llm, output_type=Weather, corrections=-1)


async def test_correction_needs_another_turn() -> None:
    llm = ScriptedLLM("no JSON")
    with pytest.raises(OutputError, match="contains no JSON object"):
        await FunctionAgent(llm, output_type=Weather, max_iterations=1).run("?")


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply('{"city": "Os', finish_reason="length"), "Raise max_tokens"),
        (Reply(refusal="I cannot."), "refused to answer: I cannot"),
    ],
    ids=["cut", "refused"],
)
@pytest.mark.parametrize("agent", [FunctionAgent, ReActAgent])
async def test_cut_and_refused_answers_fail(agent: Any, reply: Reply, message: str) -> None:
    if agent is ReActAgent and reply.text:
        reply = Reply(f"Answer: {reply.text}", finish_reason="length")
    llm = ScriptedLLM(reply)
    with pytest.raises(OutputError, match=message):
        await agent(llm, output_type=Weather).run("?")
    assert len(llm.requests) == 1


async def test_answer_tool_is_hidden_from_events() -> None:
    other = ToolCall("c2", "look", '{"city": "Rome"}')
    llm = model("tool", calls_look(), gives(RIGHT, other))
    agent = FunctionAgent(llm, [look], output_type=Weather, max_tool_calls=2)
    seen = await seen_to_end(agent.run_stream("?"))
    assert [start.name for start in seen.all(ToolStart)] == ["look", "look"]
    assert "give_answer" not in str(seen.items)
    assert seen.all(Answer)[0].content == RIGHT
    assert llm.requests[0].settings.tool_choice == "required"


async def test_every_call_beside_answer_has_result() -> None:
    second = ToolCall("a2", "give_answer", WRONG)
    llm = model("tool", gives(RIGHT, ToolCall("c2", "look", '{"city": "Rome"}'), second))
    result = await FunctionAgent(llm, [look], output_type=Weather).run("?")
    assert result.output == Weather("Oslo", 3)
    results = [message.parts[0] for message in result.messages if message.role == "tool"]
    assert [(part.call_id, part.is_error) for part in results] == [  # type: ignore[union-attr]  # results
        ("a1", False),
        ("c2", False),
        ("a2", True),
    ]
    assert "did not run" in results[2].content  # type: ignore[union-attr]  # a result


@pytest.mark.parametrize("mode", ["native", "tool", "prompt"])
async def test_last_turn_gives_value(mode: str) -> None:
    answer = gives(RIGHT) if mode == "tool" else Reply(RIGHT)
    llm = model(mode, calls_look(), answer)
    agent = FunctionAgent(llm, [look], output_type=Weather, max_iterations=1, at_limit="answer")
    result = await agent.run("?")
    assert (result.output, result.finish_reason) == (Weather("Oslo", 3), "limit")
    last = llm.requests[1].settings.tool_choice
    assert last == ("give_answer" if mode == "tool" else "none")


async def test_last_turn_of_react_gives_value() -> None:
    llm = ScriptedLLM('Action: look({"city": "Oslo"})\n', f"Answer: {RIGHT}")
    agent = ReActAgent(llm, [look], output_type=Weather, max_iterations=1, at_limit="answer")
    seen = await seen_to_end(agent.run_stream("?"))
    assert seen.all(Partial)[-1].value == {"city": "Oslo", "degrees": 3}
    assert seen.items[-1].finish_reason == "limit"
    assert [answer.content for answer in seen.all(Answer)] == [RIGHT]


@pytest.mark.parametrize("agent", [FunctionAgent, ReActAgent])
async def test_wrong_answer_in_last_turn_fails(agent: Any) -> None:
    first = calls_look() if agent is FunctionAgent else 'Action: look({"city": "Oslo"})\n'
    llm = ScriptedLLM(first, f"Answer: {WRONG}")
    made = agent(llm, [look], output_type=Weather, max_iterations=1, at_limit="answer")
    with pytest.raises(OutputError, match="degrees"):
        await made.run("?")


async def test_stopped_run_has_no_value() -> None:
    llm = ScriptedLLM(Reply('{"city": "Oslo", "degrees": 3}', interval=1))
    run = FunctionAgent(llm, output_type=Weather).start("?")
    events: list[Any] = []

    def stop_at_token(event: Any) -> None:
        events.append(event)
        if isinstance(event, Token):
            run.stop()

    run.events.subscribe(stop_at_token)
    result: Any = await run.result
    assert (result.output, result.finish_reason) == (None, "cancelled")
    assert events[-1].content == '{"city":'


@pytest.mark.parametrize("mode", ["native", "tool"])
async def test_conversation_remembers_typed_answers(mode: str) -> None:
    first, second = (gives(RIGHT), gives(RIGHT)) if mode == "tool" else (RIGHT, RIGHT)
    llm = model(mode, first, second)
    agent = ConversationalAgent(llm, output_type=Weather)
    assert (await agent.run("?")).output == Weather("Oslo", 3)
    assert (await agent.run("And now?")).output == Weather("Oslo", 3)
    sent = llm.requests[1].messages
    assert [message.role for message in sent][:2] == ["user", "assistant"]
    assert "Oslo" in str(sent[1])
    wrapped = Conversation(FunctionAgent(model(mode, first), output_type=Weather))
    assert (await wrapped.run("?")).output == Weather("Oslo", 3)


async def test_prompt_keeps_system_prompt_out_of_result() -> None:
    llm = model("prompt", f"Here: {RIGHT} Bye.")
    result = await FunctionAgent(llm, output_type=Weather, system_prompt="Be kind.").run("?")
    assert llm.requests[0].messages[0].text.startswith("Be kind.\n\nGive your final answer")
    assert result.messages[0].text == "Be kind."
    assert result.output == Weather("Oslo", 3)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (list[Weather], f'{{"value": [{RIGHT}]}}', [Weather("Oslo", 3)]),
        (Point, '{"x": 1}', Point(1)),
        (int, '{"value": 5}', 5),
        (str, "plain", "plain"),
        (None, "plain", "plain"),
    ],
)
async def test_output_has_type(kind: Any, text: str, expected: Any) -> None:
    assert (await FunctionAgent(ScriptedLLM(text), output_type=kind).run("?")).output == expected


async def test_sub_agent_gives_its_json() -> None:
    inner = FunctionAgent(ScriptedLLM(RIGHT), output_type=Weather)
    ask = Reply(tool_calls=[ToolCall("c1", "weather", '{"task": "Oslo?"}')])
    llm = ScriptedLLM(ask, "Cold.")
    await FunctionAgent(llm, [inner.as_tool("weather", "Knows the weather.")]).run("?")
    assert llm.requests[1].messages[-1].parts[0].content == RIGHT  # type: ignore[union-attr]  # a text


@pytest.mark.parametrize("kind", ["Weather", 5, object, {"type": "object"}])
def test_unusable_types_are_refused(kind: Any) -> None:
    with pytest.raises(
        ConfigurationError, match=r"output_type must be a type|cannot have the type"
    ):
        FunctionAgent(ScriptedLLM(), output_type=kind)


async def test_steered_run_answers_again() -> None:
    llm = ScriptedLLM(Reply(RIGHT, interval=1), '{"city": "Rome", "degrees": 20}')
    run = FunctionAgent(llm, output_type=Weather).start("?")

    def steer(event: Any) -> None:
        if isinstance(event, TurnStart) and event.number == 1:
            run.steer("Rome, please.")

    run.events.subscribe(steer)
    assert (await run.result).output == Weather("Rome", 20)


async def test_answer_beside_waiting_calls_comes_later() -> None:
    @tool(requires_approval=True)
    def send(text: str) -> str:
        """Send a mail."""
        return "sent"

    mail = ToolCall("c1", "send", '{"text": "Hi"}')
    llm = model("tool", gives(RIGHT, mail), gives(RIGHT, call_id="a2"))
    agent = FunctionAgent(llm, [send], output_type=Weather, approve="defer")
    first: Any = await agent.run("?")
    assert (first.output, first.finish_reason) == (None, "approval")
    assert [call.name for call in first.pending] == ["send"]
    assert "Other calls had not ended" in first.messages[-1].parts[0].content
    result = await agent.resume(first.messages, {"c1": True})
    assert result.output == Weather("Oslo", 3)


async def test_value_before_steering_is_dropped() -> None:
    llm = ScriptedLLM(RIGHT, Reply(['{"city":', ' "Rome", "degrees": 9}'], interval=1))
    run = FunctionAgent(llm, output_type=Weather).start("?")

    def steer_and_stop(event: Any) -> None:
        if isinstance(event, TurnStart) and event.number == 1:
            run.steer("Again.")
        if isinstance(event, Token) and event.content == '{"city":':
            run.stop()

    run.events.subscribe(steer_and_stop)
    result: Any = await run.result
    assert (result.output, result.finish_reason) == (None, "cancelled")


async def test_result_survives_round_trip() -> None:
    result = await FunctionAgent(ScriptedLLM(RIGHT), output_type=Weather).run("?")
    encoded = msgspec.json.encode(result)
    assert msgspec.json.decode(encoded, type=AgentResult[Weather]) == result
    assert msgspec.json.decode(encoded, type=AgentResult).output == json.loads(RIGHT)


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_disposed_correction_closes_its_request(kind: Any) -> None:
    wire = next(each for each in WIRES if each.name == "anthropic")
    replies = [Reply("Answer: no JSON"), Reply("late", delay=60)]
    async with served(wire, *replies) as (server, llm):
        seen = RunSeen(kind(llm, output_type=Weather).run_stream("?"))
        await server.received(2)
        await seen.assert_silent()
        await server.disconnected()


def test_virtual_time_of_corrections() -> None:
    scheduler = TestScheduler()
    llm = ScriptedLLM(Reply("no JSON", delay=10), Reply(RIGHT, delay=20))
    agent = FunctionAgent(llm, output_type=Weather)
    observer: Any = scheduler.start(lambda: agent.run_stream("?"))
    assert not pending(scheduler)
    marks = [(m.time, m.value.value) for m in observer.messages if m.value.kind == "N"]
    assert [at for at, event in marks if isinstance(event, Reset)] == [210]
    assert [at for at, event in marks if isinstance(event, Answer)] == [230]


@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent, ConversationalAgent])
async def test_run_has_type_of_its_own(kind: Any) -> None:
    point, weather, text = ("Answer: " if kind is ReActAgent else "" for _ in range(3))
    llm = ScriptedLLM(point + '{"x": 1}', weather + RIGHT, text + "plain", point + '{"x": 2}')
    if kind is ConversationalAgent:
        agent = ConversationalAgent(llm, output_type=Weather)
    else:
        agent = kind(llm, output_type=Weather)
    assert (await agent.run("?", output_type=Point)).output == Point(1)
    assert (await agent.run("?")).output == Weather("Oslo", 3)
    assert (await agent.run("?", output_type=str)).output == "plain"
    seen = await seen_to_end(agent.run_stream("?", output_type=Point))
    assert seen.all(Partial)[-1].value == {"x": 2}


async def test_resumed_run_has_type_of_its_own() -> None:
    @tool(requires_approval=True)
    def send(text: str) -> str:
        """Send a mail."""
        return "sent"

    call = Reply(tool_calls=[ToolCall("c1", "send", '{"text": "Hi"}')])
    agent = FunctionAgent(ScriptedLLM(call, '{"x": 1}'), [send], approve="defer")
    first = await agent.run("?", output_type=Point)
    assert (await agent.resume(first.messages, {"c1": True}, output_type=Point)).output == Point(1)


async def test_wrong_type_of_run_is_refused_at_once() -> None:
    agent: Any = FunctionAgent(ScriptedLLM())
    with pytest.raises(ConfigurationError, match="output_type must be a type"):
        agent.run_stream("?", output_type=5)
