"""Token counts of chat completions: their places and their names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import structs

from rxagents import StreamChunk, Usage
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo

DONE = b"data: [DONE]\n\n"


def choice(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish}


def event(*choices: dict[str, Any], **fields: Any) -> bytes:
    body = {"id": "c-1", "model": "m-1", "choices": choices, **fields}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def decode(*events: bytes) -> list[StreamChunk]:
    """Decode a stream event by event and whole; both results must be equal."""
    results = []
    for feeds in (events, [b"".join(events)]):
        parser = ChatCompletionsParser(StreamInfo())
        results.append([chunk for data in feeds for chunk in parser.feed(data, 1.0)])
        assert parser.error is None
    assert results[0] == results[1]
    return results[0]


STOP = event(choice("stop"))
COUNTS = {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}
USAGE = Usage(7, 3, 10, raw=COUNTS)


def test_usage_in_own_event() -> None:
    chunks = decode(event(choice(content="a"), usage=None), STOP, event(usage=COUNTS), DONE)
    assert [chunk.usage for chunk in chunks] == [None, None, USAGE]
    assert (chunks[-1].delta, chunks[-1].content) == ("", "a")


def test_last_usage_beside_choices_counts() -> None:
    early = Usage(7, 1, 8, raw={**COUNTS, "completion_tokens": 1, "total_tokens": 8})
    chunks = decode(
        event(choice(content="a"), usage=early.raw),
        event(choice(content="b"), usage=None),
        event(choice("stop"), usage=COUNTS),
        event(usage=None),
        DONE,
    )
    assert [chunk.usage for chunk in chunks] == [early, early, USAGE]


def test_usage_beside_empty_choice() -> None:
    chunks = decode(STOP, event(choice(content=""), usage=COUNTS), DONE)
    assert [chunk.usage for chunk in chunks] == [None, USAGE]


@pytest.mark.parametrize(
    ("raw", "usage"),
    [
        ({"prompt_tokens": 7}, Usage(7)),
        ({"prompt_tokens": None, "completion_tokens": 0}, Usage(None, 0)),
        ({"total_tokens": 5.0}, Usage(total_tokens=5)),
        ({"completion_tokens_details": {"reasoning_tokens": 4}}, Usage(reasoning_tokens=4)),
        ({"reasoning_tokens": 4, "completion_tokens_details": None}, Usage(reasoning_tokens=4)),
        ({"prompt_tokens_details": {"cached_tokens": 2}}, Usage(cached_tokens=2)),
        ({"prompt_cache_hit_tokens": 2}, Usage(cached_tokens=2)),
        ({"cached_tokens": 0, "prompt_cache_hit_tokens": 2}, Usage(cached_tokens=0)),
        ({"prompt_tokens": "many", "prompt_tokens_details": [1]}, Usage()),
    ],
)
def test_counts_are_never_guessed(raw: dict[str, Any], usage: Usage) -> None:
    *_, last = decode(STOP, event(usage=raw), DONE)
    assert last.usage == structs.replace(usage, raw=raw)
