"""The JavaScript clients of AG-UI and Vercel, with their own checks of the order of events.

`npm install --prefix tests/serve/js_clients` installs them; without them these tests are skipped.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from agent_runs import Calls, HeldTool, served
from msgspec.structs import replace
from serving import Served, serving
from wires import WIRES

from rxagents import FunctionAgent, ServerError, ToolCall, Usage, tool
from rxagents.testing import Ending, Reply, ScriptedLLM

FOLDER = Path(__file__).parent / "js_clients"
IS_MISSING = shutil.which("node") is None or not (FOLDER / "node_modules").is_dir()

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(
        IS_MISSING,
        reason="Node.js is missing, or `npm install --prefix tests/serve/js_clients` was not run",
    ),
]

SECONDS = 60
"""Only a safety net against a client that hangs."""

WEATHER = ToolCall("c1", "weather", '{"city": "Oslo"}')
COLD = Reply("It is cold.", reasoning="hm", usage=Usage(3, 2, 5))


@asynccontextmanager
async def started(script: str, server: Served, *words: str) -> AsyncIterator[Any]:
    command = ["node", str(FOLDER / script), server.url, *words]
    process = await asyncio.create_subprocess_exec(*command, stdout=PIPE, stderr=PIPE)
    try:
        async with asyncio.timeout(SECONDS):
            yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def result_of(process: Any) -> Any:
    printed, complaint = await process.communicate()
    assert process.returncode == 0, complaint.decode()
    return json.loads(printed)


async def read(script: str, agent: Any, *words: str) -> Any:
    async with serving(agent) as server, started(script, server, *words) as process:
        return await result_of(process)


def agent_with_all() -> FunctionAgent:
    """Return an agent with a tool, a tool that fails and reports, and a sub-agent with a tool."""

    @tool
    async def broken() -> AsyncIterator[str]:
        """Report, and fail."""
        yield "half way"
        raise ValueError("no such place")

    child = FunctionAgent(
        ScriptedLLM(Reply("I ask. ", tool_calls=[WEATHER]), "Cold there."), [Calls().weather()]
    )
    calls = [
        ToolCall("c2", "weather", '{"city": "Rome"}'),
        ToolCall("c3", "broken", "{}"),
        ToolCall("c4", "expert", '{"task": "Oslo?"}'),
    ]
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=calls), COLD)
    return FunctionAgent(llm, [Calls().weather(), broken, child.as_tool("expert", "Knows it.")])


def asking_agent() -> FunctionAgent:
    weather = replace(Calls().weather(), requires_approval=True)
    return FunctionAgent(ScriptedLLM(Reply(tool_calls=[WEATHER]), COLD), [weather], approve="defer")


async def test_agui_reads_tools_and_sub_agents() -> None:
    made = await read("agui.mjs", agent_with_all())
    assert made["error"] is None
    assert made["kinds"][-1] == "RUN_FINISHED"
    assert {"SUBAGENT_STARTED", "SUBAGENT_FINISHED"} < set(made["kinds"])
    messages = made["messages"]
    results = {each["toolCallId"]: each["content"] for each in messages if each["role"] == "tool"}
    assert results["c2"] == "Rome is cold"
    assert "no such place" in results["c3"]
    assert results["c4"] == "Cold there."
    calls = [call for each in messages for call in each.get("toolCalls", ())]
    arguments = {call["id"]: json.loads(call["function"]["arguments"]) for call in calls}
    assert arguments["c2"] == {"city": "Rome"}
    assert messages[-1]["content"] == "It is cold."


async def test_agui_sends_the_conversation_again() -> None:
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=[WEATHER]), COLD, "Warm.")
    made = await read("agui.mjs", FunctionAgent(llm, [Calls().weather()]), "twice")
    assert made["error"] is None
    assert made["messages"][-1]["content"] == "Warm."
    sent = llm.requests[2].messages
    assert [each.role for each in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert sent[-1].text == "And Rome?"


async def test_agui_reads_a_failure() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("agui.mjs", FunctionAgent(llm))
    assert made["kinds"][-1] == "RUN_ERROR"
    assert "no such luck" in made["error"]


async def test_agui_reads_calls_that_wait() -> None:
    made = await read("agui.mjs", asking_agent())
    assert made["error"] is None
    [interrupt] = made["interrupts"]
    assert interrupt["toolCallId"] == "c1"


async def test_agui_abort_closes_the_request() -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=5)
    async with served(WIRES[0], stalled) as (provider, llm):
        async with serving(FunctionAgent(llm)) as server:
            async with started("agui.mjs", server, "abort") as process:
                await provider.disconnected()
                made = await result_of(process)
    assert "one" in made["messages"][-1]["content"]


async def test_vercel_reads_tools_and_sub_agents() -> None:
    made = await read("vercel.mjs", agent_with_all(), "send")
    assert made["errors"] == []
    assert not made["goesOn"]
    parts = made["message"]["parts"]
    tools = {part["toolCallId"]: part for part in parts if part["type"] == "dynamic-tool"}
    assert tools["c2"]["output"] == "Rome is cold"
    assert tools["c2"]["input"] == {"city": "Rome"}
    assert tools["c3"]["state"] == "output-error"
    assert "no such place" in tools["c3"]["errorText"]
    assert tools["c4"]["output"] == "Cold there."
    texts = [(part["text"], part["state"]) for part in parts if part["type"] == "text"]
    assert texts == [("I look. ", "done"), ("It is cold.", "done")]
    assert [part["text"] for part in parts if part["type"] == "reasoning"] == ["well", "hm"]
    assert made["message"]["metadata"]["usage"]["total_tokens"] == 5


async def test_vercel_sends_the_conversation_again() -> None:
    llm = ScriptedLLM(Reply("I look. ", reasoning="well", tool_calls=[WEATHER]), COLD, "Warm.")
    made = await read("vercel.mjs", FunctionAgent(llm, [Calls().weather()]), "send-twice")
    assert made["errors"] == []
    sent = llm.requests[2].messages
    assert [each.role for each in sent] == ["user", "assistant", "tool", "assistant", "user"]
    assert [call.arguments for call in sent[1].tool_calls] == ['{"city":"Oslo"}']
    assert "Oslo is cold" in str(sent[2])
    assert sent[-1].text == "And Rome?"


async def test_vercel_reads_a_failure() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no such luck", status=500)))
    made = await read("vercel.mjs", FunctionAgent(llm), "send")
    [error] = made["errors"]
    assert "no such luck" in error


async def test_vercel_reads_calls_that_wait() -> None:
    made = await read("vercel.mjs", asking_agent(), "send")
    assert made["errors"] == []
    [call] = [each for each in made["message"]["parts"] if each["type"] == "dynamic-tool"]
    assert (call["state"], call["input"]) == ("approval-requested", {"city": "Oslo"})


@pytest.mark.parametrize(
    ("action", "state"), [("approve", "output-available"), ("deny", "output-denied")]
)
async def test_vercel_decides_about_a_call(action: str, state: str) -> None:
    made = await read("vercel.mjs", asking_agent(), action)
    assert made["errors"] == []
    parts = made["message"]["parts"]
    [call] = [each for each in parts if each["type"] == "dynamic-tool"]
    assert (call["state"], call["approval"]["approved"]) == (state, action == "approve")
    assert [each["text"] for each in parts if each["type"] == "text"] == ["It is cold."]


async def test_vercel_resumes_after_it_has_left() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with started("vercel.mjs", server, "send-and-resume") as process:
            assert await process.stdout.readline() == b"back\n"
            assert not held.cancelled.is_set()
            held.release.set()
            made = await result_of(process)
    assert made["errors"] == []
    texts = [part["text"] for part in made["message"]["parts"] if part["type"] == "text"]
    assert texts == ["I look. ", "It is cold."]


async def test_vercel_stops_the_run() -> None:
    held = HeldTool()
    asks = Reply("I look. ", tool_calls=[ToolCall("c", "held", "{}")])
    async with serving(FunctionAgent(ScriptedLLM(asks, COLD), [held.tool])) as server:
        async with started("vercel.mjs", server, "send-and-stop") as process:
            made = await result_of(process)
    assert made["errors"] == []
    assert not made["goesOn"]
    texts = [part["text"] for part in made["message"]["parts"] if part["type"] == "text"]
    assert texts == ["I look. "]
