"""Tools whose results have images and files, with either agent."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from agent_runs import AgentKind, HeldTool, each_agent, seen_to_end, served
from observing import Seen
from wires import SpokenWire, each_wire

from rxagents import (
    ConversationalAgent,
    FilePart,
    FunctionAgent,
    ImagePart,
    Memory,
    MemoryStore,
    Message,
    SQLiteStore,
    StreamEvent,
    TextPart,
    ToolCall,
    ToolEnd,
    ToolProgress,
    ToolResult,
    tool,
)
from rxagents.testing import Reply, ScriptedLLM

PNG = ImagePart(data=b"\x00\xff", media_type="image/png")
PDF = FilePart(b"%PDF", "a.pdf")
SHOWN = "Sales:\n[image/png, 2 bytes]"


@tool
def plot() -> list[str | ImagePart]:
    """Draw a chart."""
    return ["Sales:", PNG]


@tool
async def slow_plot() -> AsyncIterator[ImagePart | FilePart]:
    """Draw a chart twice."""
    yield PNG
    yield PDF


def place_of_image(wire: SpokenWire, body: Any) -> Any:
    """Return what a request has where the wire takes the image of the last result."""
    match wire.name:
        case "anthropic":
            return body["messages"][-1]["content"][0]["content"][1]["source"]["data"]
        case "openai responses":
            return body["input"][-1]["output"][1]["image_url"].partition(",")[2]
        case "gemini":
            return body["contents"][-1]["parts"][1]["inlineData"]["data"]
        case "ollama":
            return body["messages"][-1]["images"][0]
    assert body["messages"][-2]["content"] == SHOWN
    return body["messages"][-1]["content"][1]["image_url"]["url"].partition(",")[2]


@each_wire
async def test_model_sees_image_of_result(wire: SpokenWire) -> None:
    calls = Reply(tool_calls=[ToolCall("call_0", "plot", "{}")])
    async with served(wire, calls, "It rises.") as (server, llm):
        seen = await seen_to_end(FunctionAgent(llm, [plot]).run_stream("hi"))
        assert seen.completed
        (end,) = seen.all(ToolEnd)
        assert end.result == SHOWN
        assert end.parts == (TextPart("Sales:"), PNG)
        assert place_of_image(wire, msgspec.json.decode(server.requests[1].body)) == "AP8="


@each_agent
async def test_observation_or_result_has_parts(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(("plot", {}), ("slow_plot", {})), agent.answers("It rises."))
    result = await agent.make(llm, [plot, slow_plot]).run("hi")
    assert result.output == "It rises."
    parts = [part for message in llm.requests[1].messages[1:] for part in message.parts]
    inside = [each for part in parts if isinstance(part, ToolResult) for each in part.parts]
    assert [part for part in parts + inside if isinstance(part, (ImagePart, FilePart))] == [
        PNG,
        PDF,
    ]
    observation = llm.requests[1].messages[-1].text
    texts = [part.content for part in parts if isinstance(part, ToolResult)] or [observation]
    assert SHOWN in texts[0]
    assert "[a.pdf, application/pdf, 4 bytes]" in texts[-1]


@each_agent
async def test_stopped_run_keeps_images(agent: AgentKind) -> None:
    held = HeldTool()
    run = agent.make(ScriptedLLM(agent.calls(("plot", {}), ("held", {}))), [plot, held.tool]).start(
        "hi"
    )
    await Seen(run.events).saw(ToolEnd)
    run.stop()
    parts = [part for message in (await run.result).messages for part in message.parts]
    inside = [each for part in parts if isinstance(part, ToolResult) for each in part.parts]
    assert PNG in parts + inside


async def test_progress_describes_images() -> None:
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "slow_plot", "{}")]), "Done.")
    seen = await seen_to_end(FunctionAgent(llm, [slow_plot]).run_stream("hi"))
    (progress,) = seen.all(ToolProgress)
    assert progress.content == "[image/png, 2 bytes]"
    (end,) = seen.all(ToolEnd)
    assert end.result == "[a.pdf, application/pdf, 4 bytes]"


@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
async def test_events_with_images_round_trip(codec: Any) -> None:
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "plot", "{}")]), "Done.")
    seen = await seen_to_end(FunctionAgent(llm, [plot]).run_stream("hi"))
    encoded = codec.encode(seen.events)
    assert codec.decode(encoded, type=list[StreamEvent]) == seen.events


async def test_conversation_keeps_images_of_results(tmp_path: Any) -> None:
    call = Reply(tool_calls=[ToolCall("c", "plot", "{}")])
    for store in (MemoryStore(), SQLiteStore(tmp_path / "a.db")):
        llm = ScriptedLLM(call, "Done.", "Yes.")
        memory = Memory("window", max_tokens=1000, store=store)
        agent = ConversationalAgent(llm, [plot], memory=memory)
        await agent.run("Draw.")
        await agent.run("Sure?")
        expected = Message.tool("c", ["Sales:", PNG], name="plot")
        assert expected in llm.requests[2].messages
        exported = await memory.export("default")
        await memory.load("copy", exported)
        assert expected in (await memory.conversation("copy")).exchanges[0]
        if isinstance(store, SQLiteStore):
            await store.aclose()
