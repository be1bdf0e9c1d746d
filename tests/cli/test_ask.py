"""`rxagents ask`, with its output in a pipe."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rxagents import StreamChunk, ToolCall, Usage
from rxagents.testing import Reply

pytestmark = pytest.mark.real_time


async def test_each_json_line_is_a_chunk(ask: Any) -> None:
    done, _ = await ask(Reply("Hello there, you", usage=Usage(output_tokens=3)), "--json")
    chunks = [msgspec.json.decode(line, type=StreamChunk) for line in done.out.splitlines()]
    assert "".join(chunk.delta for chunk in chunks) == "Hello there, you"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.output_tokens == 3
    assert (done.status, done.err) == (0, "")


async def test_options_reach_the_request(ask: Any) -> None:
    _, server = await ask(
        "ok", "--system", "Be brief.", "--max-tokens", "7", "--temperature", "0.5"
    )
    body = server.requests[0].json()
    assert body["model"] == "any"
    assert body["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "Hi"},
    ]
    assert (body["max_tokens"], body["temperature"]) == (7, 0.5)


async def test_omitted_options_are_not_sent(ask: Any) -> None:
    _, server = await ask("ok")
    body = server.requests[0].json()
    assert len(body["messages"]) == 1
    assert not {"max_tokens", "max_completion_tokens", "temperature"} & set(body)


async def test_scripted_model_needs_no_key(run: Any) -> None:
    done = await run("ask", "Hi", RXAGENTS_MODEL="scripted:")
    assert done.status == 0
    assert done.out == "Hello! I am a scripted model: I need no key, and I always say this.\n"
    assert "usage: not reported" in done.err


async def test_dash_reads_prompt_from_stdin(ask: Any) -> None:
    _, server = await ask("ok", prompt="-", stdin="Grüße \N{CAT}".encode() + b"\xff")
    message = server.requests[0].json()["messages"][0]
    assert message["content"] == "Grüße \N{CAT}\N{REPLACEMENT CHARACTER}"


async def test_reasoning_goes_to_stderr(ask: Any) -> None:
    done, _ = await ask(Reply("42", reasoning="Let me think."))
    assert done.out == "42\n"
    assert done.err.startswith("Let me think.\n\n\nfirst token after")


async def test_refusal_goes_to_stdout(ask: Any) -> None:
    assert (await ask(Reply(refusal="I cannot help.")))[0].out == "I cannot help.\n"


async def test_tool_calls_are_separated(ask: Any) -> None:
    calls = [ToolCall("1", "add", '{"first": 1, "second": 2}'), ToolCall("2", "now", "{}")]
    done, _ = await ask(Reply("Let me see.\n", tool_calls=calls))
    assert done.out == 'Let me see.\n\n\nadd {"first": 1, "second": 2}\n\nnow {}\n'
    assert done.err.endswith("finish reason: tool_calls\n")


async def test_only_unusual_finish_reason_is_shown(ask: Any) -> None:
    assert "finish reason: length\n" in (await ask(Reply("cut", finish_reason="length")))[0].err
    assert "finish reason" not in (await ask(Reply("whole")))[0].err


async def test_answer_without_text(ask: Any) -> None:
    done, _ = await ask(Reply("", finish_reason="content_filter"))
    assert (done.status, done.out) == (0, "")
    assert done.err == "\nno text\nusage: not reported · finish reason: content_filter\n"


async def test_control_characters_are_removed(ask: Any) -> None:
    done, _ = await ask(Reply(["a\x1b]0;title\x07", "\x1b", "[2J\r\n\tb"]))
    assert done.out == "a]0;title[2J\n\tb\n"


async def test_unencodable_text_is_replaced(run: Any) -> None:
    done = await run("ask", "Hi", "--model", "scripted:", PYTHONIOENCODING="ascii:strict")
    assert done.status == 0
    assert "? 15 chunks in" in done.err
