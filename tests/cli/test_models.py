"""`rxagents models`."""

from __future__ import annotations

from typing import Any

import pytest
from matrix import only_full

from rxagents.testing import ScriptedServer, StatusReply

pytestmark = pytest.mark.real_time


async def listed(run: Any, reply: StatusReply) -> Any:
    async with ScriptedServer(reply) as server:
        url = f"http://127.0.0.1:{server.port}"
        return await run("models", "--provider", "ollama", "--base-url", url)


@only_full
async def test_each_model_is_a_line(run: Any) -> None:
    reply = StatusReply(200, {"models": [{"name": "a:8b"}, {"name": "b\x1b[2J"}]})
    status, out, errors = await listed(run, reply)
    assert (status, errors) == (0, "")
    assert out.splitlines()[0] == "ollama:a:8b"
    assert "\x1b" not in out


async def test_refusing_host_is_one_line(run: Any) -> None:
    status, out, errors = await listed(run, StatusReply(404, {"error": "no such path"}))
    assert (status, out) == (1, "")
    assert errors.startswith("Error: ollama answered with status 404: no such path")
    assert errors.count("\n") == 1


@only_full
async def test_unknown_provider_is_refused(run: Any) -> None:
    done = await run("models", "--provider", "nobody")
    assert done.status == 2
    assert "anthropic" in done.err


async def test_models_of_all_providers_with_a_key(run: Any) -> None:
    async with ScriptedServer("unused") as server:
        done = await run(
            "models",
            "--query",
            "SCRIPT",
            OPENAI_API_KEY="any",
            OPENAI_BASE_URL=server.url,
            OLLAMA_HOST="http://127.0.0.1:1",
        )
    assert (done.status, done.out) == (0, "openai:scripted\n")
    assert done.err.startswith("Warning: ")
    assert "Check --base-url, " in done.err
    assert "http://127.0.0.1:1" in done.err
    assert done.err.count("\n") == 1
