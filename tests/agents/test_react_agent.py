"""`ReActAgent` on every wire; `test_runs` tests what both agents do."""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import Calls, seen_to_end, served
from wires import SpokenWire, any_wire

from rxagents import (
    ReActAgent,
    ReActStep,
    Thought,
    Token,
    ToolStart,
)
from rxagents.testing import ScriptedLLM

ASKS = 'Thought: I need the weather.\nAction: weather({"city": "Oslo"})'
ANSWERS = "Thought: I know.\nAnswer: It is cold."
CORRECTION = (
    "Observation: There was neither an Action nor an Answer in the form that was asked for, so "
    'nothing was done. Go on with a line that begins with "Action:" or with "Answer:".'
)

PROMPT = """\
Be brief.

Work on the task step by step. Each step has this form, with the labels at the start of a line:

Thought: what you know, and what to do next
Action: tool_name({"parameter": value})

The action's arguments are one JSON object. Stop after an action: its result comes as a line that \
begins with "Observation:", which you never write yourself. Then go on with the next step. When \
you know the answer, write:

Thought: why you know it
Answer: the whole answer to the task

These are the tools, each with the JSON schema of its parameters:

weather: Tell the weather.
  {"additionalProperties":false,"properties":{"city":{"description":"Where.","type":"string"},\
"days":{"default":1,"description":"For how many days.","type":"integer"}},\
"required":["city"],"type":"object"}"""


def said(requests: list[Any], number: int) -> list[tuple[str, str]]:
    """Return the conversation of a request, without the system prompt."""
    return [(message.role, message.text) for message in requests[number].messages[1:]]


@any_wire
async def test_thought_action_observation_and_answer(wire: SpokenWire) -> None:
    async with served(wire, ASKS, ANSWERS) as (server, llm):
        seen = await seen_to_end(ReActAgent(llm, [Calls().weather()]).run_stream("Oslo?"))
        assert seen.kinds == [
            "token",
            "thought",
            "token",
            "tool_start",
            "tool_end",
            "token",
            "thought",
            "token",
            "answer",
            "complete",
        ]
        assert "Observation: Oslo is cold" in server.requests[1].body.decode()


@any_wire
async def test_tokens_name_their_section(wire: SpokenWire) -> None:
    async with served(wire, ASKS, ANSWERS) as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, [Calls().weather()]).run_stream("Oslo?"))
    sections: dict[str, str] = {}
    for token in seen.all(Token):
        sections[token.section] = sections.get(token.section, "") + token.content
    assert sections == {
        "thought": "I need the weather.I know.",
        "action": 'weather({"city": "Oslo"})',
        "answer": "It is cold.",
    }
    assert [t.content for t in seen.all(Thought)] == ["I need the weather.", "I know."]


@any_wire
async def test_model_sees_actions_and_observations(wire: SpokenWire) -> None:
    async with served(wire, ASKS, ANSWERS) as (_, llm):
        result = await ReActAgent(llm, [Calls().weather()]).run("Oslo?")
    assert [(message.role, message.text) for message in result.messages[1:]] == [
        ("user", "Oslo?"),
        ("assistant", 'Thought: I need the weather.\nAction: weather({"city":"Oslo"})'),
        ("user", "Observation: Oslo is cold"),
        ("assistant", "Thought: I know.\nAnswer: It is cold."),
    ]


@any_wire
async def test_no_native_tools_are_sent(wire: SpokenWire) -> None:
    async with served(wire, ANSWERS) as (server, llm):
        await ReActAgent(llm, [Calls().weather()]).run("hi")
        assert "tools" not in server.requests[0].json()


async def test_same_tools_make_same_prompt() -> None:
    llm = ScriptedLLM(ANSWERS)
    for _ in range(2):
        agent = ReActAgent(llm, [Calls().weather()], system_prompt="Be brief.")
        await agent.run("hi")
    for request in llm.requests:
        assert request.messages[0].text == PROMPT


async def test_prompt_says_there_are_no_tools() -> None:
    llm = ScriptedLLM(ANSWERS)
    await ReActAgent(llm).run("hi")
    assert llm.requests[0].messages[0].text.endswith("of its parameters:\n\n(none)")


@any_wire
async def test_trace_holds_each_step(wire: SpokenWire) -> None:
    turns = ASKS, "I wonder.", "Answer: It is cold."
    async with served(wire, *turns) as (_, llm):
        result = await ReActAgent(llm, [Calls().weather()]).run("Oslo?")
    assert result.trace == (
        ReActStep("I need the weather.", "weather", {"city": "Oslo"}, "Oslo is cold"),
        ReActStep("I wonder.", observation=CORRECTION.removeprefix("Observation: ")),
    )


async def test_trace_holds_actions_and_last_thought() -> None:
    two = 'Thought: Both.\nThought: Yes.\nAction: weather("Oslo")\nAction: weather("Rome")\n'
    llm = ScriptedLLM(two + "Thought: Now I wait.", ANSWERS)
    result = await ReActAgent(llm, [Calls().weather()]).run("hi")
    assert result.trace == (
        ReActStep("Both.\nYes.", "weather", {"city": "Oslo"}, "Oslo is cold"),
        ReActStep("", "weather", {"city": "Rome"}, "Rome is cold"),
        ReActStep("Now I wait."),
        ReActStep("I know."),
    )


@any_wire
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("It might be cold.", "It might be cold."),
        ("Thought: I look.\nAction: weather(", "Thought: I look.\nAction: weather("),
        ("Action: None", "Action: None"),
        ("Answer:", "Answer:"),
        ("Observation: It is cold.\nAnswer: Cold.", "(nothing)"),
        ("Thought: Hm.\nObservation: It is cold.\nAnswer: Cold.", "Thought: Hm."),
    ],
    ids=["prose", "half an action", "no action", "no answer", "made up", "thought, made up"],
)
async def test_turn_without_step_is_corrected(wire: SpokenWire, text: str, shown: str) -> None:
    async with served(wire, text, ANSWERS) as (_, llm):
        seen = await seen_to_end(ReActAgent(llm, [Calls().weather()]).run_stream("hi"))
        assert seen.events[-1].content == "It is cold."
        assert not seen.all(ToolStart)
    replay = ScriptedLLM(text, ANSWERS)
    await ReActAgent(replay, [Calls().weather()]).run("hi")
    assert said(replay.requests, 1)[1:] == [("assistant", shown), ("user", CORRECTION)]
