"""Reads whose events differ in nothing but their text: the template gives what decoding gives."""

from __future__ import annotations

import json
from typing import Any, TypeAlias

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.event_template import EventTemplate
from rxagents.wire.parser import StreamInfo

Parser: TypeAlias = ChatCompletionsParser | AnthropicParser

CHAT = (
    ChatCompletionsParser,
    b'data: {"id":"c-1","model":"content","choices":[{"index":0,"delta":{"content":"',
    b'"},"finish_reason":null}]}\n\n',
)
MIDDLE = b'"},"finish_reason":null}],"usage":null,"obfuscation":"'
OPENAI = (ChatCompletionsParser, CHAT[1], MIDDLE + b'k3J"}\n\n')
ANTHROPIC = (
    AnthropicParser,
    b'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,'
    b'"delta":{"type":"text_delta","text":"',
    b'"}}\n\n',
)
WIRES: dict[str, tuple[type[Parser], bytes, bytes]] = {
    "chat completions": CHAT,
    "OpenAI": OPENAI,
    "anthropic": ANTHROPIC,
}
each_wire = pytest.mark.parametrize("wire", WIRES)

ODD = [
    *'aé☃",}] \\\n\t\r',
    '","',
    '"},',
    "\\\\",
    '\\"',
    "\\n",
    "\\u2603",
    "\\ud83d",
    ": x",
    "\n\n",
]
"""What may be mistaken for the end of a text, or of an event."""

SECOND_ODD = ['"],["', '",\t"', '",\r"', '","obfuscation":"', json.dumps(MIDDLE.decode())[1:-1]]


def bodies_of(pieces: list[str]) -> st.SearchStrategy[list[str]]:
    body = st.lists(st.sampled_from(pieces), max_size=4).map("".join)
    return st.lists(body, min_size=1, max_size=4)


BODIES = bodies_of(ODD)


def parse(parser: Parser, reads: list[bytes]) -> tuple[bytes, list[str], int, str]:
    chunks = [chunk for read in reads for chunk in parser.feed(read, 1.0)]
    chunks += parser.flush(1.0)
    contents = [chunk.content for chunk in chunks]
    return msgspec.json.encode(chunks), contents, parser.events, repr(parser.error)


def learned(wire: str) -> tuple[Parser, list[bytes]]:
    """Return a parser that has a template, and what it was fed."""
    make, before, after = WIRES[wire]
    parser, event = make(StreamInfo("acme")), before + b"word" + after
    assert len(parser.feed(event, 1.0) + parser.feed(event, 1.0)) == 2
    assert parser._template.read(event) == ["word"]
    return parser, [event, event]


def agree(wire: str, events: list[bytes]) -> None:
    """Assert that the template changes nothing, whether or not a read fits it."""
    make, *_ = WIRES[wire]
    _, fed = learned(wire)
    found = parse(make(StreamInfo("acme")), [*fed, b"".join(events)])
    # A comment keeps an event off the path of the bursts, and so off the template.
    one_by_one = [b": comment\n" + event for event in [*fed, *events]]
    assert found == parse(make(StreamInfo("acme")), one_by_one)


@each_wire
@settings(deadline=None)
@given(BODIES)
@example(["a\\", ',"c', "d"])
@example(['x",', ',"y'])
@example(['x","y', "b\\"])
@example(["\\\\", "b"])
@example(["a", "", "b"])
def test_texts_are_those_of_decoded_events(wire: str, bodies: list[str]) -> None:
    _, before, after = WIRES[wire]
    agree(wire, [before + body.encode() + after for body in bodies])


@settings(deadline=None)
@given(bodies_of([*ODD, *SECOND_ODD, *[MIDDLE.decode()] * len(ODD)]))
@example(["a{0}b", "c{0}d"])
@example(["a{0}b{0}c", "d"])
@example(["a", "b{0}c{0}d"])
@example(['a","b', "c{0}d"])
@example(['a","b'])
@example(['a",', '],["c{0}d'])
@example(["a\\{0}b", ',"c{0}d'])
@example(["a{0}b\\", ',"c{0}d'])
@example(["a{0}b\\\\", "c\\\\{0}d"])
@example(["a{0}b", "c", "d{0}e{0}f"])
def test_random_field_is_no_part_of_texts(insides: list[str]) -> None:
    _, before, _ = OPENAI
    middle = MIDDLE.decode()
    found = [inside.replace("{0}", middle).encode() for inside in insides]
    agree("OpenAI", [before + inside + b'"}\n\n' for inside in found])


def test_events_that_differ_in_random_field_are_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parser, _ = learned("OpenAI")
    monkeypatch.setattr(EventTemplate, "learn", lambda *_: pytest.fail("decoded"))
    texts, letters = (
        ["one", "", '\\"two\\"', "[3]", "end\\\\"],
        ["", "x", "obfuscation", "Zk9", "q"],
    )
    pairs = list(zip(texts, letters, strict=True))
    events = [
        OPENAI[1] + f"{text}{MIDDLE.decode()}{odd}".encode() + b'"}\n\n' for text, odd in pairs
    ]
    reads = [*events, b"".join(events)]
    chunks = [chunk.delta for read in reads for chunk in parser.feed(read, 1.0)]
    assert chunks == ["one", '"two"', "[3]", "end\\"] * 2


@each_wire
def test_one_quote_is_no_empty_text(wire: str) -> None:
    _, before, after = WIRES[wire]
    agree(wire, [before + after[1:]])


@each_wire
@settings(deadline=None)
@given(st.data())
def test_any_other_byte_is_decoded(wire: str, data: st.DataObject) -> None:
    _, before, after = WIRES[wire]
    events = [before + text + after for text in (b"a", b"b", b"c")]
    odd = data.draw(st.integers(0, 2))
    at = data.draw(st.integers(0, len(events[odd]) - 3))
    byte = data.draw(st.sampled_from([*b'01 "{}:,\n']))
    events[odd] = events[odd][:at] + bytes([byte]) + events[odd][at + 1 :]
    agree(wire, events)


@each_wire
def test_fitting_reads_are_not_decoded(wire: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _, before, after = WIRES[wire]
    parser, _ = learned(wire)
    monkeypatch.setattr(EventTemplate, "learn", lambda *_: pytest.fail("decoded"))
    texts = ["é", '"quoted"', "a\nb", "]", "\\", "☃" * 3]
    events = [before + json.dumps(text).encode()[1:-1] + after for text in texts]
    assert [chunk.delta for chunk in parser.feed(b"".join(events), 1.0)] == texts


def test_text_that_is_also_in_another_field_is_found() -> None:
    _, before, after = CHAT
    parser = ChatCompletionsParser(StreamInfo("acme"))
    for _ in range(2):
        parser.feed(before + b"content" + after, 1.0)
    chunks = parser.feed(before + b"a" + after, 1.0) + parser.feed(before + b"b" + after, 1.0)
    assert [chunk.delta for chunk in chunks] == ["a", "b"]
    assert parser._template.read((before + b"c" + after) * 2) == ["c", "c"]


def test_other_block_does_not_take_template_of_first() -> None:
    parser, (event, _) = learned("anthropic")
    other = event.replace(b'"index":0', b'"index":1')
    reads = [other, event * 2, other, event]
    assert len([chunk for read in reads for chunk in parser.feed(read, 1.0)]) == 5
    signed = {"type": "content_block_delta", "index": 2}
    signed |= {"delta": {"type": "thinking_delta", "thinking": "hm"}}  # has the blocks stored
    end = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}}
    last = [b"data: %s\n\n" % json.dumps(body).encode() for body in (signed, end)]
    blocks = parser.feed(b"".join(last), 1.0)[-1].metadata["provider_data"]["anthropic"]["blocks"]
    assert [block.get("length") for block in blocks] == [5 * len("word"), 2 * len("word"), None]


@pytest.mark.parametrize("values", [50, 3], ids=["random", "equal by chance"])
@pytest.mark.parametrize("field", ["nonce", "created"])
def test_changing_fields_end_search_for_template(
    field: str, values: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    decoded = 0
    decode = ChatCompletionsParser._text_of

    def count(self: ChatCompletionsParser, event: bytes) -> Any:
        nonlocal decoded
        decoded += 1
        return decode(self, event)

    monkeypatch.setattr(ChatCompletionsParser, "_text_of", count)
    parser = ChatCompletionsParser(StreamInfo("acme"))
    for number in range(50):
        delta = {"choices": [{"index": 0, "delta": {"content": "word"}}]}
        odd = {field: f"n{number // 2 % values}"}
        event = {**odd, **delta} if field == "created" else {**delta, **odd}
        parser.feed(b"data: %s\n\n" % json.dumps(event).encode(), 1.0)
    assert parser.events == 50
    assert 0 < decoded <= 4
