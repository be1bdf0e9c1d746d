"""`ReActAgent` with models that do not keep to the form, on every wire."""

from __future__ import annotations

import pytest
from agent_runs import Calls, seen_to_end, served
from wires import SpokenWire, any_wire

from rxagents import Answer, Complete, MaxIterationsError, Message, ReActAgent, Token, ToolStart
from rxagents.testing import Reply, ScriptedLLM


@any_wire
@pytest.mark.parametrize(
    ("asks", "answers"),
    [
        ("Thought 1: t\nAction 1: weather[Oslo]", "Thought 2: t\nAction 2: Finish[cold]"),
        (
            '```json\n{"action": "weather", "action_input": "Oslo"}\n```',
            '{"action": "Final Answer", "action_input": "cold"}',
        ),
        ("> - Action: weather Action Input: Oslo", "### Final Answer\ncold"),
        ("<action>weather</action><action_input>Oslo</action_input>", "<answer>cold</answer>"),
        ("Action：weather（Oslo）", "**Final Answer: cold**"),
    ],
    ids=["paper", "object", "marks", "tags", "emphasis"],
)
async def test_forms_of_models_are_read(wire: SpokenWire, asks: str, answers: str) -> None:
    calls = Calls()
    asks = f"Action:\n{asks}" if asks.startswith("```") else asks
    answers = f"Action: {answers}" if answers.startswith("{") else answers
    async with served(wire, asks, answers) as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, [calls.weather()]).run_stream("Oslo?"))
    assert [start.arguments for start in seen.all(ToolStart)] == [{"city": "Oslo"}]
    assert [answer.content for answer in seen.all(Answer)] == ["cold"]
    shown = [token.content for token in seen.all(Token) if token.section == "answer"]
    assert "".join(shown) == "cold"


@any_wire
async def test_direct_answer_needs_no_label(wire: SpokenWire) -> None:
    async with served(wire, "It is\ncold.\n") as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, direct_answer=True).run_stream("Oslo?"))
    assert [answer.content for answer in seen.all(Answer)] == ["It is\ncold."]
    assert isinstance(seen.events[-1], Complete)
    assert seen.events[-1].content == "It is\ncold."


async def test_direct_answer_goes_back_with_its_label() -> None:
    agent = ReActAgent(ScriptedLLM("It is cold."), direct_answer=True)
    result = await agent.run("Oslo?")
    assert result.messages[-1] == Message.assistant("Answer: It is cold.")
    assert result.trace == ()


@pytest.mark.parametrize(
    "first",
    [
        "Thought: I need the weather.",
        "I think.\nThought: I need the weather.",
        "Action: None",
        "I think.\nObservation: warm",
        Reply("I need", finish_reason="length"),
        "",
    ],
)
async def test_direct_answer_is_whole_and_without_labels(first: str | Reply) -> None:
    llm = ScriptedLLM(first, "Answer: cold")
    assert (await ReActAgent(llm, direct_answer=True).run("Oslo?")).output == "cold"


@any_wire
async def test_error_has_last_text_without_action(wire: SpokenWire) -> None:
    async with served(wire, "I wonder.", "It is cold. " * 20) as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, max_iterations=2).run_stream("Oslo?"))
    assert isinstance(seen.error, MaxIterationsError)
    assert "no turn had an action or an answer" in str(seen.error)
    assert repr("It is cold. " * 6 + "It is co") in str(seen.error)
    assert "direct_answer=True" in str(seen.error)
    assert seen.error.last_text == "It is cold. " * 20


async def test_error_after_calls_does_not_blame_the_form() -> None:
    calls = Calls()
    agent = ReActAgent(ScriptedLLM('Action: weather("Oslo")'), [calls.weather()], max_iterations=1)
    with pytest.raises(MaxIterationsError, match=r"turns\. Raise max_iterations") as failed:
        await agent.run("Oslo?")
    assert failed.value.last_text == 'Action: weather("Oslo")'
