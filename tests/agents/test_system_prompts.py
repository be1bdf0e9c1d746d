"""An agent's system prompt stands once and first, whatever conversation it is given."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
import pytest
from remembering import conversation_in

from rxagents import (
    Conversation,
    FunctionAgent,
    Message,
    ReActAgent,
    tool,
)
from rxagents.testing import ScriptedLLM

ANSWER = "Thought: so\nAnswer: yes"


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"cold in {city}"


def same(messages: Sequence[Message]) -> Sequence[Message]:
    return messages


def stored(messages: Sequence[Message]) -> Sequence[Message]:
    return msgspec.json.decode(msgspec.json.encode(messages), type=list[Message])


def as_dicts(messages: Sequence[Message]) -> Any:
    return [{"role": message.role, "content": message.text} for message in messages]


def prompts(llm: ScriptedLLM) -> list[str]:
    """Return the system messages of the last request; check that they come first."""
    messages = llm.requests[-1].messages
    found = [message.text for message in messages if message.role == "system"]
    assert [message.role for message in messages[: len(found)]] == ["system"] * len(found)
    return found


@pytest.mark.parametrize("handed", [same, stored, as_dicts])
@pytest.mark.parametrize("kind", [FunctionAgent, ReActAgent])
async def test_result_passed_on_keeps_one_prompt(kind: Any, handed: Any) -> None:
    llm = ScriptedLLM(ANSWER)
    agent = kind(llm, [weather], system_prompt="Be brief.")
    result = await agent.run("one")
    (prompt,) = prompts(llm)
    for question in ("two", "three"):
        result = await agent.run([*handed(result.messages), question])
        assert prompts(llm) == [prompt]
    assert sum(message.role == "user" for message in result.messages) == 3


@pytest.mark.parametrize("handed", [same, stored])
async def test_other_agents_prompt_is_replaced(handed: Any) -> None:
    llm = ScriptedLLM(ANSWER)
    messages: Sequence[Message] = [Message.user("one")]
    for agent in (
        ReActAgent(llm, [weather], system_prompt="Be Ada."),
        FunctionAgent(llm, system_prompt="Be Bob."),
        ReActAgent(llm),
        FunctionAgent(llm, system_prompt="Be Eve."),
    ):
        messages = handed((await agent.run([*messages, "go on"])).messages)
        assert len(prompts(llm)) == 1
    assert prompts(llm) == ["Be Eve."]


async def test_prompt_with_new_tool_replaces_old_one() -> None:
    llm = ScriptedLLM(ANSWER)
    agent = ReActAgent(llm)
    messages = (await agent.run("one")).messages
    agent.add_tool(weather)
    await agent.run([*messages, "two"])
    (prompt,) = prompts(llm)
    assert "cold" not in prompt
    assert "weather" in prompt


async def test_users_system_messages_stay() -> None:
    llm = ScriptedLLM(ANSWER)
    agent = FunctionAgent(llm, system_prompt="Be brief.")
    result = await agent.run([Message.system("The user is Ada."), Message.user("one")])
    await agent.run([*result.messages, "two"])
    assert prompts(llm) == ["Be brief.", "The user is Ada."]


async def test_agent_without_prompt_changes_nothing() -> None:
    llm = ScriptedLLM(ANSWER)
    result = await FunctionAgent(llm, system_prompt="Be brief.").run("one")
    await FunctionAgent(llm).run([*result.messages, "two"])
    assert llm.requests[-1].messages[:-1] == tuple(result.messages)


async def test_conversation_keeps_only_the_new_messages() -> None:
    llm = ScriptedLLM(ANSWER)
    before = await FunctionAgent(llm, system_prompt="Be Ada.").run("zero")
    conversation = Conversation(FunctionAgent(llm, system_prompt="Be Bob."))
    await conversation.run("one")
    await conversation.run([*before.messages, "two"])
    exchanges = conversation_in(conversation.memory).exchanges
    assert [[message.text for message in exchange] for exchange in exchanges] == [
        ["one", ANSWER],
        ["zero", ANSWER, "two", ANSWER],
    ]
