"""`rxagents models`."""

from __future__ import annotations

from typing import Any

from rxagents.testing import ScriptedServer, StatusReply


def listed(start: Any, run_async: Any, reply: StatusReply) -> Any:
    async def work() -> Any:
        async with ScriptedServer(reply) as server:
            url = f"http://127.0.0.1:{server.port}"
            process = await start("models", "--provider", "ollama", "--base-url", url)
            out, errors = await process.communicate()
            return process.returncode, out.decode(), errors.decode()

    return run_async(work())


def test_each_model_is_a_line(start: Any, run_async: Any) -> None:
    reply = StatusReply(200, {"models": [{"name": "a:8b"}, {"name": "b\x1b[2J"}]})
    status, out, errors = listed(start, run_async, reply)
    assert (status, errors) == (0, "")
    assert out.splitlines()[0] == "a:8b"
    assert "\x1b" not in out


def test_a_host_that_refuses_is_told_in_one_line(start: Any, run_async: Any) -> None:
    status, out, errors = listed(start, run_async, StatusReply(404, {"error": "no such path"}))
    assert (status, out) == (1, "")
    assert errors.startswith("Error: ollama answered with status 404: no such path")
    assert errors.count("\n") == 1


def test_a_provider_that_is_none_is_refused(run: Any) -> None:
    done = run("models", "--provider", "nobody")
    assert done.status == 2
    assert "anthropic" in done.err
