"""Tools that return directly: their results are the run's answer."""

from __future__ import annotations

import asyncio
import dataclasses
from typing import Any

import pytest
from agent_runs import AgentKind, Calls, Function, HeldTool, each_agent, seen_to_end, served
from msgspec import structs
from observing import Seen
from wires import SpokenWire, each_wire

from rxagents import (
    Answer,
    Complete,
    Conversation,
    FunctionAgent,
    ImagePart,
    Message,
    Token,
    Tool,
    ToolEnd,
    ToolStart,
    TurnEnd,
    tool,
)
from rxagents.agents.control import RunControl
from rxagents.testing import ScriptedLLM

REPORT = ("report", {"city": "Oslo"})
OSLO = ("weather", {"city": "Oslo"})


@tool(returns_directly=True)
async def report(city: str) -> str:
    """Write the report of a city."""
    if city == "Atlantis":
        raise ValueError("under water")
    return f"# {city}\nAll is well."


def texts(messages: Any) -> str:
    return "\n".join(str(part) for message in messages for part in message.parts)


@each_agent
@each_wire
async def test_result_is_the_answer(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.calls(REPORT)) as (server, llm):
        made = agent.make(llm, [report])
        seen = await seen_to_end(made.run_stream("Oslo?"))
        *_, start, end, token, answer, turn_end, last = seen.items
        kinds = [type(event) for event in (start, end, token, answer, turn_end, last)]
        assert kinds == [ToolStart, ToolEnd, Token, Answer, TurnEnd, Complete]
        assert {event.content for event in (end, token, answer, last)} == {"# Oslo\nAll is well."}
        assert isinstance(last, Complete)
        assert last.iterations == 1
        assert len(server.requests) == 1
        result = await made.run("Oslo?")
        assert result.output == "# Oslo\nAll is well."
        assert result.messages[-1].role == "assistant"
        assert result.messages[-1].text.endswith("# Oslo\nAll is well.")


@each_agent
async def test_other_calls_of_the_turn_end_first(agent: AgentKind) -> None:
    held, calls = HeldTool(), Calls()
    llm = ScriptedLLM(agent.calls(("held", {}), REPORT, OSLO))
    run = agent.make(llm, [held.tool, report, calls.weather()]).start("Oslo?")
    seen = Seen(run.events)
    await seen.saw(ToolEnd, 2)
    assert seen.all(Answer) == []
    held.release.set()
    result = await run.result
    assert result.output == "# Oslo\nAll is well."
    for shown in ("done", "Oslo is cold"):
        assert shown in texts(result.messages)
    assert len(llm.requests) == 1


@each_agent
async def test_several_results_are_joined_in_order_of_calls(agent: AgentKind) -> None:
    is_second_done = asyncio.Event()

    @tool(returns_directly=True)
    async def write(number: int) -> str:
        if number == 1:
            await is_second_done.wait()
        is_second_done.set()
        return f"part {number}"

    llm = ScriptedLLM(agent.calls(("write", {"number": 1}), ("write", {"number": 2})))
    assert (await agent.make(llm, [write]).run("hi")).output == "part 1\n\npart 2"


@each_agent
@pytest.mark.parametrize("beside", [[], [REPORT], [OSLO]], ids=["alone", "direct", "other"])
async def test_model_sees_failure_of_direct_tool(agent: AgentKind, beside: Any) -> None:
    turn = agent.calls(("report", {"city": "Atlantis"}), *beside)
    llm = ScriptedLLM(turn, agent.answers("It is under water."))
    result = await agent.make(llm, [report, Calls().weather()]).run("Atlantis?")
    assert result.output == "It is under water."
    assert "Error: ValueError: under water" in texts(llm.requests[1].messages)


@each_agent
async def test_failure_of_another_tool_does_not_matter(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("nothing", {}), REPORT))
    result = await agent.make(llm, [report]).run("Oslo?")
    assert result.output == "# Oslo\nAll is well."
    assert "There is no tool 'nothing'" in texts(result.messages)


def careful(**options: Any) -> Tool:
    return structs.replace(report, requires_approval=True, **options)


@each_agent
async def test_denied_call_does_not_end_the_run(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(REPORT), agent.answers("I must not."))
    made = agent.make(llm, [careful()], approve=lambda _: False)
    assert (await made.run("Oslo?")).output == "I must not."


@each_agent
async def test_call_answers_when_it_is_resumed(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(OSLO, REPORT), agent.answers("I must not."))
    made = agent.make(llm, [careful(), Calls().weather()], approve="defer")
    deferred = await made.run("Oslo?")
    [call] = deferred.pending
    seen = await seen_to_end(made.resume_stream(deferred.messages, {call.id: True}))
    assert [type(event) for event in seen.events[-4:]] == [ToolEnd, Token, Answer, Complete]
    assert seen.events[-1].content == "# Oslo\nAll is well."
    assert len(llm.requests) == 1
    denied = await made.resume(deferred.messages, {call.id: False})
    assert denied.output == "I must not."


@each_agent
async def test_result_from_before_the_deferral_answers(agent: AgentKind) -> None:
    other = structs.replace(Calls().weather(), requires_approval=True)
    llm = ScriptedLLM(agent.calls(REPORT, OSLO))
    made = agent.make(llm, [report, other], approve="defer")
    deferred = await made.run("Oslo?")
    assert deferred.finish_reason == "approval"
    result = await made.resume(deferred.messages, {deferred.pending[0].id: False})
    assert (result.output, result.finish_reason) == ("# Oslo\nAll is well.", "tool_calls")
    assert len(llm.requests) == 1


@each_agent
async def test_stopped_resumption_does_not_answer(agent: AgentKind) -> None:
    held = HeldTool()
    other = structs.replace(held.tool, requires_approval=True)
    made = agent.make(
        ScriptedLLM(agent.calls(REPORT, ("held", {}))), [report, other], approve="defer"
    )
    deferred = await made.run("Oslo?")
    control = RunControl()
    decisions = {deferred.pending[0].id: True}
    seen = Seen(made._events(deferred.messages, made.run_options(), control, decisions))
    await held.running.wait()
    control.stop()
    await seen.over.wait()
    assert (seen.items[-1].content, seen.items[-1].finish_reason) == ("", "cancelled")
    assert seen.all(Answer) == []


@each_agent
async def test_only_own_limit_cuts_the_answer(agent: AgentKind) -> None:
    whole = agent.make(ScriptedLLM(agent.calls(REPORT)), [report], max_result_length=3)
    assert (await whole.run("Oslo?")).output == "# Oslo\nAll is well."
    short = structs.replace(report, max_result_length=6)
    cut = agent.make(ScriptedLLM(agent.calls(REPORT)), [short])
    assert (await cut.run("Oslo?")).output.startswith("# Oslo\n[The result was cut")


@each_agent
@each_wire
async def test_conversation_goes_on_after_the_answer(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.calls(REPORT), agent.answers("Yes.")) as (server, llm):
        conversation = Conversation(agent.make(llm, [report]))
        await conversation.run("Oslo?")
        assert (await conversation.run("Sure?")).output == "Yes."
        assert server.requests[1].body.decode().count("All is well.") == 2
        assert len(server.requests) == 2


@each_agent
async def test_run_goes_on_with_message_from_outside(agent: AgentKind) -> None:
    held = HeldTool()
    direct = structs.replace(held.tool, returns_directly=True)
    llm = ScriptedLLM(agent.calls(("held", {})), agent.answers("And more."))
    run = agent.make(llm, [direct]).start("hi")
    await held.running.wait()
    run.steer("Say more.")
    held.release.set()
    assert (await run.result).output == "And more."
    assert [message.text for message in llm.requests[1].messages[-2:]] == [
        "done" if agent.name == "function" else "Answer: done",
        "Say more.",
    ]


@dataclasses.dataclass
class City:
    name: str
    people: int


@each_agent
@pytest.mark.parametrize(
    ("kind", "result", "output"),
    [
        (City, City("Oslo", 9), City("Oslo", 9)),
        (City, {"name": "Oslo", "people": 9}, City("Oslo", 9)),
        (list[City], [City("Oslo", 9)], [City("Oslo", 9)]),
    ],
)
async def test_result_is_a_value_of_the_output_type(
    agent: AgentKind, kind: Any, result: Any, output: Any
) -> None:
    give = tool(lambda: result, name="give", description="", returns_directly=True)
    llm = ScriptedLLM(agent.calls(("give", {})))
    assert (await agent.make(llm, [give], output_type=kind).run("hi")).output == output
    assert len(llm.requests) == 1


@each_agent
async def test_result_of_another_type_goes_to_the_model(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(REPORT), agent.answers('{"name": "Oslo", "people": 9}'))
    result = await agent.make(llm, [report], output_type=City).run("Oslo?")
    assert result.output == City("Oslo", 9)
    assert "All is well." in texts(llm.requests[1].messages)


@each_agent
async def test_answer_of_a_sub_agent_is_passed_on(agent: AgentKind) -> None:
    inner = FunctionAgent(ScriptedLLM("Oslo."), system_prompt="You know geography.")
    ask = structs.replace(inner.as_tool("geography", "Knows places."), returns_directly=True)
    llm = ScriptedLLM(agent.calls(("geography", {"task": "Capital of Norway?"})))
    assert (await agent.make(llm, [ask]).run("Capital of Norway?")).output == "Oslo."


async def test_answer_describes_images() -> None:
    image = ImagePart(data=b"x", media_type="image/png")

    @tool(returns_directly=True)
    def plot() -> list[str | ImagePart]:
        return ["Sales:", image]

    llm = ScriptedLLM(Function().calls(("plot", {})))
    result = await FunctionAgent(llm, [plot]).run("hi")
    assert result.output == "Sales:\n[image/png, 1 bytes]"
    assert result.messages[-1] == Message.assistant("Sales:\n[image/png, 1 bytes]")
