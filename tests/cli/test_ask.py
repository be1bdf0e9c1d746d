"""`rxagents ask`, with its output in a pipe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest
from matrix import only_full

from rxagents import StreamChunk, ToolCall, Usage
from rxagents.testing import Reply

pytestmark = pytest.mark.real_time


@only_full
async def test_each_json_line_is_a_chunk(ask: Any) -> None:
    done, _ = await ask(Reply("Hello there, you", usage=Usage(output_tokens=3)), "--json")
    chunks = [msgspec.json.decode(line, type=StreamChunk) for line in done.out.splitlines()]
    assert "".join(chunk.delta for chunk in chunks) == "Hello there, you"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.output_tokens == 3
    assert (done.status, done.err) == (0, "")


@only_full
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


@only_full
async def test_omitted_options_are_not_sent(ask: Any) -> None:
    _, server = await ask("ok")
    body = server.requests[0].json()
    assert len(body["messages"]) == 1
    assert not {"max_tokens", "max_completion_tokens", "temperature"} & set(body)


@only_full
async def test_scripted_model_needs_no_key(run: Any) -> None:
    done = await run("ask", "Hi", RXAGENTS_MODEL="scripted:")
    assert done.status == 0
    assert done.out == "Hello! I am a scripted model: I need no key, and I always say this.\n"
    assert done.err == ""


@only_full
@pytest.mark.parametrize("prompt", ["Sum it up", "-"])
async def test_stdin_precedes_prompt(ask: Any, prompt: str) -> None:
    """The document that is piped into the command is never ignored."""
    _, server = await ask(
        "ok", "up" if prompt == "-" else "now", prompt=prompt, stdin=b"A document.\n"
    )
    said = "up" if prompt == "-" else "Sum it up now"
    assert server.requests[0].json()["messages"][0]["content"] == f"A document.\n\n{said}"


@only_full
async def test_stdin_alone_is_the_prompt(ask: Any) -> None:
    _, server = await ask("ok", prompt="", stdin=b"Hello?\n")
    assert server.requests[0].json()["messages"][0]["content"] == "Hello?"


async def test_settings_by_option(ask: Any) -> None:
    _, server = await ask(
        "ok", "-o", "top_p=0.5", "-o", "stop=7", "-o", "extra_body.effort=low", "-o", "seed=3"
    )
    body = server.requests[0].json()
    assert (body["top_p"], body["effort"], body["seed"]) == (0.5, "low", 3)
    assert body["stop"] in ("7", ["7"])


async def test_files_precede_prompt_with_their_names(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("first\n")
    _, server = await ask("ok", "-f", "a.txt", "-f", "-", stdin=b"second", cwd=tmp_path)
    assert server.requests[0].json()["messages"][0]["content"] == (
        '<file name="a.txt">\nfirst\n</file>\n\n<file name="stdin">\nsecond\n</file>\n\nHi'
    )


PNG = b"\x89PNG\r\n\x1a\nrest"


async def test_attachments_are_parts(ask: Any, tmp_path: Path) -> None:
    (tmp_path / "misnamed.jpg").write_bytes(PNG)
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.7")
    _, server = await ask(
        "ok",
        "-a",
        "misnamed.jpg",
        "-a",
        "paper.pdf",
        "-a",
        "https://example.com/b.png",
        cwd=tmp_path,
    )
    image, paper, linked, text = server.requests[0].json()["messages"][0]["content"]
    assert image["image_url"]["url"].startswith("data:image/png;base64,iVBOR")
    assert paper["file"]["filename"] == "paper.pdf"
    assert linked["image_url"]["url"] == "https://example.com/b.png"
    assert text == {"type": "text", "text": "Hi"}


async def test_attachment_from_stdin_is_not_the_prompt(ask: Any) -> None:
    _, server = await ask("ok", "-a", "-", stdin=PNG)
    image, text = server.requests[0].json()["messages"][0]["content"]
    assert image["type"] == "image_url"
    assert text["text"] == "Hi"


@only_full
@pytest.mark.parametrize(
    ("option", "data", "words"),
    [
        ("-a", b"text", "the type of the file is text/plain. Pass a text with --file"),
        ("-a", b"", "the file is empty"),
        ("-f", b"\xff\xfe", "the file is no text in UTF-8"),
    ],
)
async def test_wrong_kind_of_file_names_other_option(
    ask: Any, tmp_path: Path, option: str, data: bytes, words: str
) -> None:
    (tmp_path / "a.txt").write_bytes(data)
    done, server = await ask("ok", option, "a.txt", cwd=tmp_path)
    assert done.status == 2
    assert words in done.err
    assert not server.requests


SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer", "description": "years"}},
    "required": ["name", "age"],
}


@only_full
@pytest.mark.parametrize("form", ["fields", "json", "file"])
async def test_schema_reaches_request(ask: Any, tmp_path: Path, form: str) -> None:
    (tmp_path / "person.json").write_bytes(msgspec.json.encode(SCHEMA))
    json = msgspec.json.encode(SCHEMA).decode()
    schema = {"fields": "name, age int: years", "json": json, "file": "person.json"}[form]
    done, server = await ask('{"name": "Ada", "age": 36}', "--schema", schema, cwd=tmp_path)
    assert (done.status, done.out) == (0, '{"name": "Ada", "age": 36}\n')
    sent = server.requests[0].json()["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["age"] == {"type": "integer", "description": "years"}
    assert sent["required"] == ["name", "age"]


@only_full
async def test_schema_of_a_list(ask: Any) -> None:
    _, server = await ask('{"items": []}', "--schema-multi", "name")
    sent = server.requests[0].json()["response_format"]["json_schema"]["schema"]
    assert sent["properties"]["items"]["items"]["properties"] == {"name": {"type": "string"}}


@only_full
async def test_answer_that_breaks_schema_is_status_1(ask: Any) -> None:
    done, _ = await ask('{"name": 7}', "--schema", "name")
    assert (done.status, done.out) == (1, '{"name": 7}\n')
    assert "7 is not of type 'string' (at $.name)" in done.err


@only_full
async def test_extract_prints_only_the_code(ask: Any) -> None:
    reply = "So:\n\n```python\nprint(1)\n```\n\nor\n```\nno\n```"
    assert (await ask(reply, "-x"))[0].out == "print(1)\n"
    done, _ = await ask("No code.", "--extract")
    assert (done.status, done.out) == (2, "")
    assert "no fenced block of code" in done.err


async def test_dash_reads_prompt_from_stdin(ask: Any) -> None:
    _, server = await ask("ok", prompt="-", stdin="Grüße \N{CAT}".encode() + b"\xff")
    message = server.requests[0].json()["messages"][0]
    assert message["content"] == "Grüße \N{CAT}\N{REPLACEMENT CHARACTER}"


@only_full
async def test_reasoning_goes_to_stderr(ask: Any) -> None:
    done, _ = await ask(Reply("42", reasoning="Let me think."))
    assert done.out == "42\n"
    assert done.err == "thought: Let me think.\n\n"


async def test_refusal_goes_to_stdout(ask: Any) -> None:
    assert (await ask(Reply(refusal="I cannot help.")))[0].out == "I cannot help.\n"


@only_full
async def test_tool_calls_are_separated(ask: Any) -> None:
    calls = [ToolCall("1", "add", '{"first": 1, "second": 2}'), ToolCall("2", "now", "{}")]
    done, _ = await ask(Reply("Let me see.\n", tool_calls=calls))
    assert done.out == 'Let me see.\n\n\nadd {"first": 1, "second": 2}\n\nnow {}\n'
    assert done.err.endswith("finish reason: tool_calls\n")


@only_full
async def test_only_unusual_finish_reason_is_shown(ask: Any) -> None:
    assert (await ask(Reply("cut", finish_reason="length")))[0].err == "finish reason: length\n"
    assert (await ask(Reply("whole")))[0].err == ""


async def test_usage_is_shown_when_asked_for(ask: Any) -> None:
    reply = Reply("one two", usage=Usage(input_tokens=5, output_tokens=2))
    assert (await ask(reply))[0].err == ""
    done, _ = await ask(reply, "--usage")
    assert "2 tokens in" in done.err
    assert done.err.endswith("usage: 5 input, 2 output\n")


async def test_answer_without_text(ask: Any) -> None:
    done, _ = await ask(Reply("", finish_reason="content_filter"), "--usage")
    assert (done.status, done.out) == (0, "")
    assert done.err == "\nno text\nusage: not reported · finish reason: content_filter\n"


async def test_control_characters_are_removed(ask: Any) -> None:
    done, _ = await ask(Reply(["a\x1b]0;title\x07", "\x1b", "[2J\r\n\tb"]))
    assert done.out == "a]0;title[2J\n\tb\n"


async def test_unencodable_text_is_replaced(run: Any) -> None:
    done = await run("ask", "Hi", "--model", "scripted:", "-u", PYTHONIOENCODING="ascii:strict")
    assert done.status == 0
    assert "? 15 chunks in" in done.err
