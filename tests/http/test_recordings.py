"""Recorded streams of real hosts, served over loopback, decode to what the vendor's SDK reads.

The recordings are not part of the project: `RXAGENTS_RECORDINGS` names their folder.
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rxagents import OpenAI, Response, StreamChunk
from rxagents.core.response import ResponseBuilder
from rxagents.runtime.last_value import last_value
from rxagents.testing import RawReply, ScriptedServer

FOLDER = os.environ.get("RXAGENTS_RECORDINGS", "")


def _recordings() -> list[Any]:
    if not FOLDER:
        reason = "RXAGENTS_RECORDINGS names no folder of recorded streams"
        return [pytest.param({}, marks=pytest.mark.skip(reason=reason))]
    manifest = json.loads((Path(FOLDER) / "manifest.json").read_text())
    return [
        pytest.param(entry, id=entry["file"])
        for entry in manifest
        if entry["provider"] == "openai_chat" and "sdk_decoded" in entry
    ]


def _splits(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    yield [body[i : i + 1] for i in range(len(body))]
    for seed in range(3):
        random_source = random.Random(seed)
        cuts = sorted(random_source.sample(range(1, len(body)), min(len(body) - 1, 60)))
        yield [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


async def _read(url: str) -> list[StreamChunk]:
    chunks: list[StreamChunk] = []
    async with OpenAI("recorded", base_url=url) as llm:
        await last_value(llm.chat_stream("as recorded"), chunks.append)
    return chunks


def _fold(chunks: list[StreamChunk], choice: int) -> Response:
    builder = ResponseBuilder(choice)
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()


def _as_sdk(response: Response) -> dict[str, Any]:
    return {
        "text": response.content,
        "thinking": response.reasoning,
        "refusal": response.refusal,
        "tools": [
            {"id": call.id, "name": call.name, "arguments": call.arguments}
            for call in response.tool_calls
        ],
        "finish": response.finish_reason or None,
    }


def _sdk_usage(usage: dict[str, Any]) -> tuple[int | None, ...]:
    return (
        usage["prompt_tokens"],
        usage["completion_tokens"],
        usage["total_tokens"],
        (usage.get("prompt_tokens_details") or {}).get("cached_tokens"),
        (usage.get("completion_tokens_details") or {}).get("reasoning_tokens"),
    )


@pytest.mark.parametrize("recording", _recordings())
def test_recording_decodes_as_the_sdk_reads_it(recording: dict[str, Any], run_async: Any) -> None:
    body = (Path(FOLDER) / recording["file"]).read_bytes()
    sdk = recording["sdk_decoded"]

    async def read_all() -> list[list[StreamChunk]]:
        replies = [RawReply(pieces) for pieces in _splits(body)]
        async with ScriptedServer(*replies) as server:
            return [await _read(server.url) for _ in replies]

    for chunks in run_async(read_all()):
        folded = {number: _as_sdk(_fold(chunks, int(number))) for number in sdk["choices"]}
        assert folded == sdk["choices"]
        usage = _fold(chunks, 0).usage
        if sdk["usage"] is None:
            assert usage is None
            continue
        assert usage is not None
        ours = (
            usage.input_tokens,
            usage.output_tokens,
            usage.total_tokens,
            usage.cached_tokens,
            usage.reasoning_tokens,
        )
        for count, sdk_count in zip(ours, _sdk_usage(sdk["usage"]), strict=True):
            # Some hosts put a detail beside the counts, where the SDK does not look.
            assert count == sdk_count or sdk_count is None
