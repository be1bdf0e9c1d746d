"""Tool calls of the chat-completions dialects: separated, assembled and sealed in time."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from rxagents import StreamChunk, ToolCall
from rxagents.core.response import ResponseBuilder
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo

DONE = b"data: [DONE]\n\n"


def event(finish: str | None = None, number: int = 0, **delta: Any) -> bytes:
    choice = {"index": number, "delta": delta, "finish_reason": finish}
    body = {"id": "c-1", "model": "m-1", "choices": [choice]}
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def calls(*fragments: dict[str, Any], **others: Any) -> bytes:
    return event(tool_calls=list(fragments), **others)


def part(arguments: Any = None, name: str | None = None, **others: Any) -> dict[str, Any]:
    """Return a fragment with only the given fields."""
    function = {} if name is None else {"name": name}
    if arguments is not None:
        function["arguments"] = arguments
    return {"function": function, **others}


def decode(stream: bytes) -> list[StreamChunk]:
    """Decode a stream, whole and byte by byte, and check what holds for all tool calls."""
    texts = []
    for feeds in ([stream[i : i + 1] for i in range(len(stream))], [stream]):
        parser = ChatCompletionsParser(StreamInfo())
        chunks = [chunk for data in feeds for chunk in parser.feed(data, 1.0)]
        chunks += parser.flush(1.0)
        assert parser.error is None
        texts.append([[(d.name, d.arguments, d.sealed) for d in c.tool_calls] for c in chunks])
        for number in {chunk.choice for chunk in chunks}:
            check([d for c in chunks if c.choice == number for d in c.tool_calls])
    assert texts[0] == texts[1]
    return chunks


def check(deltas: list[Any]) -> None:
    started: list[int] = []
    for position, delta in enumerate(deltas):
        if delta.index not in started:
            started.append(delta.index)
        later = [other for other in deltas[position + 1 :] if other.index == delta.index]
        assert not (delta.sealed and later), "a fragment after the seal"
        assert not (delta.id and any(other.id for other in later)), "a second id"
        assert not (delta.name and any(other.name for other in later)), "a second name"
    assert started == list(range(len(started)))


def sealed(chunks: list[StreamChunk], number: int = 0) -> list[tuple[int, ToolCall]]:
    """Return the calls that were sealed, each with the position of the chunk that did it."""
    assembler, out = ToolCallAssembler(), []
    for chunk in chunks:
        for delta in chunk.tool_calls if chunk.choice == number else ():
            call = assembler.add(delta)
            if call is not None:
                out.append((chunk.index, call))
    return out


TOOL_CALLS = event("tool_calls")
ADD, SUB = ("add", '{"a": 1}'), ("sub", '{"b": 2}')
ADD_CALL = calls(part('{"a": 1}', "add", index=0, id="x"))


@pytest.mark.parametrize(
    ("stream", "expected"),
    [
        pytest.param(
            calls(part("", "add", index=0, id="x", type="function"))
            + calls(part('{"a":', index=0)) + calls(part(" 1}", index=0)) + TOOL_CALLS,
            [("x", *ADD)], id="OpenAI",
        ),
        pytest.param(
            ADD_CALL + TOOL_CALLS,
            [("x", *ADD)], id="one fragment",
        ),
        pytest.param(
            calls(part('{"a": 1}', "add", index=0, id="x"), finish="tool_calls"),
            [("x", *ADD)], id="beside the finish",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x")) + calls(part(": 1}", index=0, id=""))
            + TOOL_CALLS, [("x", *ADD)], id="empty id later",
        ),
        pytest.param(
            calls(part("", "add", index=0, id=None)) + calls(part('{"a": 1}', index=0, id="x"))
            + TOOL_CALLS, [("x", *ADD)], id="late id",
        ),
        pytest.param(
            calls(part('{"a"', "add", id="x")) + calls(part(": 1}"))
            + calls(part('{"b"', "sub", id="y")) + calls(part(": 2}")) + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="no index",
        ),
        pytest.param(
            calls(part('{"a"', "add", id="x")) + calls(part(": 1}", id="x"))
            + calls(part('{"b": 2}', "sub", id="y")) + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="no index, id repeated",
        ),
        pytest.param(
            ADD_CALL + calls(part('{"b"', "sub", index=2, id="y")) + calls(part(": 2}", index=2))
            + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="gap in the indexes",
        ),
        pytest.param(
            calls(part('{"a": 1}', "add", index=1, id="x")) + TOOL_CALLS,
            [("x", *ADD)], id="indexes from 1",
        ),
        pytest.param(
            calls({"index": 0, "id": "x", "function": {"name": "add", "arguments": None}})
            + calls({"index": 0, "function": {"name": None, "arguments": '{"a": 1}'}})
            + calls({"index": 0, "id": None, "function": None}) + TOOL_CALLS,
            [("x", *ADD)], id="nulls",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x")) + calls(part(": 1", "add", index=0, id="x"))
            + calls(part("}", "add", index=0, id="x")) + TOOL_CALLS,
            [("x", *ADD)], id="name and id repeated",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0)) + calls(part(": 1}", "add", index=0)) + TOOL_CALLS,
            [(None, *ADD)], id="name repeated, no id",
        ),
        pytest.param(
            ADD_CALL + calls(part('{"b"', "sub", index=0, id="y")) + calls(part(": 2}", index=0))
            + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="index 0, new ids",
        ),
        pytest.param(
            calls(part('{"a": 1}', "add", index=0, id="x"),
                  part('{"b": 2}', "sub", index=0, id="y")) + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="index 0, one event",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x"), part('{"b"', "sub", index=0, id="y"))
            + calls(part(": 1}", index=0, id="x"), part(": 2}", index=0, id="y")) + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="index 0, alternating",
        ),
        pytest.param(
            calls(part('{"a": 1}', "add", index=0)) + calls(part('{"b": 2}', "sub", index=0))
            + TOOL_CALLS, [(None, *ADD), (None, *SUB)], id="index 0, new names",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x"), part('{"b"', "sub", index=1, id="y"))
            + calls(part(": 2}", index=1), part(": 1}", index=0)) + TOOL_CALLS,
            [("x", *ADD), ("y", *SUB)], id="interleaved",
        ),
        pytest.param(
            calls(part({"a": 1}, "add", index=0, id="x")) + TOOL_CALLS,
            [("x", "add", '{"a":1}')], id="arguments as an object",
        ),
        pytest.param(
            calls(part("", "now", index=0, id="x")) + TOOL_CALLS,
            [("x", "now", "")], id="no arguments",
        ),
        pytest.param(
            event(content="a") + event(content="b")
            + event(content="c", function_call={"name": "add", "arguments": ""})
            + event(function_call={"arguments": '{"a"'})
            + event(function_call={"name": None, "arguments": ": 1}"}) + event("function_call"),
            [(None, *ADD)], id="legacy function_call",
        ),
        pytest.param(
            ADD_CALL + event("stop"),
            [("x", *ADD)], id="finish stop",
        ),
        pytest.param(
            calls(part("", "add", index=0, id="x")) + calls(part('{"a"', index=0, id="z1"))
            + calls(part(": 1}", index=0, id="z2")) + TOOL_CALLS,
            [("x", *ADD)], id="new id in every fragment",
        ),
        pytest.param(
            calls(part("", "add", index=0, id="x")) + calls(part('{"a"', "add", index=0, id="z1"))
            + calls(part(": 1}", "add", index=0, id="z2")) + TOOL_CALLS,
            [("x", *ADD)], id="new id and repeated name",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x")) + calls(part(": 1}", index=0, id=" \n"))
            + TOOL_CALLS, [("x", *ADD)], id="blank id later",
        ),
        pytest.param(
            calls(part('{"a"', "add", index=0, id="x")) + calls(part(": 1}", index=4)) + TOOL_CALLS,
            [("x", *ADD)], id="index changes",
        ),
        pytest.param(
            calls(part('{"a": 1}', "add", index=0)) + calls(part('{"b": 2}', "add", index=0))
            + TOOL_CALLS, [(None, *ADD), (None, "add", '{"b": 2}')], id="same tool twice",
        ),
        pytest.param(
            calls(part("{}", "add")) + calls(part('{"b"', "add")) + calls(part(": 2}"))
            + TOOL_CALLS, [(None, "add", "{}"), (None, "add", '{"b": 2}')], id="twice, no index",
        ),
        pytest.param(
            calls(part("", "now", id="x")) + calls(part("", "now", id="y")) + TOOL_CALLS,
            [("x", "now", ""), ("y", "now", "")], id="twice, only ids",
        ),
        pytest.param(
            calls(part("{}", "add", index=0, id="x")) + calls(part(" ", index=0))
            + calls(part('{"a"', index=0)) + calls(part(": 1}", index=0)) + TOOL_CALLS,
            [("x", *ADD)], id="empty object first",
        ),
        pytest.param(
            calls(part({}, "add", index=0, id="x")) + calls(part('{"a": 1}', index=0)) + TOOL_CALLS,
            [("x", *ADD)], id="empty dict first",
        ),
        pytest.param(
            calls(part("{}", "now", index=0, id="x")) + TOOL_CALLS,
            [("x", "now", "{}")], id="only an empty object",
        ),
        pytest.param(
            ADD_CALL + ADD_CALL + TOOL_CALLS, [("x", *ADD)], id="repeated fragment",
        ),
        pytest.param(
            calls(part("", "", index=0, id=" ")) + event(content="a", function_call={})
            + event(content="b", function_call={"name": "", "arguments": ""}) + event("stop"),
            [], id="empty fragments",
        ),
        pytest.param(
            calls(part("", index=0, id="x")) + calls(part('{"a": 1}', "add", index=0))
            + calls(part("", index=0, id="y")) + calls(part('{"b": 2}', "sub", index=0))
            + TOOL_CALLS, [("x", *ADD), ("y", *SUB)], id="ids before names",
        ),
        pytest.param(
            ADD_CALL,
            [("x", *ADD)], id="DONE without finish",
        ),
    ],
)  # fmt: skip
def test_calls_of_every_dialect(stream: bytes, expected: list[tuple[str | None, str, str]]) -> None:
    found = [call for _, call in sealed(decode(stream + DONE))]
    assert [(call.name, call.arguments) for call in found] == [e[1:] for e in expected]
    for call, (call_id, _, _) in zip(found, expected, strict=True):
        assert call.id == call_id if call_id else len(call.id) > 8
    assert len({call.id for call in found}) == len(found)


def test_next_call_or_finish_seals_call() -> None:
    chunks = decode(
        ADD_CALL
        + calls(part("", "sub", index=1, id="y"))
        + calls(part('{"b": 2}', index=1))
        + event(content="so")
        + TOOL_CALLS
        + DONE
    )
    assert sealed(chunks) == [(1, ToolCall("x", *ADD)), (4, ToolCall("y", *SUB))]
    seal, start = chunks[1].tool_calls
    assert (seal.index, seal.sealed, start.index, start.id, start.name) == (0, True, 1, "y", "sub")


def test_alternating_calls_are_sealed_when_complete() -> None:
    chunks = decode(
        calls(part('{"a"', "add", index=0, id="x"), part('{"b"', "sub", index=1, id="y"))
        + calls(part(": 1}", index=0))
        + calls(part(": 2}", index=1))
        + TOOL_CALLS
    )
    assert sealed(chunks) == [(3, ToolCall("x", *ADD)), (3, ToolCall("y", *SUB))]


@pytest.mark.parametrize("finish", ["length", "content_filter", "network_error", "abort", None])
@pytest.mark.parametrize("tail", ["", '{"b"', '{"b": 2}'])
def test_call_that_may_be_cut_stays_unsealed(finish: str | None, tail: str) -> None:
    chunks = decode(
        ADD_CALL
        + calls(part(tail, "sub", index=1, id="y"))
        + (event(finish) + DONE if finish else b"")
    )
    assert [call for _, call in sealed(chunks)] == [ToolCall("x", *ADD)]
    builder = ResponseBuilder()
    for chunk in chunks:
        builder.add(chunk)
    assert builder.response().tool_calls == (ToolCall("x", *ADD), ToolCall("y", "sub", tail))


@pytest.mark.parametrize("arguments", ["", '{"b"'])
def test_done_alone_seals_only_whole_calls(arguments: str) -> None:
    chunks = decode(ADD_CALL + calls(part(arguments, "sub", index=1, id="y")) + DONE)
    assert [call for _, call in sealed(chunks)] == [ToolCall("x", *ADD)]


def test_fragments_are_emitted_as_received() -> None:
    chunks = decode(
        calls(part("", "add", index=0, id="x"), content="Let me see. ")
        + calls(part('{"a":', index=0))
        + calls(part("", index=0))
        + calls(part(" 1}", index=0))
    )
    deltas = [[(d.id, d.name, d.arguments) for d in chunk.tool_calls] for chunk in chunks]
    assert deltas == [[("x", "add", "")], [("", "", '{"a":')], [("", "", " 1}")]]
    assert chunks[0].delta == "Let me see. "


def test_choices_have_separate_calls() -> None:
    chunks = decode(
        ADD_CALL
        + calls(part('{"b": 2}', "sub", index=0, id="y"), number=1)
        + event("tool_calls", number=1)
        + TOOL_CALLS
    )
    assert sealed(chunks, 0) == [(3, ToolCall("x", *ADD))]
    assert sealed(chunks, 1) == [(2, ToolCall("y", *SUB))]


def test_done_seals_calls_of_unfinished_choices() -> None:
    chunks = decode(
        ADD_CALL
        + calls(part('{"b": 2}', "sub", index=0, id="y"), number=1)
        + event("length", number=1)
        + DONE
    )
    assert [call.id for _, call in sealed(chunks, 0)] == ["x"]
    assert sealed(chunks, 1) == []


@pytest.mark.parametrize(
    ("pieces", "parsed"),
    [
        pytest.param(['{"a": "\ud83d', '\ude00"}'], "😀", id="cut character"),
        pytest.param([r'{"a": "\ud83d', r'\ude00"}'], "😀", id="cut escape"),
        pytest.param([r'{"a": "\ud8', r'3d\ude00"}'], "😀", id="escape cut inside a half"),
        pytest.param(['{"a": "\ud83d', 'x"}'], "\ufffdx", id="lone half"),
    ],
)
def test_arguments_are_valid_text(pieces: list[str], parsed: str) -> None:
    chunks = decode(
        calls(part("", "add", index=0, id="x"))
        + b"".join(calls(part(piece, index=0)) for piece in pieces)
        + TOOL_CALLS
        + DONE
    )
    for chunk in chunks:
        for delta in chunk.tool_calls:
            delta.arguments.encode()
    ((_, call),) = sealed(chunks)
    assert call.parse() == {"a": parsed}


def test_ten_thousand_fragments_are_one_call() -> None:
    text = json.dumps({"text": "x" * 9_980})
    parser = ChatCompletionsParser(StreamInfo())
    stream = calls(part("", "write", index=0, id="x"))
    stream += b"".join(calls(part(letter, index=0)) for letter in text)
    chunks = parser.feed(stream + TOOL_CALLS, 1.0)
    ((_, call),) = sealed(chunks)
    assert call.arguments == text


@pytest.mark.parametrize("again", ["nothing", "index", "name", "id", "name and id", "new id"])
def test_white_space_within_arguments_is_kept(again: str) -> None:
    pieces = ['{"city": "New', " ", 'York",', "\n", '"n":', " ", "1}", " "]
    fragments = []
    for number, piece in enumerate(pieces):
        first = number == 0
        fields: dict[str, Any] = {} if again == "nothing" else {"index": 0}
        if first or "id" in again:
            fields["id"] = f"x{number}" if again == "new id" else "x0"
        name = "look_up" if first or "name" in again else None
        fragments.append(calls(part(piece, name, **fields)))
    [(_, call)] = sealed(decode(b"".join(fragments) + TOOL_CALLS))
    assert (call.id, call.name) == ("x0", "look_up")
    assert call.arguments.rstrip() == "".join(pieces).rstrip()


def test_white_space_after_seal_is_dropped() -> None:
    sub = calls(part('{"b": 2}', "sub", index=1, id="y"))
    chunks = decode(ADD_CALL + sub + calls(part("\n", index=0)) + TOOL_CALLS)
    assert [call for _, call in sealed(chunks)] == [ToolCall("x", *ADD), ToolCall("y", *SUB)]


def test_many_calls_without_index_are_linear() -> None:
    def seconds(count: int) -> float:
        stream = b"".join(calls(part("{}", "add", id=f"call-{i}")) for i in range(count))
        times = []
        for _ in range(3):
            start = time.process_time()
            chunks = ChatCompletionsParser(StreamInfo()).feed(stream, 1.0)
            times.append(time.process_time() - start)
            assert len({delta.index for chunk in chunks for delta in chunk.tool_calls}) == count
        return min(times)

    assert seconds(32_000) < 80 * seconds(2_000), "16 times the calls; were it quadratic, 256"


REST = [
    ("white space after a repeated start", [part('{"a": 1}', "add", index=0, id="x"),
     part(" ", "add", index=0, id="x")], [("x", *ADD)]),
    ("text after empty object", [part("{}", "add", index=0, id="x"), part("x", index=0)],
     [("x", "add", "{}x")]),
    ("another id after a call without name", [part('{"a": 1}', index=0, id="x"),
     part('{"b": 2}', "sub", index=0, id="y")], [("x", "unknown", ADD[1]), ("y", *SUB)]),
    ("same tool with a new id", [part('{"a": 1}', "add", index=0, id="x"),
     part("", "add", index=0, id="y"), part('{"a": 1}', index=0)],
     [("x", *ADD), ("y", *ADD)]),
]  # fmt: skip


@pytest.mark.parametrize(("fragments", "expected"), [row[1:] for row in REST],
                         ids=[row[0] for row in REST])  # fmt: skip
def test_rare_fragments_belong_to_their_call(fragments: list[Any], expected: list[Any]) -> None:
    stream = b"".join(calls(fragment) for fragment in fragments) + TOOL_CALLS
    assert [(c.id, c.name, c.arguments) for _, c in sealed(decode(stream))] == expected


def test_blank_id_is_replaced() -> None:
    [(_, call)] = sealed(decode(calls(part('{"a": 1}', "add", index=0, id=" ")) + TOOL_CALLS))
    assert call.id.strip()
