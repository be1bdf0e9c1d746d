"""Tools of the official package's servers, over HTTP and over standard streams."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cutting_proxy import cutting_proxy
from matrix import only_full

import rxagents
from rxagents import (
    ConfigurationError,
    ConnectError,
    ConnectTimeoutError,
    FunctionAgent,
    ImagePart,
    TextPart,
    ToolCall,
    ToolEnd,
    ToolProgress,
)
from rxagents.mcp import package
from rxagents.runtime.tool_execution.execute import execute
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

PROGRAM = [sys.executable, str(Path(__file__).parents[1] / "support" / "official_mcp.py")]


@asynccontextmanager
async def tools_over_http(**options: Any) -> AsyncIterator[tuple[Any, rxagents.MCPTools]]:
    """Give the official server and our tools of it."""
    from official_mcp import official_server

    async with official_server() as official:
        async with rxagents.mcp_tools(official.url, **options) as tools:
            yield official, tools


@asynccontextmanager
async def tools_over_stdio(**options: Any) -> AsyncIterator[tuple[Any, rxagents.MCPTools]]:
    async with rxagents.mcp_tools(PROGRAM, **options) as tools:
        yield None, tools


both_transports = pytest.mark.parametrize(
    "connect",
    [
        pytest.param(tools_over_http, id="http"),
        pytest.param(tools_over_stdio, id="stdio", marks=only_full),
    ],
)


@pytest.fixture(params=["auto", pytest.param("legacy", marks=only_full)])
def version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the client negotiate the version, or speak the one before 2026."""
    import mcp

    monkeypatch.setattr(mcp, "Client", partial(mcp.Client, mode=request.param))
    mode: str = request.param
    return mode


def start(tools: rxagents.MCPTools, name: str, **arguments: Any) -> Any:
    """Return the Observable of a call."""
    tool = next(tool for tool in tools if tool.name == name)
    return execute(tool, ToolCall("c", name, msgspec.json.encode(arguments).decode()))


async def call(tools: rxagents.MCPTools, name: str, **arguments: Any) -> ToolEnd:
    async with rxagents.to_aiter(start(tools, name, **arguments)) as events:
        end = [event async for event in events][-1]
    assert isinstance(end, ToolEnd)
    return end


@both_transports
async def test_results_are_texts_and_parts(connect: Any) -> None:
    async with connect() as (_, tools):
        assert tools.instructions == "Add with add."
        add = tools[0]
        assert (add.name, add.description) == ("add", "Add two numbers.")
        assert set(add.parameters["properties"]) == {"a", "b"}
        assert (await call(tools, "add", a=1, b=2)).result == "3"
        picture = await call(tools, "picture")
        image = ImagePart(data=b"\x89PNG pixel", media_type="image/png")
        assert picture.parts == (TextPart("A pixel."), image)
        structured = await call(tools, "structured")
        assert msgspec.json.decode(structured.result) == {"celsius": 3}


@both_transports
async def test_failures_are_errors_of_their_calls(connect: Any) -> None:
    async with connect() as (_, tools):
        failed = await call(tools, "fail")
        assert failed.result == "Error: Error executing tool fail"
        assert failed.error is not None
        assert failed.error.kind == "ToolError"
        assert "valid integer" in (await call(tools, "add", a="x", b=1)).result
        assert (await call(tools, "ask_user")).error is not None
        assert (await call(tools, "add", a=1, b=2)).error is None


async def test_dispose_cancels_the_call_at_the_server(version: str) -> None:
    async with tools_over_http() as (official, tools):
        seen: list[Any] = []
        running = start(tools, "hang").subscribe(seen.append)
        await official.hanging.wait()
        while len(seen) < 2:  # noqa: ASYNC110  # the last progress is on its way
            await asyncio.sleep(0)
        running.dispose()
        await official.cancelled.wait()
        assert [(type(event), event.content) for event in seen] == [
            (ToolProgress, "half"),
            (ToolProgress, "1.5 of 2"),
        ]


@both_transports
async def test_fifty_calls_run_together(connect: Any) -> None:
    async with connect() as (_, tools):
        ends = await asyncio.gather(*(call(tools, "meet", others=50) for _ in range(50)))
        assert [end.result for end in ends] == ["met"] * 50


async def test_run_after_a_change_has_the_new_tool(version: str) -> None:
    async with tools_over_http() as (_, tools):
        model = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "extra", "{}")]), "Done.")
        agent = FunctionAgent(model, [tools])
        fixed = FunctionAgent(ScriptedLLM("Done."), [*tools])
        assert "extra" not in [tool.name for tool in agent.tools]
        assert (await call(tools, "grow")).result == "grown"
        # The list does not say when it has changed.
        while "extra" not in [tool.name for tool in agent.tools]:  # noqa: ASYNC110 - no event
            await asyncio.sleep(0.001)
        result = await agent.run("Use it.")
        assert "The extra tool ran." in str(result.messages)
        assert "extra" not in [tool.name for tool in fixed.tools]


async def test_server_that_is_cut_off_fails_the_call() -> None:
    from official_mcp import official_server

    async with (
        official_server() as official,
        cutting_proxy(official.url.removesuffix("/mcp"), of=b'"hang"', after=[400]) as proxy,
    ):
        async with rxagents.mcp_tools(f"{proxy.url}/mcp") as tools:
            end = await call(tools, "hang")
            assert end.error is not None
            assert end.error.kind == "ToolError"
            assert "did not answer the call of 'hang'" in end.result
            assert (await call(tools, "add", a=1, b=2)).result == "3"


@only_full
async def test_command_that_dies_fails_all_its_calls() -> None:
    async with tools_over_stdio() as (_, tools):
        both = await asyncio.gather(call(tools, "hang"), call(tools, "die"))
        ends = [*both, await call(tools, "add", a=1, b=2)]
        assert [end.error is not None and end.error.kind for end in ends] == ["ToolError"] * 3
    assert "is closed" in (await call(tools, "add", a=1, b=2)).result


async def test_headers_are_sent() -> None:
    async with tools_over_http(headers={"X-Key": "mine"}) as (_, tools):
        assert (await call(tools, "header")).result == "mine"


async def test_block_may_be_left_in_another_task() -> None:
    from official_mcp import official_server

    async with official_server() as official:
        stack = AsyncExitStack()
        block = rxagents.mcp_tools(official.url)
        tools = await asyncio.create_task(stack.enter_async_context(block))
        assert len(tools) == 10
        await stack.aclose()
        assert "is closed" in (await call(tools, "add", a=1, b=2)).result


@only_full
async def test_options_apply_to_the_tools() -> None:
    options = {"only": ["add", "fail"], "prefix": "math-", "requires_approval": ["fail"]}
    async with tools_over_http(timeout=7, **options) as (_, tools):
        assert [tool.timeout for tool in tools] == [7, 7]
        assert [tool.name for tool in tools] == ["math-add", "math-fail"]
        assert [tool.requires_approval for tool in tools[:]] == [False, True]
        assert (await call(tools, "math-add", a=1, b=2)).result == "3"


async def test_names_that_no_tool_has_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    options: dict[str, Any] = {"only": ["add", "ad"], "requires_approval": ["delete", "add"]}
    async with tools_over_http(**options) as (_, tools):
        assert [tool.name for tool in tools] == ["add"]
    (record,) = [each for each in caplog.records if each.name == "rxagents.mcp"]
    assert "has no tool 'ad', 'delete', which" in record.getMessage()


async def test_call_from_another_event_loop_fails() -> None:
    async with tools_over_http() as (_, tools):

        def in_another_loop() -> ToolEnd:
            return asyncio.run(asyncio.wait_for(call(tools, "add", a=1, b=2), 5))

        end = await asyncio.to_thread(in_another_loop)
        assert end.error is not None
        assert "was connected on another event loop" in end.error.message


async def test_agent_refuses_two_tools_of_one_name() -> None:
    @rxagents.tool
    def add() -> str:
        return ""

    async with tools_over_http() as (_, tools):
        with pytest.raises(ConfigurationError, match="Several tools have the name"):
            FunctionAgent(ScriptedLLM("Hi"), [tools, add])


async def test_unreachable_server_is_a_connect_error(unused_url: str) -> None:
    with pytest.raises(ConnectError, match=r"Cannot use the MCP server http://127\.0\.0\.1"):
        async with rxagents.mcp_tools(f"{unused_url}/mcp?key=secret"):
            pytest.fail("it entered")


@only_full
@pytest.mark.parametrize(
    ("code", "error"),
    [("", ConnectError), ("import sys; sys.stdin.read()", ConnectTimeoutError)],
    ids=["ends", "silent"],
)
async def test_command_that_is_no_server(code: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="MCP server"):
        async with rxagents.mcp_tools([sys.executable, "-c", code], connect_timeout=0.5):
            pytest.fail("it entered")


@pytest.fixture
def unused_url() -> str:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as unused:
        return f"http://127.0.0.1:{unused.getsockname()[1]}"


@pytest.mark.parametrize(
    ("server", "options", "words"),
    [
        ("", {}, "is no MCP server"),
        ([], {}, "is no MCP server"),
        (7, {}, "is no MCP server"),
        ("uvx x", {"headers": {"a": "b"}}, "pass env instead"),
        ("http://a", {"env": {"a": "b"}}, "pass headers instead"),
        ("http://a", {"prefix": "a b"}, "prefix 'a b'"),
        ("http://a", {"connect_timeout": -1}, "connect_timeout"),
        ("http://a", {"only": "add"}, r"only must be a list of names, such as \['add'\]"),
        ("http://a", {"requires_approval": "add"}, "requires_approval must be a list"),
    ],
    ids=str,
)
def test_wrong_argument_is_refused(server: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        rxagents.mcp_tools(server, **options)


async def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(package, "import_module", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[mcp\]'"):
        async with rxagents.mcp_tools("http://127.0.0.1/mcp"):
            pytest.fail("it entered")
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[mcp\]'"):
        rxagents.mcp_server([])
