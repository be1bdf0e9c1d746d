"""Streams of every wire with one odd event: a field of another type, missing, renamed, repeated."""

from __future__ import annotations

import json
import re
from collections import Counter
from typing import Any

import pytest
from folding import fold
from hypothesis import given, settings
from hypothesis import strategies as st
from parsers import CHATS, PARSERS

from rxagents import ProviderError, StreamChunk, ToolCall, Usage
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.testing import Reply
from rxagents.testing.wires import ServedWire
from rxagents.wire.parser import StreamInfo

TEXTS = ["<a>", "<b>", "<c>", "<d>"]
CALLS = [ToolCall("c1", "add", '{"x":1}'), ToolCall("c2", "look_up", '{"y":[2,"z"]}')]
REPLY = Reply(TEXTS, reasoning="<r>", tool_calls=CALLS, usage=Usage(3, 4, 7))
JUNK: list[Any] = [None, 5, 1.5, True, "", "odd", [], {}, {"text": {}}, [None], [[]]]


def frames_of(wire: ServedWire) -> list[tuple[str, Any]]:
    """Return the frames of a stream, each as the text around its JSON, and the JSON."""
    body = b"".join([*wire.events(REPLY, "m", "id-1"), wire.end]).decode().replace("\r\n", "\n")
    frames: list[tuple[str, Any]] = []
    for frame in re.split("\n\n" if "data:" in body else "\n", body):
        start = frame.find("{")
        if start >= 0:
            frames.append((frame[:start] + "%s", json.loads(frame[start:])))
        elif frame.strip():
            frames.append((frame, None))
    return frames


def written(frames: list[tuple[str, Any]], wire: ServedWire) -> bytes:
    end = "\n" if wire.path == "/api/chat" else "\n\n"
    return "".join(
        (frame % json.dumps(value) if value is not None else frame) + end for frame, value in frames
    ).encode()


def paths_in(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every field."""
    found: list[tuple[Any, ...]] = []
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for name, item in items:
        found.append((*path, name))
        if isinstance(item, (dict, list)):
            found += paths_in(item, (*path, name))
    return found


def mutate(frames: list[tuple[str, Any]], data: st.DataObject) -> None:
    number = data.draw(st.integers(0, len(frames) - 1), "frame")
    act = data.draw(st.sampled_from(["repeat", "swap", "junk", "miss", "rename", "ids"]), "act")
    frame, value = frames[number]
    if act == "repeat" and value is not None:
        frames.insert(number, (frame, json.loads(json.dumps(value))))
    elif act == "swap" and 0 < number < len(frames) - 2:
        frames[number - 1], frames[number] = frames[number], frames[number - 1]
    elif act == "ids":
        for count, (_, other) in enumerate(frames):
            for path in paths_in(other or {}):
                if path[-1] in ("id", "item_id", "call_id") and count >= number:
                    set_field(other, path, f"other-{count}")
    elif value:
        path = data.draw(st.sampled_from(paths_in(value)), "path")
        if act == "rename":
            set_field(value, (*path[:-1], f"{path[-1]}_x"), field(value, path))
        if act in ("rename", "miss") and isinstance(path[-1], str):
            del field(value, path[:-1])[path[-1]]
        elif act == "junk":
            set_field(value, path, data.draw(st.sampled_from(JUNK), "junk"))


def field(value: Any, path: tuple[Any, ...]) -> Any:
    for name in path:
        value = value[name]
    return value


def set_field(value: Any, path: tuple[Any, ...], new: Any) -> None:
    holder = field(value, path[:-1])
    if isinstance(holder, dict) or isinstance(path[-1], int):
        holder[path[-1]] = new


def plain_texts(wire: ServedWire, frames: list[tuple[str, Any]]) -> Counter[str]:
    """Return the texts that a reader gets who looks only at the deltas, up to the end marker."""
    found: list[Any] = []
    for frame, value in frames:
        match value:
            case {"choices": [{"delta": {"content": text}}, *_]}:
                found.append(text)
            case {"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}}:
                found.append(text)
            case {"type": "response.output_text.delta", "delta": text}:
                found.append(text)
            case {"candidates": [{"content": {"parts": [*parts]}}, *_]}:
                found += [p["text"] for p in parts if isinstance(p, dict) and set(p) == {"text"}]
            case {"message": {"content": text}, "model": _}:
                found.append(text)
        kind = value.get("type") if value else None
        ended = kind in ("message_stop", "response.completed") or "[DONE]" in frame
        if ended or (wire.path == "/api/chat" and value and value.get("done") in (True, 1)):
            break
    return Counter(re.findall("<.>", "".join(text for text in found if isinstance(text, str))))


def parse(
    wire: ServedWire, body: bytes, size: int
) -> tuple[list[StreamChunk], ProviderError | None]:
    parser = PARSERS[wire.path](StreamInfo("acme"))
    chunks: list[StreamChunk] = []
    for start in range(0, len(body), size):
        chunks += parser.feed(body[start : start + size], 1.0)
    return chunks + parser.flush(1.0), parser.error


def seen(chunks: list[StreamChunk], error: ProviderError | None) -> Any:
    response = fold(chunks)
    calls = [(call.name, call.arguments) for call in response.tool_calls]
    sealed = [delta.index for chunk in chunks for delta in chunk.tool_calls if delta.sealed]
    finish = response.finish_reason
    return response.content, response.reasoning, calls, sealed, finish, str(error)


@pytest.mark.parametrize("wire", CHATS, ids=lambda wire: wire.path)
@settings(deadline=None, max_examples=300)
@given(data=st.data(), size=st.integers(1, 400))
def test_odd_event_loses_and_repeats_nothing(
    wire: ServedWire, data: st.DataObject, size: int
) -> None:
    frames = frames_of(wire)
    mutate(frames, data)
    body = written(frames, wire)
    chunks, error = parse(wire, body, len(body))
    assert seen(chunks, error) == seen(*parse(wire, body, size))
    if error is not None:
        pytest.fail(f"{error}")
    texts = Counter(re.findall("<[a-d]>", "".join(chunk.delta for chunk in chunks)))
    plain = plain_texts(wire, frames)
    for text in TEXTS:
        assert plain[text] <= texts[text] <= max(plain[text], 1)
    assembler = ToolCallAssembler()
    calls = [assembler.add(delta) for chunk in chunks for delta in chunk.tool_calls]
    finish = fold(chunks).finish_reason
    for call in filter(None, calls):
        whole = call.arguments in [json.dumps(json.loads(c.arguments)) for c in CALLS] + [
            c.arguments for c in CALLS
        ]
        assert whole or finish in ("stop", "tool_calls")
    assert len({call.id for call in assembler.calls()}) == len(assembler.calls())
    for chunk in chunks:
        json.dumps(chunk.metadata).encode()
