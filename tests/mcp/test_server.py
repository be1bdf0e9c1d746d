"""Tools and agents of ours, called by the official package's client."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from agent_runs import HeldTool
from matrix import only_full
from official_mcp import end_watcher
from serving import Served, serving

import rxagents
from rxagents import (
    ConfigurationError,
    FilePart,
    FunctionAgent,
    ImagePart,
    OpenAI,
    TextPart,
    ToolCall,
    ToolError,
)
from rxagents.serve import ServeLimits
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

pytestmark = pytest.mark.real_time

versions = pytest.mark.parametrize("mode", ["auto", pytest.param("legacy", marks=only_full)])
ASKS = Reply(tool_calls=[ToolCall("c", "held", "{}")])


@rxagents.tool
def repeat(text: str, times: int = 1) -> str:
    """Repeat a text.

    Args:
        text: What to repeat.
        times: How often.
    """
    return text * times


@rxagents.tool
def picture() -> list[Any]:
    sound = FilePart(b"sound", media_type="audio/wav")
    image = ImagePart(data=b"pixel", media_type="image/png")
    return [TextPart("See:"), image, sound, FilePart(b"%PDF", "a.pdf")]


@rxagents.tool
def explain() -> str:
    raise ToolError("Ask for less.")


@rxagents.tool
def leak() -> str:
    raise ValueError("secret")


@rxagents.tool
async def count() -> AsyncIterator[str]:
    yield "one"
    yield "two"
    yield "three"


TOOLS = [repeat, picture, explain, leak, count]


@asynccontextmanager
async def client_of(served: Any, mode: str = "auto", **options: Any) -> AsyncIterator[Any]:
    """Connect the official client to a server in this process."""
    from mcp import Client

    async with Client(rxagents.mcp_server(served, **options), mode=mode) as client:
        yield client


@asynccontextmanager
async def http_client_of(server: Served, mode: str = "auto") -> AsyncIterator[Any]:
    """Connect the official client to `rxagents.serve` over HTTP."""
    from mcp import Client

    logging.getLogger("mcp").setLevel(logging.CRITICAL)
    async with Client(f"{server.url}/mcp", mode=mode) as client:
        yield client
    await end_watcher()


@versions
async def test_tools_are_listed_with_schemas(mode: str) -> None:
    async with client_of(TOOLS, mode, name="kit") as client:
        listed = (await client.list_tools()).tools
        assert [tool.name for tool in listed] == ["repeat", "picture", "explain", "leak", "count"]
        assert listed[0].description == "Repeat a text."
        assert listed[0].input_schema == repeat.parameters
        assert client.server_info.name == "kit"


@versions
async def test_results_are_content_blocks(mode: str, caplog: pytest.LogCaptureFixture) -> None:
    async with client_of(TOOLS, mode) as client:
        result = await client.call_tool("repeat", {"text": "ab", "times": 2})
        assert (result.content[0].text, result.is_error) == ("abab", False)
        shown = (await client.call_tool("picture", {})).content
        assert [block.type for block in shown] == ["text", "image", "audio", "resource"]
        assert (shown[1].data, shown[1].mime_type) == ("cGl4ZWw=", "image/png")
        wrong = await client.call_tool("repeat", {"text": 3})
        assert (wrong.is_error, "text" in wrong.content[0].text) == (True, True)
        said = await client.call_tool("explain", {})
        assert (said.is_error, said.content[0].text) == (True, "Error: Ask for less.")
        hidden = await client.call_tool("leak", {})
        assert (hidden.is_error, hidden.content[0].text) == (
            True,
            "Error: The tool 'leak' failed.",
        )
        assert "ValueError: secret" in caplog.text


async def test_unknown_tool_is_a_protocol_error() -> None:
    from mcp import MCPError

    async with client_of(TOOLS) as client:
        with pytest.raises(MCPError, match="There is no tool 'none'"):
            await client.call_tool("none", {})


@versions
async def test_progress_of_tools_and_agents_is_sent(mode: str) -> None:
    seen: list[str | None] = []

    async def on_progress(progress: float, total: float | None, message: str | None) -> None:
        seen.append(message)

    model = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "count", "{}")]), "Three.")
    agent = FunctionAgent(model, [count])
    async with serving(agent, mcp=True, name="my.bot") as server:
        async with http_client_of(server, mode) as client:
            result = await client.call_tool(
                "my_bot", {"task": "Count."}, progress_callback=on_progress
            )
    assert result.content[0].text == "Three."
    assert seen == ["count", "one", "two"]


@versions
async def test_cancel_stops_the_agent_down_to_its_socket(mode: str) -> None:
    async with ScriptedServer(Reply("never " * 1000, interval=0.01)) as provider:
        async with OpenAI("any", api_key="any", base_url=provider.url) as llm:
            async with serving(FunctionAgent(llm), mcp=True) as server:
                async with http_client_of(server, mode) as client:
                    calling = asyncio.ensure_future(client.call_tool("agent", {"task": "Go."}))
                    await provider.received()
                    calling.cancel()
                    await provider.disconnected()


async def test_cancel_stops_a_running_tool() -> None:
    held = HeldTool()
    async with client_of(FunctionAgent(ScriptedLLM(ASKS), [held.tool])) as client:
        calling = asyncio.ensure_future(client.call_tool("agent", {"task": "Go."}))
        await held.running.wait()
        calling.cancel()
        await held.cancelled.wait()


@only_full
async def test_fifty_calls_run_together() -> None:
    together = 0
    all_here = asyncio.Event()

    @rxagents.tool
    async def meet() -> str:
        nonlocal together
        together += 1
        if together == 50:
            all_here.set()
        await all_here.wait()
        return "met"

    asks = Reply(tool_calls=[ToolCall("c", "meet", "{}")])
    model = ScriptedLLM(*[asks] * 50, "Met.")
    async with serving(FunctionAgent(model, [meet]), mcp=True) as server:
        async with http_client_of(server) as client:
            calls = (client.call_tool("agent", {"task": "Meet."}) for _ in range(50))
            results = await asyncio.gather(*calls)
    assert [result.content[0].text for result in results] == ["Met."] * 50


async def test_guards_and_bounds_hold_at_mcp() -> None:
    limits = ServeLimits(body_bytes=1000)
    agent = FunctionAgent(ScriptedLLM("Hi."))
    async with serving(agent, mcp=True, token="secret", limits=limits) as server:
        assert (await server.post("/mcp", {}))[0] == 401
        known = {"Authorization": "Bearer secret"}
        assert (await server.post("/mcp", {"a": "b" * 1000}, headers=known))[0] == 413
        deep: Any = []
        for _ in range(101):
            deep = [deep]
        assert (await server.post("/mcp", deep, headers=known))[0] == 400
        assert (await server.post("/mcp", {}, headers={**known, "Origin": "http://a.b"}))[0] == 403
    async with serving(agent, mcp=True) as server:
        assert (await server.post("/mcp", {}, headers={"Host": "evil.example"}))[0] == 403
    async with serving(agent) as server:
        assert (await server.post("/mcp", {}))[0] == 404


async def test_call_beyond_the_bound_of_runs_fails() -> None:
    held = HeldTool()
    agent = FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool])
    async with serving(agent, mcp=True, limits=ServeLimits(runs=1)) as server:
        async with http_client_of(server) as client:
            first = asyncio.ensure_future(client.call_tool("agent", {"task": "1"}))
            await held.running.wait()
            second = await client.call_tool("agent", {"task": "2"})
            assert (second.is_error, "no more fit" in second.content[0].text) == (True, True)
            held.release.set()
            assert (await first).content[0].text == "Done."


async def test_server_stops_while_a_session_is_open() -> None:
    limits = ServeLimits(drain_seconds=60)
    async with serving(FunctionAgent(ScriptedLLM("Hi.")), mcp=True, limits=limits) as server:
        async with http_client_of(server, "legacy") as client:
            await client.call_tool("agent", {"task": "Hi"})
            server.task.cancel()
            async with asyncio.timeout(30):
                await asyncio.wait([server.task])


def test_tool_that_requires_approval_is_refused() -> None:
    @rxagents.tool(requires_approval=True)
    def careful() -> None:
        """Delete it."""

    with pytest.raises(ConfigurationError, match=r"\['careful'\] require approval"):
        rxagents.mcp_server([repeat, careful])


@pytest.mark.parametrize(
    ("served", "words"),
    [
        (7, "must be a Tool"),
        ([repeat, repeat], "Several tools have the name"),
        ([FunctionAgent(ScriptedLLM("a")), FunctionAgent(ScriptedLLM("b"))], "Several tools"),
    ],
    ids=["number", "twice", "two agents"],
)
def test_what_cannot_be_served_is_refused(served: Any, words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        rxagents.mcp_server(served)
