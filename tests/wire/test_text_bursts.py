"""Reads with text only, which two wires decode in one call: they lose nothing on that path."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.parser import StreamInfo, WireParser
from rxagents.wire.responses import ResponsesParser

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


def response_event(text: str = "b", **fields: Any) -> bytes:
    event = {"type": "response.output_text.delta", "item_id": "m1", "output_index": 0}
    event |= {"content_index": 0, "delta": text} | fields
    return b"event: response.output_text.delta\ndata: %s\n\n" % json.dumps(event).encode()


def block_event(text: str = "b", **fields: Any) -> bytes:
    event = {"type": "content_block_delta", "index": 0}
    event |= {"delta": {"type": "text_delta", "text": text}} | fields
    return b"event: content_block_delta\ndata: %s\n\n" % json.dumps(event).encode()


WIRES: dict[str, tuple[type[ResponsesParser | AnthropicParser], Any]] = {
    "responses": (ResponsesParser, response_event),
    "anthropic": (AnthropicParser, block_event),
}
WHOLE_ITEM = (
    b"data: %s\n\n"
    % json.dumps(
        {
            "type": "response.output_item.done",
            "item": {
                "type": "message",
                "id": "m1",
                "content": [{"type": "output_text", "text": "0abcdef"}],
            },
        }
    ).encode()
)
"""It adds `f` only if exactly the other letters are known as text of this item."""

CASES = [("responses", name, fields) for name, fields in RESPONSES.items()]
CASES += [("anthropic", name, fields) for name, fields in ANTHROPIC.items()]


def parse(parser: WireParser, reads: list[bytes]) -> tuple[bytes, str, int, str]:
    chunks = [chunk for read in reads for chunk in parser.feed(read, 1.0)]
    contents = chunks[-1].content if chunks else ""
    chunks += parser.feed(WHOLE_ITEM if isinstance(parser, ResponsesParser) else b"", 1.0)
    return msgspec.json.encode(chunks), contents, parser.events, repr(parser.error)


@pytest.mark.parametrize(
    ("wire", "fields"),
    [pytest.param(wire, fields, id=f"{wire}, {name}") for wire, name, fields in CASES],
)
@pytest.mark.parametrize("burst", [1, 3])
def test_bursts_and_single_events_agree(wire: str, fields: dict[str, Any], burst: int) -> None:
    make, event = WIRES[wire]
    events = [event("a"), event("b"), event("c"), event(**fields), event("d"), event("e")]
    reads = [b"".join(events[i : i + burst]) for i in range(0, len(events), burst)]
    # A comment in each event keeps it off the path of the bursts.
    one_by_one = [b": comment\n" + each for each in (event("0"), *events)]
    expected = parse(make(StreamInfo("acme")), one_by_one)
    assert parse(make(StreamInfo("acme")), [event("0"), *reads]) == expected


@pytest.mark.parametrize("wire", WIRES)
def test_text_only_reads_are_one_call(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    monkeypatch.setattr(make, "_on_event", lambda *_: pytest.fail("parsed one by one"))
    chunks = parser.feed(event("b") * 3, 1.0) + parser.feed(event("c"), 1.0)
    assert [chunk.delta for chunk in chunks] == ["b", "b", "b", "c"]
    assert chunks[-1].content == "abbbc"


@pytest.mark.parametrize("wire", WIRES)
def test_two_values_in_one_event_fail(wire: str) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    value = event("b").partition(b"data: ")[2].strip()
    parser.feed(event("b").replace(value, value + value), 1.0)
    assert "cannot be decoded" in str(parser.error)


@pytest.mark.parametrize("wire", WIRES)
def test_nothing_is_parsed_after_done(wire: str) -> None:
    make, event = WIRES[wire]
    parser = make(StreamInfo("acme"))
    parser.feed(event("a"), 1.0)
    parser.feed(b"data: [DONE]\n\n", 1.0)
    assert parser.feed(event("b"), 1.0) == []
