"""What comes beside the text stands in the metadata of its own chunk, on every wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folding import fold

from rxagents import StreamChunk
from rxagents.core.response import ResponseBuilder
from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses import ResponsesParser


def parse(kind: Any, *events: dict[str, Any]) -> list[StreamChunk]:
    """Return the chunks of a stream; it is read whole, event by event and byte by byte."""
    rendered = [b"data: " + json.dumps(event).encode() + b"\n\n" for event in events]
    body = b"".join(rendered)
    results = []
    for feeds in ([body], rendered, [body[n : n + 1] for n in range(len(body))]):
        parser = kind(StreamInfo())
        results.append([chunk for data in feeds for chunk in parser.feed(data, 1.0)])
        assert parser.error is None
    assert results[0] == results[1] == results[2]
    return results[0]


def choice(text: str = "", finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": {"content": text, **delta}, "finish_reason": finish}


def chat(*choices: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {"id": "c", "model": "m", "choices": choices, **fields}


def candidate(text: str, **fields: Any) -> dict[str, Any]:
    return {"candidates": [{"content": {"parts": [{"text": text}]}, **fields}]}


def text_delta(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "response.output_text.delta", "output_index": 0, "delta": text, **fields}


def citation(url: str) -> dict[str, Any]:
    return {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "citations_delta", "citation": {"url": url}},
    }


SOURCE, NOTE, IMAGE = {"url": "u"}, {"type": "url_citation"}, {"type": "image_url"}
SEARCH = {"type": "web_search_call", "id": "ws_1", "status": "completed"}
MESSAGE = {
    "type": "message",
    "content": [{"type": "output_text", "text": "", "annotations": [NOTE]}],
}
LOGPROB = {"token": "a", "logprob": -0.5}

STOPPED = {"stop_reason": "stop_sequence", "stop_sequence": "END"}
CHAT, ANTHROPIC = ChatCompletionsParser, AnthropicParser
GEMINI, RESPONSES = GeminiParser, ResponsesParser

OWN: list[tuple[Any, dict[str, Any], dict[str, Any]]] = [
    (CHAT, chat(choice("a"), citations=["u"]), {"citations": ["u"]}),
    (CHAT, chat(citations=["u"]), {"citations": ["u"]}),
    (CHAT, chat(choice("a"), search_results=[SOURCE]), {"search_results": [SOURCE]}),
    (CHAT, chat(choice("a"), timings={"n": 1}), {"timings": {"n": 1}}),
    (CHAT, chat(choice("", images=[IMAGE])), {"images": [IMAGE]}),
    (CHAT, chat(choice("a", annotations=[NOTE])), {"annotations": [NOTE]}),
    (CHAT, chat(choice("", audio={"data": "AA"})), {"audio": [{"data": "AA"}]}),
    (
        CHAT,
        chat({**choice("a"), "logprobs": {"content": [LOGPROB]}}),
        {"logprobs": {"content": [LOGPROB]}},
    ),
    (ANTHROPIC, citation("u"), {"citations": [SOURCE]}),
    (
        ANTHROPIC,
        {"type": "message_delta", "delta": STOPPED},
        {"finish_reason": "stop_sequence", "stop_sequence": "END"},
    ),
    (GEMINI, candidate("a", groundingMetadata={"q": ["x"]}), {"grounding": {"q": ["x"]}}),
    (GEMINI, candidate("", groundingMetadata={"q": ["x"]}), {"grounding": {"q": ["x"]}}),
    (GEMINI, candidate("a", citationMetadata={"c": [SOURCE]}), {"citations": {"c": [SOURCE]}}),
    (GEMINI, candidate("a", safetyRatings=[{"p": "LOW"}]), {"safety_ratings": [{"p": "LOW"}]}),
    (GEMINI, candidate("a", finishMessage="no"), {"finish_message": "no"}),
    (
        GEMINI,
        {"candidates": [{"content": {"parts": [{"executableCode": {"code": "1"}}]}}]},
        {"parts": [{"executableCode": {"code": "1"}}]},
    ),
    (
        RESPONSES,
        {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": NOTE},
        {"annotations": [NOTE]},
    ),
    (
        RESPONSES,
        {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE},
        {"annotations": [NOTE]},
    ),
    (RESPONSES, text_delta("a", logprobs=[LOGPROB]), {"logprobs": {"content": [LOGPROB]}}),
    (
        RESPONSES,
        {"type": "response.output_item.done", "output_index": 0, "item": SEARCH},
        {"items": [SEARCH]},
    ),
]  # fmt: skip

TEXTS: dict[Any, dict[str, Any]] = {
    ChatCompletionsParser: chat(choice("b")),
    AnthropicParser: {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "text_delta", "text": "b"},
    },
    GeminiParser: candidate("b"),
    ResponsesParser: {"type": "response.output_text.delta", "output_index": 1, "delta": "b"},
}
"""An event with text and nothing else, by the parser of its wire."""


@pytest.mark.parametrize(
    ("kind", "event", "expected"),
    [
        pytest.param(*row, id=f"{row[0].__name__.removesuffix('Parser')}-{'-'.join(row[2])}")
        for row in OWN
    ],
)
def test_field_is_in_own_chunk_only(
    kind: Any, event: dict[str, Any], expected: dict[str, Any]
) -> None:
    chunks = parse(kind, event, TEXTS[kind])
    own, later = chunks
    assert {name: own.metadata.get(name) for name in expected} == expected
    assert not set(expected) & set(later.metadata)
    assert fold(chunks).metadata.items() >= expected.items()


def test_sources_repeated_by_host_are_new_once() -> None:
    chunks = parse(
        ChatCompletionsParser,
        chat(choice("a"), citations=["u1"], search_results=[SOURCE]),
        chat(choice("b"), citations=["u1", "u2"], search_results=[SOURCE]),
        chat(choice("c"), citations=["u1", "u2"], search_results=[SOURCE]),
        chat(choice("", "stop"), citations=["u1", "u2", "u3"]),
    )
    assert [chunk.metadata.get("citations") for chunk in chunks] == [["u1"], ["u2"], None, ["u3"]]
    assert [chunk.metadata.get("search_results") for chunk in chunks] == [
        [SOURCE],
        None,
        None,
        None,
    ]
    assert fold(chunks).metadata["citations"] == ["u1", "u2", "u3"]


def test_timings_of_each_event_reach_its_chunk() -> None:
    events = [chat(choice("a"), timings={"n": n}) for n in range(1, 5)]
    chunks = parse(ChatCompletionsParser, *events)
    assert [chunk.metadata["timings"] for chunk in chunks] == [{"n": n} for n in range(1, 5)]


def test_fields_beside_several_choices_are_emitted_once() -> None:
    chunks = parse(
        ChatCompletionsParser, chat(choice("a"), {**choice("b"), "index": 1}, citations=["u"])
    )
    assert [chunk.metadata.get("citations") for chunk in chunks] == [["u"], None]


@pytest.mark.parametrize("kind", [ChatCompletionsParser, ResponsesParser])
def test_service_tier_is_in_all_later_chunks(kind: Any) -> None:
    first = {
        ChatCompletionsParser: chat(choice("a"), service_tier="flex"),
        ResponsesParser: {"type": "response.created", "response": {"service_tier": "flex"}},
    }
    chunks = parse(kind, first[kind], TEXTS[kind], TEXTS[kind])
    assert [chunk.metadata["service_tier"] for chunk in chunks] == ["flex"] * len(chunks)


def test_order_of_names_is_always_the_same() -> None:
    """A recording of the same stream has the same bytes in every process."""
    chunk, _ = parse(
        ChatCompletionsParser, chat(choice("a"), service_tier="flex"), chat(choice("", "stop"))
    )
    assert list(chunk.metadata) == ["id", "model", "service_tier"]


def test_output_text_part_is_text() -> None:
    part = {"type": "output_text", "text": "a"}
    [chunk] = parse(ChatCompletionsParser, chat({"index": 0, "delta": {"content": [part]}}))
    assert chunk.delta == "a"


def test_annotations_of_item_follow_no_annotation_events() -> None:
    added = {"type": "response.output_text.annotation.added", "output_index": 0, "annotation": NOTE}
    done = {"type": "response.output_item.done", "output_index": 0, "item": MESSAGE}
    chunks = parse(ResponsesParser, added, done)
    assert [chunk.metadata.get("annotations") for chunk in chunks] == [[NOTE]]


LISTS = ["annotations", "audio", "citations", "images", "items", "logprobs", "parts",
         "search_results"]  # fmt: skip


@pytest.mark.parametrize("name", LISTS)
def test_response_joins_list_of_each_name(name: str) -> None:
    builder = ResponseBuilder()
    for number in (1, 2):
        builder.add(StreamChunk("a", metadata={name: [{"n": number}]}))
    assert builder.response().metadata[name] == [{"n": 1}, {"n": 2}]


@pytest.mark.parametrize("name", ["audio", "images", "items", "logprobs", "parts"])
def test_repeated_item_that_is_no_source_is_kept(name: str) -> None:
    builder = ResponseBuilder()
    for _ in range(2):
        builder.add(StreamChunk("a", metadata={name: [{"n": 1}]}))
    assert builder.response().metadata[name] == [{"n": 1}, {"n": 1}]


def test_null_keeps_earlier_value_of_field() -> None:
    builder = ResponseBuilder()
    for value in (1, None):
        builder.add(StreamChunk("a", metadata={"logprobs": {"n": value}}))
    assert builder.response().metadata["logprobs"] == {"n": 1}
