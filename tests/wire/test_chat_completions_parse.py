"""The chunks that the dialects of chat completions are parsed into."""

from __future__ import annotations

import json
import sys
import tracemalloc
from typing import Any

import pytest
from folding import fold

from rxagents import StreamChunk, Usage
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo

DONE = b"data: [DONE]\n\n"


def choice(finish: str | None = None, index: int | None = 0, **delta: Any) -> dict[str, Any]:
    return {"index": index, "delta": delta, "finish_reason": finish}


def event(*choices: dict[str, Any], **fields: Any) -> bytes:
    """Render one event of the stream."""
    body = {"id": "c-1", "model": "m-1", "choices": choices, **fields}
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def decode(*events: bytes) -> list[StreamChunk]:
    """Decode a stream whole, byte by byte and with a comment in it; all results must be equal."""
    stream = b"".join(events)
    results = []
    for feeds in (
        [stream],
        [stream[i : i + 1] for i in range(len(stream))],
        [b": hi\n\n" + stream],
    ):
        parser = ChatCompletionsParser(StreamInfo())
        chunks = [chunk for data in feeds for chunk in parser.feed(data, 1.0)]
        chunks += parser.flush(1.0)
        assert parser.error is None
        assert parser.complete
        assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
        results.append([(chunk, chunk.content) for chunk in chunks])
    assert results[0] == results[1] == results[2]
    return [chunk for chunk, _ in results[0]]


STOP = event(choice("stop"))


def test_plain_stream() -> None:
    chunks = decode(event(choice(role="assistant", content="")), event(choice(content="Hel")),
                    event(choice(content="lö 😀")), STOP, DONE)  # fmt: skip
    assert [chunk.delta for chunk in chunks] == ["Hel", "lö 😀", ""]
    assert [chunk.content for chunk in chunks] == ["Hel", "Hellö 😀", "Hellö 😀"]
    assert [chunk.finish_reason for chunk in chunks] == ["", "", "stop"]


@pytest.mark.parametrize(
    "quiet",
    [
        pytest.param(event(), id="no choice"),
        pytest.param(b'data: {"prompt_filter_results":[{"index":0}]}\n\n', id="no choices key"),
        pytest.param(event(choices=None), id="choices null"),
        pytest.param(event(choice(role="assistant")), id="a role"),
        pytest.param(event(choice(role="assistant", content=None)), id="null content"),
        pytest.param(event(choice(content="")), id="empty content"),
        pytest.param(event(choice(content=[])), id="no parts"),
        pytest.param(event(choice(content=[{"type": "image", "url": "u"}])), id="unknown part"),
        pytest.param(event({"index": 0, "delta": None}), id="null delta"),
        pytest.param(event({"index": 0}), id="no delta"),
        pytest.param(event(choice(reasoning_content="", reasoning="")), id="empty reasoning"),
        pytest.param(event(choice(refusal=None, tool_calls=None)), id="nulls"),
        pytest.param(event(choice(content=None, tool_calls=[])), id="no tool calls"),
        pytest.param(event(choice(content=None), usage=None, error=None), id="null usage"),
        pytest.param(event(usage={}), id="empty usage"),
        pytest.param(event(choice(surprise={"a": [1]}), surprise=[1]), id="unknown keys"),
    ],
)
def test_empty_event_gives_no_chunk(quiet: bytes) -> None:
    chunks = decode(quiet, event(choice(content="a")), quiet, event(choice(content="b")), quiet,
                    STOP, quiet, DONE)  # fmt: skip
    assert [chunk.content for chunk in chunks] == ["a", "ab", "ab"]


def test_content_beside_and_after_finish() -> None:
    chunks = decode(
        event(choice(content="a")), event(choice("stop", content="b")), event(choice(content="c"))
    )
    assert [chunk.delta for chunk in chunks] == ["a", "b", "c"]
    assert [chunk.finish_reason for chunk in chunks] == ["", "stop", ""]
    assert fold(chunks).content == "abc"
    assert fold(chunks).finish_reason == "stop"


def test_content_may_be_list_of_parts() -> None:
    chunks = decode(
        event(choice(content=[{"type": "thinking", "thinking": [{"type": "text", "text": "h"}]}])),
        event(choice(content=[{"type": "thinking", "thinking": "m"}])),
        event(choice(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}])),
        event(choice(content=["c", {"type": "reference", "ids": [1]}])),
        event(choice(content="d")),
        STOP,
    )
    assert [chunk.reasoning for chunk in chunks] == ["h", "m", "", "", "", ""]
    assert [chunk.delta for chunk in chunks] == ["", "", "ab", "c", "d", ""]
    assert chunks[-1].content == "abcd"


@pytest.mark.parametrize("key", ["reasoning_content", "reasoning"])
def test_thinking_has_two_names(key: str) -> None:
    deltas: list[dict[str, Any]] = [
        {"content": None, key: "h"}, {"content": "", key: "m"}, {"content": "a", key: None},
    ]  # fmt: skip
    chunks = decode(*(event(choice(**delta)) for delta in deltas), STOP)
    assert [chunk.reasoning for chunk in chunks] == ["h", "m", "", ""]
    assert fold(chunks).reasoning == "hm"
    assert fold(chunks).content == "a"


def test_thinking_under_both_names_is_emitted_once() -> None:
    chunks = decode(event(choice(reasoning_content="hm", reasoning="hm")), STOP)
    assert fold(chunks).reasoning == "hm"


def test_refusal_is_not_content() -> None:
    chunks = decode(event(choice(refusal="I ")), event(choice(refusal="won't.")), STOP)
    assert fold(chunks).refusal == "I won't."
    assert fold(chunks).content == ""


def test_choices_have_separate_content() -> None:
    chunks = decode(
        event(choice(content="a")),
        event(choice(index=1, content="x")),
        event(choice(content="b"), choice(index=1, content="y")),
        event(choice(index=1, reasoning="hm")),
        event(choice("stop")),
        event(choice("length", index=1, content="z")),
        DONE,
    )
    assert [(chunk.choice, chunk.content) for chunk in chunks] == [
        (0, "a"), (1, "x"), (0, "ab"), (1, "xy"), (1, "xy"), (0, "ab"), (1, "xyz"),
    ]  # fmt: skip
    assert fold(chunks, 1).reasoning == "hm"
    assert [fold(chunks, n).finish_reason for n in (0, 1)] == ["stop", "length"]


def test_metadata_has_finish_of_own_choice() -> None:
    chunks = decode(
        event(choice("eos")),
        event(choice(index=1, content="x")),
        event(choice("length", index=1)),
        event(usage={"total_tokens": 5}),
        DONE,
    )
    assert [chunk.metadata.get("finish_reason") for chunk in chunks[:3]] == ["eos", None, "length"]
    assert fold(chunks, 0).metadata["finish_reason"] == "eos"
    assert fold(chunks, 1).metadata["finish_reason"] == "length"


def test_choice_may_have_any_number() -> None:
    chunks = decode(*(event(choice(index=-1, content=text)) for text in "abc"), DONE)
    assert [(chunk.choice, chunk.content) for chunk in chunks] == [
        (-1, "a"), (-1, "ab"), (-1, "abc"),
    ]  # fmt: skip


def test_choices_without_index_are_numbered_by_position() -> None:
    a, b = choice(index=None, content="a"), choice(index=None, content="b")
    chunks = decode(event(a, b), event(a, b), DONE)
    assert [(chunk.choice, chunk.content) for chunk in chunks] == [
        (0, "a"), (1, "b"), (0, "aa"), (1, "bb"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("word", "unified"),
    [
        ("stop", "stop"),
        ("length", "length"),
        ("tool_calls", "tool_calls"),
        ("function_call", "tool_calls"),
        ("content_filter", "content_filter"),
        ("eos", "eos"),
    ],
)
def test_finish_reason_is_unified(word: str, unified: str) -> None:
    *_, last = decode(event(choice(content="a")), event(choice(word)), DONE)
    assert last.finish_reason == unified
    assert last.metadata["finish_reason"] == word


def test_each_chunk_has_text_so_far() -> None:
    words = [f"w{i} " for i in range(600)]
    chunks = decode(*(event(choice(content=word)) for word in words), STOP, DONE)
    for i in (599, 0, 300, 7, 598):
        assert chunks[i].content == "".join(words[: i + 1])
    assert [chunk.content for chunk in chunks[:600]] == [
        "".join(words[: i + 1]) for i in range(600)
    ]


COUNTS = {"prompt_tokens": 7}
CALL = {"index": 0, "id": "x", "function": {"name": "add", "arguments": "{}"}}


@pytest.mark.parametrize(
    ("odd", "fields"),
    [
        (event(choice(content="b", reasoning_content="hm")), {"reasoning": "hm"}),
        (event(choice(content="b", reasoning="hm")), {"reasoning": "hm"}),
        (event(choice(content="b", refusal="no")), {"refusal": "no"}),
        (event(choice(content="b", tool_calls=[CALL])), {"tool_calls": 1}),
        (event(choice(content="b", reasoning_details=[{"a": 1}])), {"metadata": "provider_data"}),
        (event({**choice(content="b"), "logprobs": {"a": 1}}), {"metadata": "logprobs"}),
        (event(choice("length", content="b")), {"finish_reason": "length"}),
        (event(choice(content="b"), usage=COUNTS), {"usage": Usage(7, raw=COUNTS)}),
        (event(choice(index=1, content="b")), {"choice": 1}),
        (event(choice(content=[{"type": "text", "text": "b"}])), {}),
    ],
)
def test_fields_amid_plain_text_are_not_lost(odd: bytes, fields: dict[str, Any]) -> None:
    text = event(choice(content="a"))
    chunk = decode(text, text, odd, text, STOP, DONE)[2]
    assert chunk.delta == "b"
    for name, value in fields.items():
        found = getattr(chunk, name)
        if name == "tool_calls":
            assert len(found) == value
        elif name == "metadata":
            assert value in found
        else:
            assert found == value


def test_text_of_choices_takes_little_memory() -> None:
    both = event(choice(content="abcd")) + event(choice(index=1, content="efgh"))
    parser = ChatCompletionsParser(StreamInfo())
    tracemalloc.start()
    try:
        for _ in range(4096):
            first, second = parser.feed(both, 1.0)
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert grown < 2 * 12 * 4096
    assert (first.content, second.content) == ("abcd" * 4096, "efgh" * 4096)


PLAIN = [
    event(choice(content="a")).replace(b"data: ", b"data:"),
    event(choice(content="a")),
    event(choice(content="a"), id="", model=""),
    event(choice(content="a"), model=None),
    event(choice("", content="a", reasoning_content="", refusal="", tool_calls=[])),
]


@pytest.mark.parametrize(
    "text", PLAIN, ids=["without space", "named", "nameless", "without model", "empty fields"]
)
@pytest.mark.parametrize("events_a_read", [1, 10, 100])
def test_plain_text_costs_no_call_per_chunk(events_a_read: int, text: bytes) -> None:
    parser = ChatCompletionsParser(StreamInfo())
    parser.feed(text, 1.0)
    parser.feed(text, 1.0)  # makes the template
    read = text * events_a_read
    calls = 0

    def count(frame: object, kind: str, argument: object) -> None:
        nonlocal calls
        calls += kind == "call"

    profile = sys.getprofile()
    sys.setprofile(count)
    try:
        chunks = parser.feed(read, 1.0)
    finally:
        sys.setprofile(profile)
    assert len(chunks) == events_a_read
    assert calls < 20


def test_late_names_reach_metadata() -> None:
    body = {"choices": [choice(content="a")]}
    nameless = b"data: " + json.dumps(body).encode() + b"\n\n"
    first, second, last = decode(nameless, event(choice(content="b")), nameless, DONE)
    assert "id" not in first.metadata
    assert second.metadata == last.metadata == {"id": "c-1", "model": "m-1"}


def test_name_reaches_metadata_of_own_chunk() -> None:
    texts = [
        event(choice(content="a"), id=identity, model=model)
        for identity, model in [("", None), ("", ""), ("c-1", ""), ("c-2", None), ("", "m-1")]
    ]
    chunks = decode(*texts, STOP)[:5]
    known = [(chunk.metadata.get("id"), chunk.metadata.get("model")) for chunk in chunks]
    assert known == [(None, None), (None, None), ("c-1", None), ("c-1", None), ("c-1", "m-1")]


def test_metadata_has_id_and_model() -> None:
    parser = ChatCompletionsParser(StreamInfo("p", "req-1"))
    azure = event(id="", model="", prompt_filter_results=[])
    chunks = parser.feed(
        azure + event(choice(content="a")) + event(choice(content="b")) + STOP, 1.0
    )
    first, second, last = (chunk.metadata for chunk in chunks)
    assert first == {"request_id": "req-1", "id": "c-1", "model": "m-1"}
    assert second is first
    assert last == {**first, "finish_reason": "stop"}


def test_logprobs_are_in_own_chunk_only() -> None:
    logprobs = {"content": [{"token": "a", "logprob": -0.5}]}
    a, b, _ = decode(
        event({**choice(content="a"), "logprobs": logprobs}), event(choice(content="b")), STOP
    )
    assert a.metadata["logprobs"] == logprobs
    assert "logprobs" not in b.metadata


def test_timestamp_is_when_event_completed() -> None:
    parser = ChatCompletionsParser(StreamInfo())
    a, b = event(choice(content="a")), event(choice(content="b"))
    chunks = parser.feed(a + b[:20], 1.5) + parser.feed(b[20:] + STOP[:-2], 2.5)
    chunks += parser.flush(3.5)
    assert [(chunk.content, chunk.timestamp) for chunk in chunks] == [
        ("a", 1.5), ("ab", 2.5), ("ab", 3.5),
    ]  # fmt: skip
