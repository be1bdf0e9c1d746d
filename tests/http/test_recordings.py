"""Recorded streams of real hosts, served over loopback, decode as the vendor's SDK decodes them.

The recordings are not part of the project: `RXAGENTS_RECORDINGS` names their folder.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recorded import FOLDER, READERS, needs_recordings

from rxagents import Response, StreamChunk, TruncatedStreamError
from rxagents.core.response import ResponseBuilder
from rxagents.runtime.last_value import last_value
from rxagents.testing import RawReply, ScriptedServer


def _recordings() -> list[Any]:
    if not FOLDER:
        return [pytest.param({}, marks=needs_recordings)]
    manifest = json.loads((Path(FOLDER) / "manifest.json").read_text())
    return [pytest.param(entry, id=entry["file"]) for entry in manifest if "sdk_decoded" in entry]


def _splits(body: bytes) -> Iterator[list[bytes]]:
    yield [body]
    yield [body[i : i + 1] for i in range(len(body))]
    for seed in range(3):
        random_source = random.Random(seed)
        cuts = sorted(random_source.sample(range(1, len(body)), min(len(body) - 1, 60)))
        yield [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]


async def _read(provider: str, port: int) -> list[StreamChunk]:
    chunks: list[StreamChunk] = []
    model = READERS[provider].model("recorded", base_url=f"http://127.0.0.1:{port}")
    async with model as llm:
        await last_value(llm.chat_stream("as recorded"), chunks.append)
    return chunks


def _fold(chunks: list[StreamChunk], choice: int) -> Response:
    builder = ResponseBuilder(choice)
    for chunk in chunks:
        builder.add(chunk)
    return builder.response()


@pytest.mark.parametrize("recording", _recordings())
async def test_recording_decodes_like_the_sdk(recording: dict[str, Any]) -> None:
    body = (Path(FOLDER) / recording["file"]).read_bytes()
    reader = READERS[recording["provider"]]
    decoded = recording["sdk_decoded"]

    replies = [RawReply(pieces) for pieces in _splits(body)]
    async with ScriptedServer(*replies) as server:
        if body.strip() == b"data: [DONE]":  # an empty success to the SDK, and no response to us
            with pytest.raises(TruncatedStreamError):
                await _read(recording["provider"], server.port)
            return
        streams = [await _read(recording["provider"], server.port) for _ in replies]
    for chunks in streams:
        for number, answer in reader.answers(decoded).items():
            response = _fold(chunks, number)
            seen = reader.seen(response)
            assert seen == {name: answer[name] for name in seen}
        response = _fold(chunks, 0)
        if not decoded["usage"]:
            assert response.usage is None
            continue
        assert response.usage is not None
        for count, theirs in reader.counts(response.usage, decoded["usage"]):
            # Some hosts put a detail beside the counts, which the SDK does not read.
            assert count == theirs or theirs is None
        sealed = [delta.index for chunk in chunks for delta in chunk.tool_calls if delta.sealed]
        assert len(sealed) == len(set(sealed))
