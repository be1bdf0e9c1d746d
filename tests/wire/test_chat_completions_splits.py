"""A random response, rendered as a host might, gives the same chunks at every split."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec
from folding import fold
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Struct

from rxagents import StreamChunk, ToolCall
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo


class Text(Struct, frozen=True):
    key: str
    text: str
    choice: int


class Call(Struct, frozen=True):
    name: str
    arguments: str
    cuts: tuple[int, ...]


class Noise(Struct, frozen=True):
    payload: bytes


class Tokens(Struct, frozen=True):
    count: int
    beside_choice: bool


class Dialect(Struct, frozen=True):
    """How a provider renders: its line ends, escapes and habits."""

    line_end: bytes
    space: bytes
    escape: bool
    cut_characters: bool
    id_again: bool
    name_again: bool
    done: bool
    named: bool
    empty: dict[str, Any]


Step = Text | Call | Noise | Tokens

WORDS = st.text('ab é😀\u2028"\\\n', max_size=6)
STEPS = st.lists(
    st.one_of(
        st.builds(Text, st.sampled_from(["content", "content", "reasoning", "refusal"]), WORDS,
                  st.integers(0, 1)),
        st.builds(
            Call, st.sampled_from(["add", "sub"]),
            st.dictionaries(WORDS, WORDS, max_size=2).map(json.dumps),
            st.lists(st.integers(0, 40), max_size=3).map(lambda cuts: tuple(sorted(cuts))),
        ),
        st.sampled_from([
            Noise(b": PROCESSING"), Noise(b""), Noise(b"id: 5"), Noise(b" data: {}"),
            Noise(b'data: {"id":"c-1","model":"m","choices":[]}'),
            Noise(b'data: {"choices":[{"index":0,"delta":{"role":"assistant","content":null}}]}'),
        ]),
        st.builds(Tokens, st.integers(1, 99), st.booleans()),
    ),
    max_size=8,
)  # fmt: skip
DIALECTS = st.builds(
    Dialect,
    line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]),
    space=st.sampled_from([b" ", b""]),
    escape=st.booleans(),
    cut_characters=st.booleans(),
    id_again=st.booleans(),
    name_again=st.booleans(),
    done=st.booleans(),
    named=st.booleans(),
    empty=st.fixed_dictionaries(
        {},
        optional={
            "finish_reason": st.just(""),
            "reasoning_content": st.sampled_from(["", None]),
            "refusal": st.sampled_from(["", None]),
            "tool_calls": st.sampled_from([[], None]),
        },
    ),
)


def render(steps: list[Step], dialect: Dialect) -> list[bytes]:
    end = dialect.line_end

    def event(**body: Any) -> bytes:
        text = json.dumps(body, ensure_ascii=dialect.escape or dialect.cut_characters)
        return b"data:" + dialect.space + text.encode() + end + end

    def choice(index: int = 0, finish: str | None = None, **delta: Any) -> dict[str, Any]:
        return {"index": index, "delta": delta, "finish_reason": finish}

    def text_choice(index: int, key: str, piece: str) -> dict[str, Any]:
        empty = dict(dialect.empty)
        finish = empty.pop("finish_reason", None)
        return choice(index, finish, **{**empty, key: piece})

    names = {"id": "c-1", "model": "m"} if dialect.named else {}

    def events() -> Iterator[bytes]:
        number = 0
        for step in steps:
            match step:
                case Text(key, text, index):
                    for piece in pieces(text, dialect):
                        yield event(**names, choices=[text_choice(index, key, piece)])
                case Noise(payload):
                    yield payload + end + end
                case Tokens(count, beside_choice):
                    choices = [choice()] if beside_choice else []
                    yield event(choices=choices, usage={"total_tokens": count})
                case Call(name, arguments, cuts):
                    places = [0, *(min(c, len(arguments)) for c in cuts), len(arguments)]
                    for position, (a, b) in enumerate(pairwise(places)):
                        first = position == 0
                        call: dict[str, Any] = {"index": number}
                        if first or dialect.id_again:
                            call["id"] = f"call_{number}"
                        call["function"] = {"arguments": arguments[a:b]}
                        if first or dialect.name_again:
                            call["function"]["name"] = name
                        yield event(choices=[choice(tool_calls=[call])])
                    number += 1
        yield event(choices=[choice(0, "stop"), choice(1, "stop")])
        if dialect.done:
            yield b"data:" + dialect.space + b"[DONE]" + end

    return list(events())


def pieces(text: str, dialect: Dialect) -> list[str]:
    """Cut a text in two, within a character if the dialect does so."""
    if not dialect.cut_characters:
        return [text[: len(text) // 2], text[len(text) // 2 :]]
    units = text.encode("utf-16-le")
    return [units[i : i + 2].decode("utf-16-le", "surrogatepass") for i in range(0, len(units), 2)]


def decode(feeds: list[bytes]) -> list[StreamChunk]:
    parser = ChatCompletionsParser(StreamInfo())
    chunks = [chunk for data in feeds for chunk in parser.feed(data, 1.0)]
    chunks += parser.flush(1.0)
    assert parser.error is None
    assert parser.complete
    return chunks


@settings(deadline=None)
@given(STEPS, DIALECTS, st.lists(st.integers(0, 2000), max_size=12))
def test_random_response_survives_every_split(
    steps: list[Step], dialect: Dialect, cuts: list[int]
) -> None:
    events = render(steps, dialect)
    stream = b"".join(events)
    places = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
    chunks = decode([stream])
    for feeds in (events, [stream[a:b] for a, b in pairwise(places)]):
        split = decode(feeds)
        assert split == chunks
        assert [chunk.content for chunk in split] == [chunk.content for chunk in chunks]
    for number in (0, 1):
        response = fold(chunks, number)
        for key, read in (
            ("content", response.content),
            ("reasoning", response.reasoning),
            ("refusal", response.refusal),
        ):
            written = [
                step.text
                for step in steps
                if isinstance(step, Text) and step.key == key and step.choice == number
            ]
            assert read == "".join(written)
        assert response.finish_reason == "stop"
    written_calls = [step for step in steps if isinstance(step, Call)]
    expected = [
        ToolCall(f"call_{number}", call.name, call.arguments)
        for number, call in enumerate(written_calls)
    ]
    assert list(fold(chunks, 0).tool_calls) == expected
    assembler = ToolCallAssembler()
    deltas = [delta for chunk in chunks if chunk.choice == 0 for delta in chunk.tool_calls]
    assert [call for call in map(assembler.add, deltas) if call is not None] == expected
    counts = [step.count for step in steps if isinstance(step, Tokens)]
    usage = fold(chunks, 0).usage
    assert (usage.total_tokens if usage else None) == (counts[-1] if counts else None)
    assert msgspec.json.decode(msgspec.json.encode(chunks), type=list[StreamChunk]) == chunks
