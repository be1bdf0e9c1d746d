"""The data that chat-completions hosts require back with the next turn."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from folding import fold

from rxagents import Message
from rxagents.wire.chat_completions import ChatCompletionsParser, render_chat
from rxagents.wire.chat_completions.reasoning_details import join_details
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest


def answer(*deltas: dict[str, Any]) -> Message:
    """Return the message that a stream of these deltas makes."""
    parser = ChatCompletionsParser(StreamInfo())
    events = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    body = b"".join(b"data: " + msgspec.json.encode(event) + b"\n\n" for event in events)
    chunks = [*parser.feed(body + b"data: [DONE]\n\n", 1.0), *parser.flush(2.0)]
    assert parser.error is None
    return fold(chunks).message


def sent_back(message: Message) -> dict[str, Any]:
    body = render_chat(ChatRequest("m", (Message.user("hi"), message)))
    line: dict[str, Any] = body["messages"][1]
    return line


def call(index: int, **fields: Any) -> dict[str, Any]:
    function = {"name": f"f{index}", "arguments": "{}"}
    fragment = {"index": index, "id": f"c{index}", "function": function, **fields}
    return {"tool_calls": [fragment]}


def signed(signature: str) -> dict[str, Any]:
    return {"extra_content": {"google": {"thought_signature": signature}}}


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param([call(0, **signed("S0")), call(1), call(2, **signed("S2"))], id="one each"),
        pytest.param(
            [{"tool_calls": [
                *call(0, **signed("S0"))["tool_calls"],
                *call(1)["tool_calls"],
                *call(2, **signed("S2"))["tool_calls"],
            ]}],
            id="one event",
        ),
        pytest.param(
            [call(0), {"tool_calls": [{"index": 0, **signed("S0")}]}, call(1),
             call(2, **signed("S2"))],
            id="after the call",
        ),
    ],
)  # fmt: skip
def test_signature_goes_back_with_its_call(deltas: list[dict[str, Any]]) -> None:
    calls = sent_back(answer(*deltas))["tool_calls"]
    assert [each["function"]["name"] for each in calls] == ["f0", "f1", "f2"]
    assert [each.get("extra_content") for each in calls] == [
        signed("S0")["extra_content"],
        None,
        signed("S2")["extra_content"],
    ]


def test_details_of_one_block_become_one() -> None:
    deltas = [
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "text": "Hm", "id": "r"}]},
        {"reasoning_details": [
            {"type": "reasoning.text", "index": 0, "text": ", so", "signature": None},
            {"type": "reasoning.summary", "index": 1, "summary": "A"},
        ]},
        {"reasoning_details": [{"type": "reasoning.summary", "index": 1, "summary": "B"}]},
        {"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "S"}]},
        {"reasoning_details": [{"type": "reasoning.encrypted", "index": 0, "data": "X"}]},
    ]  # fmt: skip
    assert sent_back(answer(*deltas, call(0)))["reasoning_details"] == [
        {"type": "reasoning.text", "index": 0, "text": "Hm, so", "id": "r", "signature": "S"},
        {"type": "reasoning.summary", "index": 1, "summary": "AB"},
        {"type": "reasoning.encrypted", "index": 0, "data": "X"},
    ]


TEXT = {"type": "reasoning.text"}
DATA = {"type": "reasoning.encrypted", "index": 0}


@pytest.mark.parametrize(
    ("details", "blocks"),
    [
        pytest.param(
            [{**TEXT, "text": "a"}, {**TEXT, "text": "b", "signature": "S"}, {**TEXT, "text": "c"}],
            [{**TEXT, "text": "ab", "signature": "S"}, {**TEXT, "text": "c"}],
            id="no index",
        ),
        pytest.param(
            [{**TEXT, "text": "a"}, {**DATA, "data": "X"}, {**TEXT, "text": "b"}],
            [{**TEXT, "text": "a"}, {**DATA, "data": "X"}, {**TEXT, "text": "b"}],
            id="no index, another block between",
        ),
        pytest.param(
            [{**TEXT, "index": 0, "id": "r", "text": "a"}, {**TEXT, "index": 0, "id": "s"}],
            [{**TEXT, "index": 0, "id": "r", "text": "a"}, {**TEXT, "index": 0, "id": "s"}],
            id="other id",
        ),
        pytest.param(
            [{**DATA, "data": "X"}, {**DATA, "data": "Y"}],
            [{**DATA, "data": "X"}, {**DATA, "data": "Y"}],
            id="encrypted",
        ),
        pytest.param([None, "x", {**TEXT, "text": None}], [{**TEXT, "text": None}], id="odd"),
    ],
)
def test_details_are_joined(details: list[Any], blocks: list[dict[str, Any]]) -> None:
    assert join_details(details) == blocks
