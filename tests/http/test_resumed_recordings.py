"""At every cut of recorded streams, `resume_with` repeats no text and loses none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from observing import Seen
from prefilling import ContinuingLLM
from recorded import FOLDER, READERS, needs_recordings

from rxagents import StreamChunk, TruncatedStreamError
from rxagents import operators as ops
from rxagents.testing import RawReply, ScriptedServer

CUT = TruncatedStreamError("the connection was lost")


def _recordings() -> list[Any]:
    if not FOLDER:
        return [pytest.param({}, marks=needs_recordings)]
    manifest = json.loads((Path(FOLDER) / "manifest.json").read_text())
    return [pytest.param(entry, id=entry["file"]) for entry in manifest if "sdk_decoded" in entry]


async def _read(recording: dict[str, Any]) -> list[StreamChunk]:
    body = (Path(FOLDER) / recording["file"]).read_bytes()
    async with ScriptedServer(RawReply([body])) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with READERS[recording["provider"]].model("recorded", base_url=url) as llm:
            seen = Seen(llm.chat_stream("as recorded"))
            await seen.over.wait()
    return seen.items


def _text(chunks: list[StreamChunk]) -> str:
    return "".join(chunk.delta for chunk in chunks if not chunk.choice)


@pytest.mark.parametrize("prefill", [True, False], ids=["prefill", "instruction"])
@pytest.mark.parametrize("recording", _recordings())
async def test_recording_is_whole_after_every_cut(recording: dict[str, Any], prefill: bool) -> None:
    chunks = await _read(recording)
    whole = _text(chunks)
    for cut in range(len(chunks) + 1):
        before = chunks[:cut]
        has_call = any(call.sealed for chunk in before for call in chunk.tool_calls)
        is_over = any(chunk.finish_reason for chunk in before)
        can_resume = not any(chunk.choice or chunk.refusal for chunk in before)
        llm = ContinuingLLM(whole, size=40)
        source = rx.concat(rx.from_iterable(before), rx.throw(CUT))
        seen = Seen(source.pipe(ops.resume_with(llm, "as recorded", prefill=prefill)))
        await seen.over.wait()
        assert seen.completed is can_resume
        is_cut = has_call or is_over or not can_resume
        assert _text(seen.items) == (_text(before) if is_cut else whole)
