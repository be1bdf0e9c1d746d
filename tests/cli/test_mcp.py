"""`rxagents mcp` and `rxagents serve --mcp`, with the client of the official package."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import msgspec
import pytest
from matrix import only_full

pytestmark = pytest.mark.real_time

MINE = """
import os, subprocess, sys
import rxagents
from rxagents.testing import ScriptedLLM

print("imported")
os.write(1, b"imported\\n")
agent = rxagents.FunctionAgent(ScriptedLLM("It is four."))

def make_agent():
    print("made")
    subprocess.run([sys.executable, "-c", "print('a child')"], check=True)
    return agent

@rxagents.tool
def shout(text: str) -> str:
    print("called")
    return text.upper()

tools = [agent.as_tool("ask", "Asks."), shout]
number = 3

def make_number():
    return number
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


def requests(*calls: tuple[str, dict[str, str]]) -> bytes:
    """Return the lines of a client that calls tools, as the version 2026-07-28 has them."""
    meta = {
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": {"name": "test", "version": "1"},
        "io.modelcontextprotocol/clientCapabilities": {},
    }
    lines = [
        {
            "jsonrpc": "2.0",
            "id": number,
            "method": "tools/call",
            "params": {"name": name, "arguments": arguments, "_meta": meta},
        }
        for number, (name, arguments) in enumerate(calls)
    ]
    return b"".join(msgspec.json.encode(line) + b"\n" for line in lines)


@only_full
async def test_only_messages_reach_the_output(start: Any, folder: Path) -> None:
    process = await start("mcp", "mine:make_agent", cwd=folder, stdin=PIPE)
    process.stdin.write(requests(("make_agent", {"task": "2 + 2?"})))
    answer = msgspec.json.decode(await process.stdout.readline())
    assert answer["result"]["content"] == [{"type": "text", "text": "It is four."}]
    rest, errors = await process.communicate(b"")  # closes the input
    assert (process.returncode, rest) == (0, b"")
    assert errors.decode().split("\n") == ["imported", "imported", "made", "a child", ""]


@only_full
async def test_official_client_calls_tools_and_agents(folder: Path) -> None:
    from mcp import Client, StdioServerParameters

    command = StdioServerParameters(
        command=sys.executable,
        args=["-m", "rxagents", "mcp", "mine:tools"],
        cwd=folder,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    for mode in ("auto", "legacy"):
        async with Client(command, mode=mode) as connected:
            client: Any = connected
            names = [tool.name for tool in (await client.list_tools()).tools]
            assert names == ["ask", "shout"]
            said = await client.call_tool("ask", {"task": "2 + 2?"})
            assert said.content[0].text == "It is four."
            calls = (client.call_tool("shout", {"text": "a"}) for _ in range(50))
            loud = await asyncio.gather(*calls)
            assert [result.content[0].text for result in loud] == ["A"] * 50


@only_full
@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
async def test_signal_ends_a_server_that_waits_for_input(start: Any, folder: Path) -> None:
    process = await start("mcp", "mine:shout", cwd=folder, stdin=PIPE)
    process.stdin.write(requests(("shout", {"text": "a"})))
    await process.stdout.readline()
    process.send_signal(signal.SIGTERM)
    await process.wait()
    process.stdin.close()
    assert process.returncode == 128 + signal.SIGTERM
    await process.communicate()


@only_full
async def test_function_that_returns_no_agent_is_an_error(start: Any, folder: Path) -> None:
    process = await start("mcp", "mine:make_number", cwd=folder, stdin=PIPE)
    process.stdin.write(requests(("make_number", {"task": "a"})))
    answer = msgspec.json.decode(await process.stdout.readline())
    await process.communicate(b"")
    assert answer["result"]["isError"]
    assert "make_number must return an object with run_stream" in str(answer)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["mine:number"], "mine:number is no agent and no tool but int"),
        pytest.param(["mine"], "'mine' is not MODULE:NAME", marks=only_full),
        pytest.param(["none:agent"], "Error: none:agent cannot be loaded", marks=only_full),
        pytest.param(["mine:rxagents.FunctionAgent"], "but the class Func", marks=only_full),
    ],
)
async def test_wrong_use_is_status_2(
    run: Any, folder: Path, arguments: list[str], words: str
) -> None:
    done = await run("mcp", *arguments, cwd=folder)
    assert (done.status, done.out) == (2, ""), done.err
    assert words in done.err


@only_full
async def test_serve_with_mcp_answers_at_its_endpoint(start: Any, folder: Path) -> None:
    from mcp import Client

    process = await start("serve", "mine:agent", "--mcp", "--port", "0", cwd=folder)
    said = ""
    while not said.startswith("Serving at "):  # debug mode reports that an import takes long
        said = (await process.stderr.readline()).decode()
    async with Client(f"{said.split()[2]}/mcp") as connected:
        client: Any = connected
        result = await client.call_tool("agent", {"task": "2 + 2?"})
        assert result.content[0].text == "It is four."
    process.send_signal(signal.SIGINT)
    await process.communicate()
    assert process.returncode == 130
