"""Random streams of text and other items, and the parts of them that must not change."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from rxagents import Reasoning, StreamChunk, Token, ToolCallDelta, ToolStart, Usage
from rxagents.core.chunks import TextBuffers

_words = st.text(alphabet="ab \n\té日", max_size=7)
_others: st.SearchStrategy[Any] = st.one_of(
    _words,
    st.builds(Token, _words, st.sampled_from(["", "thought", "answer"]), st.just(1.0)),
    st.builds(Reasoning, _words, st.just(1.0)),
    st.sampled_from([ToolStart("call_1", "add", {}, 1.0), 7, None, b"ab"]),
)
_chunks = st.builds(
    StreamChunk,
    _words,
    choice=st.integers(0, 1),
    finish_reason=st.sampled_from(["", "", "", "", "stop"]),
    reasoning=st.sampled_from(["", "", "hm ", "so"]),
    refusal=st.sampled_from(["", "", "", "", "no"]),
    tool_calls=st.sampled_from([(), (), (), (ToolCallDelta(0, "c", "add"),)]),
    usage=st.sampled_from([None, None, Usage(1, 2)]),
)


def _tied(streams: list[list[StreamChunk]]) -> list[StreamChunk]:
    """Make streams of chunks as providers make them, each after a reset of the one before."""
    out = []
    for stream in streams:
        buffers, metadata = TextBuffers(), {"model": "any"}
        for index, chunk in enumerate(stream):
            out.append(buffers.tie(replace(chunk, index=index, metadata=metadata)))
        out.append(StreamChunk.reset(OSError("again")))
    return out[:-1]


chunk_streams = st.lists(st.lists(_chunks, min_size=1, max_size=8), min_size=1, max_size=3).map(
    _tied
)
"""The chunks of one stream or of several, one after the other."""


@st.composite
def mixtures(draw: st.DrawFn) -> list[Any]:
    """Chunks, texts and events in any order; the chunks among themselves in that of a stream."""
    items: list[Any] = []
    for chunk in draw(chunk_streams):
        items += draw(st.lists(_others, max_size=2))
        items.append(chunk)
    return items


def _kind(item: Any) -> Any:
    """Return what two neighbours must share to be one text; `None` for what is no text."""
    match item:
        case str():
            return "str"
        case Token():
            return "token", item.section
        case Reasoning():
            return "reasoning"
        case StreamChunk(finish_reason="", refusal="", tool_calls=()) if item.delta:
            return None if item.reasoning else ("delta", item.choice)
        case StreamChunk(finish_reason="", refusal="", tool_calls=()) if item.reasoning:
            return "thinking", item.choice
    return None


def _text(item: Any) -> str:
    match item:
        case StreamChunk():
            return item.delta or item.reasoning
        case Token() | Reasoning():
            return item.content
    return str(item)


def texts_in_place(items: list[Any]) -> list[Any]:
    """Return the texts, joined as far as they are of one kind, and the other items between."""
    out: list[Any] = []
    for item in items:
        kind = _kind(item)
        if kind is None:
            out.append(replace(item, index=0) if isinstance(item, StreamChunk) else item)
        elif not _text(item):
            continue
        elif out and isinstance(out[-1], list) and out[-1][0] == kind:
            out[-1][1] += _text(item)
        else:
            out.append([kind, _text(item)])
    return out


def assert_contents_and_indexes(items: list[Any]) -> None:
    """Check that `content` and `index` are those of the stream the chunks make."""
    texts: dict[int, str] = {}
    last = -1
    for chunk in (item for item in items if isinstance(item, StreamChunk)):
        if "reset" in chunk.metadata:
            texts, last = {}, -1
            continue
        texts[chunk.choice] = texts.get(chunk.choice, "") + chunk.delta
        assert chunk.content == texts[chunk.choice]
        assert chunk.index > last
        last = chunk.index
