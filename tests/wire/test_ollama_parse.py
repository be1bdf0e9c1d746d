"""Ollama's wire: lines, made-up call ids, `/api/generate`."""

from __future__ import annotations

import json
from typing import Any

import pytest

import rxagents
from rxagents import Limits, StreamChunk
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.parser import StreamInfo


def line(**fields: Any) -> bytes:
    return json.dumps({"model": "m", **fields}).encode() + b"\n"


def text_line(text: str, **fields: Any) -> bytes:
    return line(message={"role": "assistant", "content": text, **fields}, done=False)


def parse(*lines: bytes, limits: Limits | None = None) -> tuple[list[StreamChunk], OllamaParser]:
    parser = OllamaParser(StreamInfo("ollama", limits=limits or Limits()))
    chunks = parser.feed(b"".join(lines), 1.0)
    return chunks + parser.flush(1.0), parser


def test_done_ends_stream_at_once() -> None:
    chunks, parser = parse(text_line("a"), line(done=True, done_reason="stop"), text_line("b"))
    assert parser.done
    assert [chunk.content for chunk in chunks] == ["a", "a"]


@pytest.mark.parametrize("reason", ["load", "unload"])
def test_other_done_reasons_are_passed_on(reason: str) -> None:
    chunks, parser = parse(line(message={"content": ""}, done=True, done_reason=reason))
    assert parser.complete
    assert chunks[-1].finish_reason == reason


def test_blank_lines_and_missing_line_end() -> None:
    last = line(done=True, prompt_eval_count=3, eval_count=4, total_duration=5).rstrip()
    chunks, parser = parse(b"\n\r\n", text_line("a").replace(b"\n", b"\r\n"), last)
    assert parser.complete
    usage = chunks[-1].usage
    assert usage is not None
    assert (usage.input_tokens, usage.output_tokens, usage.total_tokens) == (3, 4, None)
    assert usage.raw == {"prompt_eval_count": 3, "eval_count": 4, "total_duration": 5}


def test_calls_without_id_get_different_ids() -> None:
    call = {"function": {"name": "f", "arguments": {"a": 1}}}
    chunks, _ = parse(text_line("", tool_calls=[call, call]), line(done=True, done_reason="stop"))
    first, second = chunks[0].tool_calls
    assert first.id != second.id
    assert (first.arguments, first.sealed, second.index) == ('{"a":1}', True, 1)
    assert chunks[-1].finish_reason == "tool_calls"


def test_error_line_is_typed_error() -> None:
    chunks, parser = parse(text_line("a"), line(error="model runner has stopped"))
    assert [chunk.content for chunk in chunks] == ["a"]
    assert isinstance(parser.error, rxagents.ServerError)
    assert "model runner has stopped" in str(parser.error)


@pytest.mark.parametrize("bad", [b"<html>\n", b'{"foo": 1}\n', b"[1]\n"])
def test_other_json_line_is_typed_error(bad: bytes) -> None:
    chunks, parser = parse(text_line("a"), bad)
    assert [chunk.content for chunk in chunks] == ["a"]
    assert isinstance(parser.error, rxagents.StreamDecodeError)


def test_limits_are_typed_errors() -> None:
    _, long = parse(text_line("x" * 100), limits=Limits(event_bytes=80))
    _, deep = parse(b'{"message":' * 9 + b"1" + b"}" * 9 + b"\n", limits=Limits(json_depth=8))
    assert isinstance(long.error, rxagents.LimitExceededError)
    assert isinstance(deep.error, rxagents.LimitExceededError)


def test_lines_of_generate_are_parsed() -> None:
    chunks, parser = parse(
        line(response="a", thinking="", done=False),
        line(response="", done=True, done_reason="length"),
    )
    assert parser.complete
    assert (chunks[0].delta, chunks[-1].finish_reason) == ("a", "length")


def test_null_and_missing_fields_are_ignored() -> None:
    call = {"function": {"name": None, "arguments": None}}
    chunks, parser = parse(
        line(done=False),
        line(message={"content": "a", "tool_calls": [None, {}, call]}, done=None),
        line(done=True),
    )
    assert parser.error is None
    assert parser.complete
    assert [chunk.content for chunk in chunks] == ["a", "a"]
    assert [delta.arguments for delta in chunks[0].tool_calls] == ["{}", "{}"]


@pytest.mark.parametrize("junk", [b'"\xff"', b"9" * 5000])
def test_last_line_may_have_an_odd_field(junk: bytes) -> None:
    last = line(done=True, eval_count=3).replace(b'"m"', b'"m","novel":' + junk)
    chunks, parser = parse(text_line("a"), last)
    assert parser.error is None
    assert parser.complete
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.output_tokens == 3
