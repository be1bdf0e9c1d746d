"""`rxagents serve`, in a process of its own."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
import pytest
from aiohttp import ClientSession
from inspecting import runtime_folder
from matrix import only_full

pytestmark = pytest.mark.real_time

AGENTS = """
import rxagents
from rxagents.testing import ScriptedLLM

def make_agent():
    return rxagents.FunctionAgent(ScriptedLLM("It is four."))

agent = make_agent()

@rxagents.tool
def tool(text: str) -> str:
    return text

def make_number():
    return 3
"""

SLOW = """
import rxagents
from rxagents.testing import Reply, ScriptedLLM

agent = rxagents.FunctionAgent(ScriptedLLM(Reply("secret " * 1000, interval=0.05)))
"""

Serve: TypeAlias = Callable[..., Any]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(AGENTS)
    return tmp_path


@pytest.fixture
def serve(start: Callable[..., Awaitable[Any]], folder: Path) -> Serve:
    """Serve on a free port while the block runs; give a client and the process."""

    @asynccontextmanager
    async def serve(
        *arguments: str, **environment: str
    ) -> AsyncIterator[tuple[ClientSession, Any]]:
        command = ("serve", *arguments, "--port", "0")
        process = await start(*command, cwd=folder, **environment)
        try:
            said = (await process.stderr.readline()).decode()
            assert said.startswith("Serving at http://"), said
            async with ClientSession(said.split()[2]) as client:
                yield client, process
        finally:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    return serve


async def ask(client: ClientSession, **headers: str) -> tuple[int, str]:
    body = {"messages": [{"role": "user", "content": "2 + 2?"}]}
    async with client.post("/v1/chat/completions", json=body, headers=headers) as response:
        return response.status, await response.text()


@pytest.mark.parametrize("name", ["agent", "make_agent"])
async def test_agent_or_function_is_served(serve: Serve, name: str) -> None:
    async with serve(f"mine:{name}") as (client, process):
        status, text = await ask(client)
        assert (status, "It is four." in text) == (200, True)
        async with client.get("/v1/models") as response:
            assert (await response.json())["data"][0]["id"] == name
        process.send_signal(signal.SIGINT)
        assert await process.communicate() == (b"", b"")
        assert process.returncode == 130


async def test_runs_are_kept_in_a_file(serve: Serve) -> None:
    async with serve("mine:agent", "--log", "runs.db") as (client, process):
        async with client.post("/runs", json={"task": "2 + 2?"}) as response:
            path = f"/runs/{(await response.json())['id']}/events"
        async with client.get(path) as response:
            read = await response.text()
        process.send_signal(signal.SIGTERM)
        await process.wait()
    async with serve("mine:agent", "--log", "runs.db") as (client, _):
        async with client.get(path) as response:
            assert await response.text() == read
    assert "It is four." in read


async def test_token_of_option_or_variable_is_wanted(serve: Serve) -> None:
    for arguments, environment in (
        (["--token", "secret"], {}),
        ([], {"RXAGENTS_TOKEN": "secret"}),
    ):
        async with serve("mine:agent", *arguments, **environment) as (client, _):
            assert (await ask(client))[0] == 401
            assert (await ask(client, Authorization="Bearer secret"))[0] == 200


async def test_url_of_ipv6_address_has_brackets(serve: Serve) -> None:
    if not has_ipv6():
        pytest.skip("this machine has no IPv6")
    async with serve("mine:agent", "--host", "::1") as (client, _):
        assert (await ask(client))[0] == 200


@only_full
@pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets")
async def test_runs_are_inspected_when_asked_for(
    serve: Serve, run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "slow.py").write_text(SLOW)
    with runtime_folder(monkeypatch) as sockets:
        async with serve("slow:agent", "--inspect") as (client, process):
            async with client.post("/runs", json={"task": "secret"}) as response:
                assert response.status == 201, await response.text()
            done = await run("top", "--json", str(process.pid))
            assert [probe["name"] for probe in probes(done.out)] == ["agent"]
            assert "secret" not in done.out
            process.send_signal(signal.SIGKILL)
        async with serve("slow:agent"):
            assert (await run("top")).status == 1
        assert list((sockets / "rxagents").iterdir()) == []


def probes(answer: str) -> list[dict[str, Any]]:
    found = msgspec.json.decode(answer)["pipes"]
    return [probe for pipe in found for probe in pipe["probes"]]


async def test_cors_lets_pages_read(serve: Serve) -> None:
    async with serve("mine:agent", "--cors", "https://a.example") as (client, _):
        async with client.get("/health", headers={"Origin": "https://a.example"}) as response:
            assert response.headers["Access-Control-Allow-Origin"] == "https://a.example"


async def test_function_that_returns_no_agent_is_reported(serve: Serve) -> None:
    async with serve("mine:make_number") as (client, process):
        status, text = await ask(client)
        assert (status, "make_number" in text) == (500, False)
        process.send_signal(signal.SIGINT)
        _, err = await process.communicate()
        assert b"make_number must return an object with run_stream, not int." in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "Missing argument 'MODULE:NAME'"),
        (["mine"], "'mine' is not MODULE:NAME"),
        (["none:agent"], "Error: none:agent cannot be loaded: ModuleNotFoundError"),
        (["mine:tool"], "mine:tool is no agent but Tool"),
        (["mine:AGENTS"], "mine:AGENTS cannot be loaded"),
        (["mine:rxagents.FunctionAgent"], "is no agent but the class FunctionAgent"),
        (["mine:agent", "--host", "0.0.0.0"], "pass --token too"),
        (["mine:agent", "--token", " "], "--token must"),
        (["mine:agent", "--cors", "a.example"], "--cors must"),
        (["mine:agent", "--cors", "https://a.example/"], "--cors must"),
        (["mine:agent", "--port", "65536"], "'--port'"),
        (["mine:agent", "--rerun"], "--rerun needs --log"),
        (["mine:agent", "--log", "redis://localhost:no"], "--log must be a file, or a Redis"),
    ],
)
def test_wrong_use_is_status_2(
    run_here: Any,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    arguments: list[str],
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    done = run_here("serve", *arguments)
    sys.modules.pop("mine", None)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done.err
    assert words in done.err


async def test_address_in_use_is_named(run: Any, folder: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = await run("serve", "mine:agent", "--port", port, cwd=folder)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert f"Cannot listen on --host 127.0.0.1, --port {port}: " in done.err


async def test_folder_of_the_log_must_exist(run: Any, folder: Path) -> None:
    options = ("--port", "0", "--log", "none/runs.db")
    done = await run("serve", "mine:agent", *options, cwd=folder)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert "none/runs.db" in done.err


async def test_redis_that_is_not_there_is_named(run: Any, folder: Path) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))  # nothing listens here
        url = f"redis://user:secret@127.0.0.1:{unused.getsockname()[1]}"
        done = await run("serve", "mine:agent", "--port", "0", "--log", url, cwd=folder)
    assert (done.status, done.out, done.err.count("\n")) == (1, "", 1), done.err
    assert done.err.startswith("Error: --log cannot be used: Redis failed: ConnectionError: ")
    assert done.err.rstrip().count(". ") == 0, "one sentence"
    assert "url" not in done.err
    assert "secret" not in done.err


def has_ipv6() -> bool:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
