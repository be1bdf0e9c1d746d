"""The Responses API on hosts that name, number and repeat items in their own ways."""

from __future__ import annotations

import json
from typing import Any

import pytest
from folding import fold

import rxagents
from rxagents import Response
from rxagents.wire.parser import StreamInfo
from rxagents.wire.responses import ResponsesParser


def event(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": f"response.{kind}", **fields}


def call(number: int, arguments: str = "", **fields: Any) -> dict[str, Any]:
    ids = {"id": f"fc{number}", "call_id": f"c{number}"}
    return {"type": "function_call", "name": "look", "arguments": arguments, **ids, **fields}


def message(text: str, **fields: Any) -> dict[str, Any]:
    return {"type": "message", "content": [{"type": "output_text", "text": text}], **fields}


def completed(*output: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return event("completed", response={"status": "completed", "output": list(output), **fields})


def parse(events: list[dict[str, Any]], size: int | None = None) -> tuple[Response, Any, set[int]]:
    body = b"".join(b"data: %s\n\n" % json.dumps(event).encode() for event in events)
    parser, size = ResponsesParser(StreamInfo("openai-responses")), size or len(body)
    chunks = [
        chunk
        for start in range(0, len(body), size)
        for chunk in parser.feed(body[start : start + size], 1.0)
    ]
    chunks += parser.flush(1.0)
    sealed = {delta.index for chunk in chunks for delta in chunk.tool_calls if delta.sealed}
    return fold(chunks), parser.error, sealed


ARGUMENTS = ['{"at":"Bern"}', '{"at":"Chur"}']


def two_calls(ids: bool = True, index: bool = True, added: bool = True) -> list[dict[str, Any]]:
    events: list[dict[str, Any]] = []
    for number, arguments in enumerate(ARGUMENTS):
        where = {"output_index": number} if index else {}
        item = call(number) if ids else {"type": "function_call", "name": "look", "arguments": ""}
        part = where | ({"item_id": f"fc{number}"} if ids else {})
        if added:
            events.append(event("output_item.added", item=item, **where))
        events += [
            event("function_call_arguments.delta", delta=arguments[:4], **part),
            event("function_call_arguments.delta", delta=arguments[4:], **part),
            event("function_call_arguments.done", arguments=arguments, **part),
            event("output_item.done", item=item | {"arguments": arguments}, **where),
        ]
    return events


@pytest.mark.parametrize("snapshot", ["empty", "same ids", "other ids", "other order"])
@pytest.mark.parametrize(
    "names", [{}, {"index": False}, {"ids": False}, {"ids": False, "index": False}], ids=str
)
@pytest.mark.parametrize("added", [True, False])
def test_two_calls_stay_two_calls(names: dict[str, bool], snapshot: str, added: bool) -> None:
    output = {
        "empty": [],
        "same ids": [call(0, ARGUMENTS[0]), call(1, ARGUMENTS[1])],
        "other ids": [call(7, ARGUMENTS[0]), call(8, ARGUMENTS[1])],
        "other order": [call(8, ARGUMENTS[1]), call(7, ARGUMENTS[0])],
    }[snapshot]
    response, error, sealed = parse([*two_calls(**names, added=added), completed(*output)])
    assert error is None
    assert [(c.name, c.arguments) for c in response.tool_calls] == [
        ("look", arguments) for arguments in ARGUMENTS
    ]
    assert sealed == {0, 1}
    assert len({c.id for c in response.tool_calls}) == 2


def test_interleaved_calls_are_told_apart_by_id() -> None:
    events = two_calls(index=False)
    order = [0, 5, 1, 6, 2, 7, 8, 3, 9, 4]
    response, _, sealed = parse([*(events[number] for number in order), completed()])
    assert [c.arguments for c in response.tool_calls] == ARGUMENTS
    assert sealed == {0, 1}


def test_new_id_in_every_event_is_one_call() -> None:
    events = [
        event("output_item.added", item=call(1), output_index=0),
        *(
            event("function_call_arguments.delta", delta=d, output_index=0, item_id=f"x{n}")
            for n, d in enumerate(['{"at"', ":", '"Bern"}'] + [" "] * 40)
        ),
        event("output_item.done", item=call(2, '{"at":"Bern"}'), output_index=0),
        completed(call(3, '{"at":"Bern"}')),
    ]
    response, _, sealed = parse(events)
    (only,) = response.tool_calls
    assert (only.id, only.parse(), sealed) == ("c1", {"at": "Bern"}, {0})


def texts(*events: tuple[str, int, str], **where: Any) -> list[dict[str, Any]]:
    return [
        event(f"output_text.{kind}", content_index=part, **where, **{_FIELD[kind]: text})
        for kind, part, text in events
    ]


_FIELD = {"delta": "delta", "done": "text"}


@pytest.mark.parametrize(
    ("events", "expected"),
    [
        (texts(("delta", 1, "Hel"), ("delta", 1, "lo"), ("done", 0, "Hello")), "Hello"),
        (texts(("delta", 0, "Hel"), ("delta", 1, "lo"), ("done", 2, "Hello")), "Hello"),
        (texts(("delta", 0, "Hel"), ("done", 0, "Hello"), ("done", 0, "Hello")), "Hello"),
        (texts(("delta", 0, "Hel"), ("done", 0, "Hello"), ("delta", 0, "lo")), "Hello"),
        (texts(("delta", 0, "A"), ("done", 0, "A"), ("done", 1, "B")), "AB"),
        (texts(("done", 0, "so "), ("done", 1, "so ")), "so so "),
        (texts(("delta", 0, "a"), ("done", 0, "a"), ("delta", 0, "b"), ("done", 0, "ab")), "ab"),
        (texts(("delta", 0, "e\u0301t"), ("done", 0, "\u00e9t\u00e9")), "e\u0301t"),
    ],
    ids=[
        "other part",
        "part a delta",
        "repeated done",
        "late delta",
        "part without deltas",
        "two parts alike",
        "reopened",
        "written anew",
    ],
)
@pytest.mark.parametrize("snapshot", [True, False])
def test_whole_text_only_completes_deltas(
    events: list[dict[str, Any]], expected: str, snapshot: bool
) -> None:
    output = [message(expected, id="other")] if snapshot else []
    response, error, _ = parse([*events, completed(*output)])
    assert (response.content, error) == (expected, None)


@pytest.mark.parametrize(
    "where", [[{"item_id": "m0"}, {"item_id": "m1"}], [{}, {}]], ids=["ids", "no ids"]
)
def test_second_message_is_not_lost(where: list[dict[str, Any]]) -> None:
    events = [
        item
        for names, text in zip(where, ["One.", "Two, longer."], strict=True)
        for item in (
            *texts(("delta", 0, text), ("done", 0, text), **names),
            event("output_item.done", item=message(text, id=names.get("item_id"))),
        )
    ]
    response, _, _ = parse([*events, completed(message("One."), message("Two, longer."))])
    assert response.content == "One.Two, longer."


def test_final_response_adds_items_without_events() -> None:
    events = texts(("delta", 0, "One."), item_id="m0", output_index=0)
    output = [message("One.", id="m0"), message("Two.", id="m1"), call(1, ARGUMENTS[0])]
    response, _, sealed = parse([*events, completed(*output)])
    assert response.content == "One.Two."
    assert [c.arguments for c in response.tool_calls] == [ARGUMENTS[0]]
    assert sealed == {0}


@pytest.mark.parametrize(("added", "first", "second"), [(5, 1, 1), (1, 1, 5), (1, 5, 1)])
def test_wrong_index_repeats_no_text(added: int, first: int, second: int) -> None:
    events = [
        event("output_item.added", item=message("", id="m0"), output_index=added),
        event("output_text.delta", delta="One, ", output_index=first),
        event("output_text.delta", delta="two.", output_index=second),
        event("output_item.done", item=message("One, two.", id="m0"), output_index=1),
    ]
    response, _, _ = parse([*events, completed(message("One, two.", id="m0"))])
    assert response.content == "One, two."


def one_call(*deltas: str, done: str) -> list[dict[str, Any]]:
    return [
        event("output_item.added", item=call(1), output_index=0),
        *(event("function_call_arguments.delta", delta=d, output_index=0) for d in deltas),
        event("function_call_arguments.done", arguments=done, output_index=0),
        completed(call(1, done)),
    ]


@pytest.mark.parametrize(
    ("deltas", "done", "expected"),
    [
        (['{"n":1', ',"m":2}'], '{"n": 1, "m": 2}', '{"n":1,"m":2}'),
        (['{"n":1'], '{"n":1,"m":2}', '{"n":1,"m":2}'),
        (["Zm9v", "YmFy{"], '{"n":1}', '{"n":1}'),
        ([" ", ' {"n":', "1}"], ' {"n":1}', '  {"n":1}'),
    ],
    ids=["other spaces", "cut deltas", "encrypted deltas", "leading spaces"],
)
def test_whole_arguments_never_glue_a_tail(deltas: list[str], done: str, expected: str) -> None:
    response, _, sealed = parse(one_call(*deltas, done=done))
    (only,) = response.tool_calls
    assert (only.arguments, sealed) == (expected, {0})


def test_held_arguments_are_emitted_at_the_end() -> None:
    events = one_call("not", " JSON", done="")
    response, _, sealed = parse([*events[:-1], completed()])
    assert (response.tool_calls[0].arguments, sealed) == ("not JSON", {0})


@pytest.mark.parametrize(
    ("kind", "response", "finish"),
    [
        ("completed", {"status": "failed", "error": {"message": "boom"}}, ""),
        ("incomplete", {}, "incomplete"),
        ("completed", {"status": "cancelled"}, "cancelled"),
        ("completed", {"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
    ],
    ids=["failed", "no status", "unknown status", "reason only"],
)
def test_cut_response_seals_no_call(kind: str, response: dict[str, Any], finish: str) -> None:
    open_call = event("output_item.added", item=call(1), output_index=0)
    unseen = {"output": [call(1, "{}"), call(2, "{}")]}
    result, error, sealed = parse([open_call, event(kind, response=response | unseen)])
    assert (result.finish_reason, sealed) == (finish, set())
    assert isinstance(error, rxagents.ServerError) is (finish == "")


@pytest.mark.parametrize("size", [1, 7, 100])
def test_items_do_not_depend_on_splits(size: int) -> None:
    events = [*texts(("delta", 0, "Hi")), *two_calls(index=False), completed()]
    whole, split = parse(events), parse(events, size)
    calls = [[(c.name, c.arguments) for c in r.tool_calls] for r in (whole[0], split[0])]
    assert calls[0] == calls[1]
    assert (whole[0].content, *whole[1:]) == (split[0].content, *split[1:])
