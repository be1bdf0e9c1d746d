"""The limit of a tool's result: of one tool, and of all tools of an agent."""

from __future__ import annotations

from typing import Any

import pytest
from agent_runs import AgentKind, Function, each_agent, seen_to_end, served
from wires import SpokenWire, each_wire

from rxagents import ImagePart, Tool, ToolEnd, ToolProgress, tool
from rxagents.testing import ScriptedLLM

LEFT_OUT = "990 of its 1,000 characters were left out"


def long(limit: int | None = None) -> Tool:
    @tool(name="long", max_result_length=limit)
    def long_() -> str:
        return "abcde" * 200

    return long_


@each_agent
@each_wire
async def test_model_sees_beginning_of_long_result(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, agent.calls(("long", {})), agent.answers("ab")) as (server, llm):
        seen = await seen_to_end(agent.make(llm, [long(10)]).run_stream("hi"))
        (end,) = seen.all(ToolEnd)
        assert end.result.startswith("abcdeabcde\n[")
        assert LEFT_OUT in end.result
        body = server.requests[1].body.decode()
        assert LEFT_OUT in body
        assert "abcdeabcdea" not in body


@each_agent
@pytest.mark.parametrize(
    ("of_agent", "of_tool", "length"),
    [(None, None, 1000), (20, None, 20), (20, 30, 30), (None, 1000, 1000)],
)
async def test_limit_of_tool_precedes_limit_of_agent(
    agent: AgentKind, of_agent: int | None, of_tool: int | None, length: int
) -> None:
    llm = ScriptedLLM(agent.calls(("long", {})), agent.answers("ab"))
    made = agent.make(llm, [long(of_tool)], max_result_length=of_agent)
    (end,) = (await seen_to_end(made.run_stream("hi"))).all(ToolEnd)
    assert len(end.result.partition("\n")[0]) == length
    assert ("left out" in end.result) == (length < 1000)


async def ends_of(function: Any) -> tuple[list[ToolProgress], ToolEnd]:
    agent = Function()
    llm = ScriptedLLM(agent.calls(("it", {})), agent.answers("ab"))
    made = agent.make(llm, [tool(function, name="it")], max_result_length=10)
    seen = await seen_to_end(made.run_stream("hi"))
    (end,) = seen.all(ToolEnd)
    return seen.all(ToolProgress), end


async def test_long_error_is_cut() -> None:
    def fails() -> None:
        raise ValueError("a" * 1000)

    _, end = await ends_of(fails)
    assert end.result.startswith("Error: Val\n[The result was cut here: 1,009 of its")
    assert end.error is not None
    assert end.error.message == "a" * 1000


async def test_progress_is_not_cut() -> None:
    def counts() -> Any:
        yield "a" * 1000
        yield "b"

    (progress,), end = await ends_of(counts)
    assert progress.content == "a" * 1000
    assert end.result == "b"


async def test_image_stays_in_a_cut_result() -> None:
    image = ImagePart(data=b"x" * 1000, media_type="image/png")
    _, end = await ends_of(lambda: ["a" * 1000, image])
    assert end.parts[1] == image
    assert end.result.startswith("aaaaaaaaaa\n[image/png, 1,000 bytes]\n[The result was cut")
