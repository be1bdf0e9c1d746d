"""A failure is reported in one line and in the exit status."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from child import SECONDS
from full_disk import needs_full_disk

from rxagents import ErrorInfo, ServerError, StreamChunk
from rxagents.testing import Ending, ReceivedRequest, Reply, StatusReply

pytestmark = pytest.mark.real_time

SCRIPTED = ("--model", "scripted:")
UNREACHABLE = ("--model", "openai:any", "--base-url", "http://127.0.0.1:1/v1")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["ask", "Hi", "--model", "openai:gpt-5-mini"], "set OPENAI_API_KEY. For another host"),
        (["ask", "Hi", "--model", "nobody:any"], "'nobody:any'"),
        (["ask", "Hi"], "RXAGENTS_MODEL"),
        (["ask", "Hi", "--model", ""], "RXAGENTS_MODEL"),
        (["ask", " ", *SCRIPTED], "prompt is empty"),
        (["ask", "-", *SCRIPTED], "prompt is empty"),
        (["ask", "Hi", *SCRIPTED, "--temperature", "nan"], "--temperature must"),
        (["ask", "Hi", *SCRIPTED, "--max-tokens", "0"], "--max-tokens must"),
        (["ask", "Hi", *SCRIPTED, "--max-tokens", "many"], "Try 'rxagents ask --help'."),
        (["ask", "Hi", "--model", "openai:any", "--base-url", "here"], "--base-url must"),
        (["ask", *SCRIPTED], "pass PROMPT"),
        (["ask", "Hi", *SCRIPTED, "-o", "top_p=2"], "--option top_p must be between 0 and 1"),
        (["ask", "Hi", *SCRIPTED, "-o", "top_p"], "--option takes NAME=VALUE, not 'top_p'"),
        (["ask", "Hi", *SCRIPTED, "-o", "topp=1"], "did you mean top_p?"),
        (["ask", "Hi", *SCRIPTED, "-t", "none"], "There is no template 'none'"),
        (["ask", "Hi", *SCRIPTED, "-p", "a=b"], "--param needs --template"),
        (["ask", "Hi", *SCRIPTED, "-a", "no.png"], "--attach no.png: No such file"),
        (["ask", "Hi", *SCRIPTED, "-f", "no.txt"], "--file no.txt: No such file"),
        (["ask", "Hi", *SCRIPTED, "--schema", "age integer"], "cannot read the field"),
        (["ask", "Hi", *SCRIPTED, "--schema", "{"], "--schema is no JSON object"),
        (["ask", "Hi", *SCRIPTED, "-c"], "There is no conversation to continue"),
        (["ask", "Hi", *SCRIPTED, "--cid", "2"], "no conversation with the id '2'"),
        (["models", "--base-url", "http://localhost"], "--base-url needs --provider"),
        (["play"], "Try 'rxagents --help'."),
    ],
)
def test_wrong_use_is_status_2(run_here: Any, arguments: list[str], words: str) -> None:
    done = run_here(*arguments)
    assert (done.status, done.out) == (2, "")
    assert_one_line(done.err, words)


async def test_unreachable_host_is_status_1(run: Any) -> None:
    done = await run("ask", "Hi", *UNREACHABLE)
    assert (done.status, done.out) == (1, "")
    assert_one_line(done.err, "http://127.0.0.1:1")
    assert "Check --base-url, " in done.err


async def test_refused_key_is_not_shown(ask: Any) -> None:
    key = "sk-not-to-be-shown"

    def echo(request: ReceivedRequest) -> StatusReply:
        return StatusReply(401, f"No:\n{request.headers['authorization']}\n")

    for options in ([], ["--json"]):
        done, server = await ask(echo, *options, key=key)
        assert server.requests[0].headers["authorization"] == f"Bearer {key}"
        assert done.status == 1
        assert key not in done.out + done.err
        assert_one_line(done.out + done.err, "status 401")


async def test_text_before_failure_is_shown(ask: Any) -> None:
    done, _ = await ask(Reply("Half an answer", error=ServerError("It broke.", status=500)))
    assert (done.status, done.out) == (1, "Half an answer\n")
    assert_one_line(done.err, "It broke.")


async def test_truncated_stream_is_a_failure(ask: Any) -> None:
    done, _ = await ask(Reply("one two three", cut_after=3, ending=Ending.CLOSE))
    assert (done.status, done.out) == (1, "one two\n")
    assert_one_line(done.err, "ended without a finish reason")


@pytest.mark.parametrize(
    ("arguments", "kind", "status"),
    [(UNREACHABLE, "ConnectError", 1), (["--model", "nobody:any"], "ConfigurationError", 2)],
)
async def test_json_error_is_one_line(
    run: Any, arguments: list[str], kind: str, status: int
) -> None:
    done = await run("ask", "Hi", "--json", *arguments)
    assert (done.status, done.err) == (status, "")
    assert done.out.count("\n") == 1
    info = msgspec.convert(msgspec.json.decode(done.out)["error"], ErrorInfo)
    assert info.kind == kind


async def test_json_error_follows_chunks(ask: Any) -> None:
    done, _ = await ask(Reply("Half", error=ServerError("It broke.", status=500)), "--json")
    *_, chunk, last = done.out.splitlines()
    assert msgspec.json.decode(chunk, type=StreamChunk).delta == "Half"
    assert msgspec.json.decode(last)["error"]["status"] == 500
    assert done.status == 1


@needs_full_disk
@pytest.mark.parametrize("options", [[], ["--json"]])
def test_full_disk_is_one_line(
    program: list[str], options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)
    with Path("/dev/full").open("wb") as full:
        command = [*program, "ask", "Hi", *SCRIPTED, *options]
        done = subprocess.run(
            command, stdout=full, stderr=subprocess.PIPE, check=False, text=True, timeout=SECONDS
        )
    assert done.returncode == 1
    assert_one_line(done.stderr, "No space left")


def assert_one_line(text: str, words: str) -> None:
    assert words in text
    assert text.count("\n") == 1
    assert text.endswith("\n")
