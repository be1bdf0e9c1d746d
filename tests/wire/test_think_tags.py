"""Thinking between tags at the beginning of a text becomes reasoning, on every wire."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folding import fold

from rxagents import (
    Anthropic,
    ConfigurationError,
    Gemini,
    Ollama,
    OpenAI,
    OpenAIResponses,
    StreamChunk,
)
from rxagents.providers.provider import Provider
from rxagents.testing import Reply, ScriptedLLM
from rxagents.testing.wires import WIRES, ServedWire
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo
from rxagents.wire.think_tags import DEFAULT_TAGS, ThinkTags

TAGS = StreamInfo(think_tags=DEFAULT_TAGS)
INSIDE = StreamInfo(think_tags=(None, "</think>"))

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.path)

TEXTS = [
    (TAGS, "<think>\nhm\n</think>\n\nYes.", "\nhm\n", "Yes."),
    (TAGS, " \n<think>hm</think>Yes. ", "hm", "Yes. "),
    (TAGS, "<think></think>Yes", "", "Yes"),
    (TAGS, "<think>a</think>\n<think>b</think>\nYes", "ab", "Yes"),
    (TAGS, "<think>a < b </th</think>Yes", "a < b </th", "Yes"),
    (TAGS, "<think>cut off </thi", "cut off </thi", ""),
    (TAGS, "<think>only</think>\n\n", "only", ""),
    (TAGS, "<think>hm</think><thin", "hm", "<thin"),
    (TAGS, "<think>hm</think>Write <think>no</think>.", "hm", "Write <think>no</think>."),
    (TAGS, " Yes <think>no</think>", "", " Yes <think>no</think>"),
    (TAGS, "<thinking>no</think>", "", "<thinking>no</think>"),
    (TAGS, "\n <thi", "", "\n <thi"),
    (TAGS, "<<think>no", "", "<<think>no"),
    (TAGS, "\n\n", "", "\n\n"),
    (INSIDE, "hm\n</think>\n\nYes", "hm\n", "Yes"),
    (INSIDE, "only thinking", "only thinking", ""),
    (INSIDE, "hm</think><think>no", "hm", "<think>no"),
    (StreamInfo(think_tags=("[THINK]", "[/THINK]")), "[THINK]hm[/THINK] Yes", "hm", "Yes"),
    (StreamInfo(), "<think>hm</think>Yes", "", "<think>hm</think>Yes"),
]  # fmt: skip


def parse(wire: ServedWire, info: StreamInfo, pieces: list[str], size: int) -> list[StreamChunk]:
    """Return the chunks of a reply whose text comes in `pieces`, read `size` bytes at a time."""
    parser = wire.parser(info)
    body = b"".join([*wire.events(Reply(pieces), "m", "id-1"), wire.end])
    size = size or len(body)
    chunks = [
        chunk
        for start in range(0, len(body), size)
        for chunk in parser.feed(body[start : start + size], 1.0)
    ]
    chunks += parser.flush(1.0)
    assert parser.error is None
    assert parser.complete
    return chunks


@each_wire
@pytest.mark.parametrize(("info", "text", "thinking", "answer"), TEXTS)
def test_every_cut_splits_the_same(
    wire: ServedWire, info: StreamInfo, text: str, thinking: str, answer: str
) -> None:
    cuts = [[text[:cut], text[cut:]] for cut in range(1, len(text))]
    for pieces in ([text], list(text), *cuts):
        results = [parse(wire, info, pieces, size) for size in (0, 40)]
        for chunks in results:
            response = fold(chunks)
            assert (response.reasoning, response.content) == (thinking, answer), pieces
            assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
            assert chunks[-1].content == answer
        assert results[0] == results[1]


def event(*texts: str | None, kind: str = "delta", finish: str | None = None) -> bytes:
    """Return an event with a choice for each text that is not `None`."""
    choices = [
        {"index": number, kind: {"content": text}, "finish_reason": finish}
        for number, text in enumerate(texts)
        if text is not None
    ]
    return b"data: " + json.dumps({"id": "c", "model": "m", "choices": choices}).encode() + b"\n\n"


CHOICES = [
    event("Yes"),
    event(" indeed"),
    event(None, "<thi"),
    event("."),
    event(None, "nk>hm"),
    event(None, "</think>No"),
    event("!"),
    event(None, " way"),
    event("", "", finish="stop"),
]


@pytest.mark.parametrize("burst", range(1, len(CHOICES) + 1))
def test_choices_are_split_separately(burst: int) -> None:
    parser = ChatCompletionsParser(TAGS)
    chunks: list[StreamChunk] = []
    for start in range(0, len(CHOICES), burst):
        chunks += parser.feed(b"".join(CHOICES[start : start + burst]), 1.0)
    assert parser.complete
    first, second = fold(chunks, 0), fold(chunks, 1)
    assert (first.reasoning, first.content) == ("", "Yes indeed.!")
    assert (second.reasoning, second.content) == ("hm", "No way")
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert [chunk.content for chunk in chunks if chunk.choice == 0] == [
        "Yes", "Yes indeed", "Yes indeed.", "Yes indeed.!", "Yes indeed.!",
    ]  # fmt: skip


def test_text_so_far_in_message_is_split_once() -> None:
    texts = ["<thi", "<think>h", "<think>hm</think>", "<think>hm</think>\nY"]
    texts.append(texts[-1] + "es")
    parser = ChatCompletionsParser(TAGS)
    stream = b"".join(event(text, kind="message") for text in texts)
    response = fold(parser.feed(stream + b"data: [DONE]\n\n", 1.0))
    assert (response.reasoning, response.content) == ("hm", "Yes")


def test_end_without_finish_reason_emits_held_text() -> None:
    parser = ChatCompletionsParser(TAGS)
    assert parser.feed(event("\n<th"), 1.0) == []
    assert fold(parser.flush(1.0)).content == "\n<th"


def test_tags_join_with_own_thinking_field() -> None:
    parser = ChatCompletionsParser(TAGS)
    delta = {"reasoning_content": "a", "content": "<think>b</think>Yes"}
    body = {"choices": [{"index": 0, "delta": delta}]}
    (chunk,) = parser.feed(b"data: " + json.dumps(body).encode() + b"\n\n", 1.0)
    assert (chunk.reasoning, chunk.delta) == ("ab", "Yes")


@pytest.mark.parametrize(
    ("kind", "url", "tags"),
    [
        (OpenAI, None, None),
        (OpenAI, "https://eu.api.openai.com/v1", None),
        (OpenAI, "https://mine.openai.azure.com/openai/v1", None),
        (OpenAI, "http://localhost:8000/v1", DEFAULT_TAGS),
        (OpenAI, "https://api.groq.com/openai/v1", DEFAULT_TAGS),
        (OpenAIResponses, None, None),
        (OpenAIResponses, "http://localhost:8000/v1", DEFAULT_TAGS),
        (Anthropic, None, None),
        (Anthropic, "http://localhost:8000", DEFAULT_TAGS),
        (Gemini, None, None),
        (Ollama, None, DEFAULT_TAGS),
    ],
)
def test_tags_are_on_except_at_vendors(
    kind: type[Any], url: str | None, tags: ThinkTags | None
) -> None:
    model: Provider = kind("m", api_key="k-0123456789", base_url=url)
    assert model.think_tags == tags
    assert kind("m", api_key="k-0123456789", base_url=url, think_tags=None).think_tags is None


@pytest.mark.parametrize(
    "tags", ["<think>", ("<think>",), ("<think>", None), ("", "</think>"), ("a", " b"), (1, "b")]
)
def test_wrong_tags_are_refused(tags: Any) -> None:
    for make in (lambda: Ollama("m", think_tags=tags), lambda: ScriptedLLM(think_tags=tags)):
        with pytest.raises(ConfigurationError, match="think_tags must be two tags such as"):
            make()
