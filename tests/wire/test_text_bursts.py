"""Reads with text only, which are decoded in one step: they lose nothing on that path."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec
import pytest
from msgspec import Struct

from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.gemini import events as gemini
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.ollama import events as ollama
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses import ResponsesParser

Parser: TypeAlias = ResponsesParser | AnthropicParser | GeminiParser | OllamaParser

DEEP: Any = json.loads("[" * 200 + "]" * 200)

RESPONSES: dict[str, dict[str, Any]] = {
    "plain": {},
    "no text": {"delta": ""},
    "null text": {"delta": None},
    "other item": {"item_id": "m2", "output_index": 1, "delta": "x"},
    "other output_index": {"output_index": 1},
    "other content_index": {"content_index": 1},
    "summary_index": {"content_index": None, "summary_index": 1},
    "empty logprobs": {"logprobs": []},
    "logprobs": {"logprobs": [{"token": "b", "logprob": -0.1}]},
    "other type": {"type": "response.reasoning_text.delta"},
    "refusal": {"type": "response.refusal.delta"},
    "no type": {"type": None},
    "lone surrogate": {"delta": "\ud83d"},
    "odd index": {"output_index": "0"},
    "deep unread field": {"obfuscation": DEEP},
}
ANTHROPIC: dict[str, dict[str, Any]] = {
    "plain": {},
    "other block": {"index": 1},
    "null block": {"index": None},
    "no text": {"delta": {"type": "text_delta", "text": ""}},
    "citation": {"delta": {"type": "citations_delta", "citation": {"url": "u"}}},
    "thinking": {"delta": {"type": "thinking_delta", "thinking": "hm"}},
    "unknown delta": {"delta": {"type": "novel_delta", "text": "b"}},
    "no delta type": {"delta": {"text": "b"}},
    "other type": {"type": "content_block_stop"},
    "lone surrogate": {"delta": {"type": "text_delta", "text": "\ud83d"}},
    "deep unread field": {"novel": DEEP},
}
GEMINI: dict[str, dict[str, Any]] = {
    "plain": {},
    "no text": {"parts": [{"text": ""}]},
    "usage": {"usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4}},
    "empty usage": {"usageMetadata": {}},
    "thought": {"parts": [{"text": "hm", "thought": True}]},
    "no thought": {"parts": [{"text": "b", "thought": False}]},
    "signature": {"parts": [{"text": "b", "thoughtSignature": "c2ln"}]},
    "call": {"parts": [{"functionCall": {"id": "c", "name": "add", "args": {"a": 1}}}]},
    "two parts": {"parts": [{"text": "b"}, {"text": "b"}]},
    "no parts": {"parts": []},
    "null parts": {"parts": None},
    "other candidate": {"candidate": {"index": 1}},
    "null index": {"candidate": {"index": None}},
    "odd index": {"candidate": {"index": "0"}},
    "finish": {"candidate": {"finishReason": "STOP"}},
    "empty finish": {"candidate": {"finishReason": ""}},
    "finish message": {"candidate": {"finishMessage": "cut"}},
    "safety": {"candidate": {"safetyRatings": [{"category": "c"}]}},
    "no safety": {"candidate": {"safetyRatings": []}},
    "sources": {"candidate": {"groundingMetadata": {"webSearchQueries": ["q"]}}},
    "citations": {"candidate": {"citationMetadata": {"citations": [{"uri": "u"}]}}},
    "blocked": {"promptFeedback": {"blockReason": "SAFETY"}},
    "error": {"error": {"code": 500, "message": "It broke."}},
    "no candidate": {"candidates": []},
    "two candidates": {"candidates": [{"content": {"parts": [{"text": "b"}]}}] * 2},
    "other model": {"modelVersion": "other"},
    "lone surrogate": {"parts": [{"text": "\ud83d"}]},
    "deep unread field": {"novel": DEEP},
}
OLLAMA: dict[str, dict[str, Any]] = {
    "plain": {},
    "no text": {"message": {"content": ""}},
    "null text": {"message": {"content": None}},
    "thinking": {"message": {"content": "", "thinking": "hm"}},
    "thinking beside message": {"thinking": "hm"},
    "no thinking": {"message": {"content": "b", "thinking": ""}},
    "call": {"message": {"content": "", "tool_calls": [{"id": "c", "function": {"name": "f"}}]}},
    "no calls": {"message": {"content": "b", "tool_calls": []}},
    "done": {"done": True, "done_reason": "length", "eval_count": 7},
    "null done": {"done": None},
    "odd done": {"done": "false"},
    "error": {"error": "It broke."},
    "empty error": {"error": ""},
    "completion": {"message": None, "response": "b"},
    "response beside message": {"response": "x"},
    "no event": {"message": None, "done": None},
    "other model": {"model": "other"},
    "lone surrogate": {"message": {"content": "\ud83d"}},
    "deep unread field": {"novel": DEEP},
}


def response_event(text: str = "b", **fields: Any) -> bytes:
    event = {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0}
    event |= {"content_index": 0, "delta": text} | fields
    return b"event: response.output_text.delta\ndata: %s\n\n" % json.dumps(event).encode()


def block_event(text: str = "b", **fields: Any) -> bytes:
    event = {"type": "content_block_delta", "index": 0}
    event |= {"delta": {"type": "text_delta", "text": text}} | fields
    return b"event: content_block_delta\ndata: %s\n\n" % json.dumps(event).encode()


def candidate_event(text: str = "b", **fields: Any) -> bytes:
    parts, candidate = fields.pop("parts", [{"text": text}]), fields.pop("candidate", {})
    candidate = {"content": {"role": "model", "parts": parts}, "index": 0} | candidate
    event = {"candidates": [candidate], "modelVersion": "m", "responseId": "r"} | fields
    return b"data: %s\n\n" % json.dumps(event).encode()


def line(text: str = "b", **fields: Any) -> bytes:
    event = {"model": "m", "message": {"role": "assistant", "content": text}, "done": False}
    return json.dumps(event | fields).encode() + b"\n"


WIRES: dict[str, tuple[type[Parser], Any]] = {
    "responses": (ResponsesParser, response_event),
    "anthropic": (AnthropicParser, block_event),
    "gemini": (GeminiParser, candidate_event),
    "ollama": (OllamaParser, line),
}
SSE = [name for name in WIRES if name != "ollama"]
LAST: dict[type[Parser], dict[str, Any]] = {
    ResponsesParser: {
        "type": "response.output_item.done",
        "item": {
            "type": "message",
            "id": "m1",
            "content": [{"type": "output_text", "text": "0abcdef"}],
        },
    },
    GeminiParser: {
        "candidates": [
            {
                "content": {"parts": [{"text": "", "thoughtSignature": "c2ln"}]},
                "finishReason": "STOP",
            }
        ]
    },
}
"""An event that shows what the parser has stored: the first one adds `f` only if exactly the other
letters are known as text of its item, the second one brings the stored parts."""

CASES = [("responses", name, fields) for name, fields in RESPONSES.items()]
CASES += [("anthropic", name, fields) for name, fields in ANTHROPIC.items()]
CASES += [("gemini", name, fields) for name, fields in GEMINI.items()]
CASES += [("ollama", name, fields) for name, fields in OLLAMA.items()]


def parse(parser: Parser, reads: list[bytes]) -> tuple[bytes, list[str], int, str]:
    chunks = [chunk for read in reads for chunk in parser.feed(read, 1.0)]
    contents = [chunk.content for chunk in chunks]
    if last := LAST.get(type(parser)):
        chunks += parser.feed(b"data: %s\n\n" % json.dumps(last).encode(), 1.0)
    return msgspec.json.encode(chunks), contents, parser.events, repr(parser.error)


def one_by_one(wire: str, events: list[bytes]) -> list[bytes]:
    """Return reads of one event each, which keep off the path of the bursts.

    A comment does, and on Ollama's wire that a read is a single line.
    """
    return events if wire == "ollama" else [b": comment\n" + event for event in events]


@pytest.mark.parametrize(
    ("wire", "fields"),
    [pytest.param(wire, fields, id=f"{wire}, {name}") for wire, name, fields in CASES],
)
@pytest.mark.parametrize("burst", [1, 3, 60])
def test_bursts_and_single_events_agree(wire: str, fields: dict[str, Any], burst: int) -> None:
    make, event = WIRES[wire]
    events = [event("a"), event("b"), event("c"), event(**fields), event("d"), event("e")]
    if burst > len(events):  # a read that is cut, with the odd event in its third part
        events = [event("x"), event("y")] * 20 + events + [event("z")] * 14
    reads = [b"".join(events[i : i + burst]) for i in range(0, len(events), burst)]
    expected = parse(make(StreamInfo("acme")), one_by_one(wire, [event("0"), *events]))
    assert parse(make(StreamInfo("acme")), [event("0"), *reads]) == expected
    assert parse(make(StreamInfo("acme")), [event("0") + reads[0], *reads[1:]]) == expected


@pytest.mark.parametrize("wire", WIRES)
def test_text_only_reads_are_one_call(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    monkeypatch.setattr(make, "_parse_each", lambda *_: pytest.fail("parsed one by one"))
    chunks = parser.feed(event("b") * 3, 1.0) + parser.feed(event("c") * 2, 1.0)
    assert [chunk.delta for chunk in chunks] == ["b", "b", "b", "c", "c"]
    assert chunks[-1].content == "abbbcc"


@pytest.mark.parametrize("wire", WIRES)
def test_large_first_and_last_reads_are_cut(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, event = WIRES[wire]
    parser, single = make(StreamInfo("acme")), 0
    parse_each: Any = make._parse_each

    def count(self: Parser, frames: Any) -> None:
        nonlocal single
        single += len(frames) if isinstance(frames, list) else frames.count(b"\n\n")
        parse_each(self, frames)

    monkeypatch.setattr(make, "_parse_each", count)
    assert len(parser.feed(event("a") * 200, 1.0)) == 200
    assert single <= 2
    odd = b": comment\n" + event("c") if wire in SSE else event("c", done=None, thinking=1)
    parser.feed(event("b") * 199 + odd, 1.0)
    assert 0 < single <= 2 + 40


@pytest.mark.parametrize("wire", SSE)
def test_two_values_in_one_event_fail(wire: str) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    value = event("b").partition(b"data: ")[2].strip()
    parser.feed(event("b").replace(value, value + value), 1.0)
    assert "cannot be decoded" in str(parser.error)


def test_lines_that_are_no_values_fail_in_every_read() -> None:
    halves = line("b").replace(b'"done"', b'\n"done"')
    doubled = line("c")[:-1] + line("d")
    for odd in (halves, doubled, halves + doubled):
        parser = OllamaParser(StreamInfo("acme"))
        parser.feed(line("a"), 1.0)
        chunks = parser.feed(line("b") + odd + line("e"), 1.0)
        assert [chunk.delta for chunk in chunks] == ["b"]
        assert "cannot be decoded" in str(parser.error)
        assert parser.feed(line("f") * 2, 1.0) == []


@pytest.mark.parametrize(
    ("wire", "names"), [("gemini", ("modelVersion", "responseId")), ("ollama", ("model",))]
)
def test_late_names_reach_metadata(wire: str, names: tuple[str, ...]) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a", **dict.fromkeys(names)), 1.0)
    first, last = parser.feed(event("b") * 2, 1.0)
    assert first.metadata == last.metadata
    assert first.metadata["model"] == "m"


def test_white_space_around_lines_is_skipped() -> None:
    parser = OllamaParser(StreamInfo("acme"))
    parser.feed(line("a"), 1.0)
    spaced = b" \n\n" + line("b").replace(b"\n", b"\r\n") + b"\t" + line("c")
    assert [chunk.delta for chunk in parser.feed(spaced, 1.0)] == ["b", "c"]
    assert parser.error is None


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_is_parsed_after_done(wire: str) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    parser.feed(event(done=True) if wire == "ollama" else b"data: [DONE]\n\n", 1.0)
    assert parser.feed(event("b") * 2, 1.0) == []


@pytest.mark.parametrize(
    ("kind", "plain", "unread"),
    [
        (gemini.Event, gemini.PlainEvent, {"model", "id"}),
        (gemini.Candidate, gemini.PlainCandidate, set()),
        (gemini.Content, gemini.PlainContent, set()),
        (ollama.ChatMessage, ollama.PlainMessage, set()),
        (
            ollama.Line,
            ollama.PlainLine,
            # Known, not read beside a message, and read of the last line only.
            {"model", "response", "thinking", "done_reason", "prompt_eval_count", "eval_count"},
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_plain_structs_have_all_read_fields(
    kind: type[Struct], plain: type[Struct], unread: set[str]
) -> None:
    assert set(plain.__struct_fields__) == set(kind.__struct_fields__) - unread
