"""Tools, system prompt and context of one run."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from agent_runs import AgentKind, each_agent, seen_to_end, served
from wires import SpokenWire, any_wire

from rxagents import (
    Answer,
    ConfigurationError,
    Conversation,
    ToolContext,
    ToolEnd,
    from_aiter,
    tool,
)
from rxagents.testing import ScriptedLLM


@dataclasses.dataclass
class Shop:
    name: str
    owner: str = "Ada"


@tool
async def owner(shop: ToolContext[Shop]) -> str:
    """Name the owner."""
    return f"{shop.context.owner} owns {shop.context.name}"


@tool
def name(context: ToolContext | None = None) -> str:
    """Name the shop."""
    assert context is not None
    return str(context.context)


def greeting(shop: Shop | None) -> str:
    return f"You work for {shop.name}." if shop else "You work for nobody."


@each_agent
@any_wire
async def test_run_has_tools_prompt_and_context(agent: AgentKind, wire: SpokenWire) -> None:
    turns = agent.calls(("owner", {})), agent.answers("Ada.")
    async with served(wire, *turns) as (server, llm):
        made = agent.make(llm, system_prompt="You work for all.")
        stream = made.run_stream(
            "Who?", tools=[owner], system_prompt=greeting, context=Shop("Bolts")
        )
        seen = await seen_to_end(stream)
        (end,) = [event for event in seen.events if isinstance(event, ToolEnd)]
        assert end.result == "Ada owns Bolts"
        body = server.requests[0].body.decode()
        assert "You work for Bolts." in body
        assert "You work for all." not in body
        assert "Name the owner" in body
        assert made.tools == ()


@each_agent
async def test_tools_of_one_run_are_added(agent: AgentKind) -> None:
    turn = agent.calls(("owner", {}), ("name", {}))
    llm = ScriptedLLM(turn, agent.answers("Done."))
    await agent.make(llm, [name]).run("Who?", tools=[owner], context=Shop("Nuts"))
    said = str(llm.requests[1].messages)
    assert "Ada owns Nuts" in said
    assert "Shop(name='Nuts', owner='Ada')" in said


@each_agent
async def test_runs_do_not_share_their_options(agent: AgentKind) -> None:
    turn, answer = agent.calls(("name", {})), agent.answers("Done.")
    llm = ScriptedLLM(turn, answer, turn, answer)
    made = agent.make(llm, [name], system_prompt=greeting)
    for shop, prompt, result in [
        (Shop("Nuts"), "You work for Nuts.", "Shop(name='Nuts', owner='Ada')"),
        (None, "You work for nobody.", "None"),
    ]:
        first = len(llm.requests)
        await made.run("Which?", context=shop)
        said = str(llm.requests[first].messages)
        assert prompt in said
        assert result in str(llm.requests[first + 1].messages)


@each_agent
async def test_context_reaches_tool_that_was_approved(agent: AgentKind) -> None:
    @tool(requires_approval=True)
    async def close(context: ToolContext[Shop]) -> str:
        return f"{context.context.name} is closed"

    llm = ScriptedLLM(agent.calls(("close", {})), agent.answers("Done."))
    await agent.make(llm, [close], approve=lambda _: True).run("hi", context=Shop("Nuts"))
    assert "Nuts is closed" in str(llm.requests[1].messages)


@each_agent
async def test_conversation_passes_the_options_on(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("owner", {})), agent.answers("Ada."), agent.answers("Bye."))
    made = Conversation(agent.make(llm, system_prompt=greeting))
    await made.run("Who?", "a", tools=[owner], context=Shop("Bolts"))
    await made.run("Bye", "a")
    assert "You work for Bolts." in str(llm.requests[0].messages)
    assert "Ada owns Bolts" in str(llm.requests[1].messages)
    assert "You work for nobody." in str(llm.requests[2].messages)
    assert "You work for Bolts." not in str(llm.requests[2].messages)


@each_agent
@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tool": []}, "takes no 'tool'"),
        ({"tools": [name]}, r"\['name'\]"),
        ({"tools": "name"}, "tools must be"),
        ({"system_prompt": 5}, "system_prompt must be"),
        ({"system_prompt": lambda _: 5}, "must return a str"),
    ],
)
def test_bad_run_option_is_refused(
    agent: AgentKind, options: dict[str, Any], sentence: str
) -> None:
    made = agent.make(ScriptedLLM("x"), [name])
    with pytest.raises(ConfigurationError, match=sentence):
        made.run_stream("hi", **options)


def test_conversation_of_own_agent_refuses_options() -> None:
    class Own:
        def run_stream(self, task: Any, /) -> Any:
            return from_aiter(lambda: answers())

    async def answers() -> Any:
        yield Answer("hi")

    with pytest.raises(ConfigurationError, match="Own takes no options"):
        Conversation(Own()).run_stream("hi", context=5)
