"""Runs whose tools start runs in other conversations: a circle is refused."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from agent_runs import RunSeen, seen_to_end
from reactivex import Observable

from rxagents import (
    AgentResult,
    AgentRun,
    ConfigurationError,
    ConversationalAgent,
    ErrorEvent,
    StreamChunk,
    ToolCall,
    ToolResult,
)
from rxagents.testing import Reply, ScriptedLLM


def tool_results(result: AgentResult) -> list[str]:
    parts = [part for message in result.messages for part in message.parts]
    return [part.content for part in parts if isinstance(part, ToolResult)]


class Crossing(ScriptedLLM):
    """Calls `ask` for the conversation that the user names, and answers everything else."""

    def chat_stream(self, messages: Any, *_: Any, **__: Any) -> Observable[StreamChunk]:
        _, asks, target = messages[-1].text.partition("ask ")
        call = ToolCall("call_1", "ask", json.dumps({"target": target}))
        reply = Reply(tool_calls=[call]) if asks else Reply("fine")
        return ScriptedLLM(reply).chat_stream(messages)


@pytest.mark.parametrize("names", [("a", "b"), ("a", "b", "c")])
async def test_circle_of_conversations_is_refused(names: tuple[str, ...]) -> None:
    all_run = asyncio.Barrier(len(names))

    async def ask(target: str) -> str:
        """Ask in another conversation, when all conversations have a run."""
        await all_run.wait()
        return (await agent.run("hello", conversation_id=target)).output

    agent = ConversationalAgent(Crossing(), [ask])
    runs = [
        agent.run(f"ask {target}", conversation_id=name)
        for name, target in zip(names, (*names[1:], names[0]), strict=True)
    ]
    results = await asyncio.gather(*runs)
    observed = [text for result in results for text in tool_results(result)]
    refused = [text for text in observed if "they would wait for each other" in text]
    assert len(refused) == 1
    assert observed.count("fine") == len(names) - 1


async def test_tools_may_ask_in_one_conversation() -> None:
    """Both of its runs wait in the other conversation, which waits for none of them."""

    async def ask(target: str) -> str:
        """Ask in another conversation, twice at a time."""
        both = [agent.run("hello", conversation_id=target) for _ in range(2)]
        return ", ".join(result.output for result in await asyncio.gather(*both))

    agent = ConversationalAgent(Crossing(), [ask])
    runs = [agent.run("ask c", conversation_id=name) for name in ("a", "b")]
    for result in await asyncio.gather(*runs):
        assert tool_results(result) == ["fine, fine"]


async def test_refused_run_fails_as_any_run_does() -> None:
    started: list[AgentRun[str]] = []

    async def ask(target: str) -> str:
        """Start a run in the conversation of this run."""
        started.append(agent.start("hello", target))
        return "started"

    agent = ConversationalAgent(Crossing(), [ask])
    await agent.run("ask a", "a")
    [refused] = started
    assert refused.has_ended
    with pytest.raises(ConfigurationError, match="conversation_id") as failed:
        await refused.result
    seen = await seen_to_end(refused.events)
    assert seen.error is failed.value
    assert [type(event) for event in seen.items] == [ErrorEvent]


async def test_refused_stream_has_an_error_event() -> None:
    seen: list[RunSeen] = []

    async def ask(target: str) -> str:
        """Stream a run in the conversation of this run."""
        seen.append(await seen_to_end(agent.run_stream("hello", target)))
        return "streamed"

    agent = ConversationalAgent(Crossing(), [ask])
    await agent.run("ask a", "a")
    seen[0].assert_failed(ConfigurationError)
