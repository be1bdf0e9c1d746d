"""Turns of Anthropic's wire: which stored blocks go back, and which the API would refuse."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import ConfigurationError, Message, ReasoningPart, ToolCall
from rxagents.testing.requests.anthropic import check
from rxagents.wire.anthropic import render_messages
from rxagents.wire.request import ChatRequest

THOUGHT = {"type": "thinking", "thinking": "Hm", "signature": "S"}
UNSIGNED = {**THOUGHT, "signature": ""}
HIDDEN = {"type": "redacted_thinking", "data": "D"}
SEARCH = {"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "s1", "content": []}
OTHER = {"type": "mcp_tool_use", "id": "s2", "name": "n", "server_name": "s", "input": {}}
HI, GO_ON = Message.user("hi"), Message.user("go on")


def text(length: int) -> dict[str, Any]:
    return {"type": "text", "length": length}


def block(written: str) -> dict[str, Any]:
    return {"type": "text", "text": written}


def answer(written: str, *blocks: dict[str, Any]) -> Message:
    parts = Message.assistant(written).parts
    return Message("assistant", parts, provider_data={"anthropic": {"blocks": list(blocks)}})


def turns(*messages: Message) -> list[dict[str, Any]]:
    body = render_messages(ChatRequest("m", messages))
    check(body)
    rendered: list[dict[str, Any]] = body["messages"]
    return rendered


@pytest.mark.parametrize(
    ("message", "blocks"),
    [
        (answer("ab", THOUGHT, text(1), HIDDEN, SEARCH, FOUND, text(1)),
         [THOUGHT, block("a"), HIDDEN, SEARCH, FOUND, block("b")]),
        (answer("a", UNSIGNED, text(1)), [block("a")]),
        (answer(" a", text(1), SEARCH, FOUND, text(1)), [SEARCH, FOUND, block("a")]),
        (answer("a", text(1), THOUGHT, HIDDEN), [block("a")]),
        (answer("ab", text(1), SEARCH, OTHER, text(1)), [block("a"), block("b")]),
        (answer("a", FOUND, text(1)), [block("a")]),
    ],
    ids=["whole", "unsigned", "white space", "thinking last", "no result", "no call"],
)  # fmt: skip
def test_refused_blocks_are_left_out(message: Message, blocks: list[dict[str, Any]]) -> None:
    assert turns(HI, message, GO_ON)[1]["content"] == blocks


def test_whole_call_keeps_its_thinking_beside_a_cut_one() -> None:
    whole, half = ToolCall("c1", "f", "{}"), ToolCall("c2", "f", '{"a')
    stored = [THOUGHT, {"type": "tool_use", "id": "c1"}, {"type": "tool_use", "id": "c2"}]
    message = Message("assistant", (whole, half), provider_data={"anthropic": {"blocks": stored}})
    blocks = turns(HI, message, Message.tool("c1", "r"), GO_ON)[1]["content"]
    assert [each["type"] for each in blocks] == ["thinking", "tool_use"]


def test_paused_answer_goes_back_to_be_continued() -> None:
    paused, rest = answer("a", text(1), SEARCH), answer("b", FOUND, text(1))
    assert turns(HI, paused)[1]["content"] == [block("a"), SEARCH]
    assert turns(HI, paused, rest, GO_ON)[1]["content"] == [block("a"), SEARCH, FOUND, block("b")]


@pytest.mark.parametrize(
    "message",
    [answer("", THOUGHT), answer("", SEARCH), answer("\n", text(1)), Message.assistant(" "),
     Message.assistant(ReasoningPart("Hm")), Message.assistant()],
)  # fmt: skip
def test_users_turns_join_where_an_answer_is_left_out(message: Message) -> None:
    assert turns(HI, message, GO_ON) == [{"role": "user", "content": [block("hi"), block("go on")]}]


def test_beginning_of_an_answer_loses_trailing_space() -> None:
    assert turns(HI, Message.assistant("So: \n"))[1]["content"] == [block("So:")]
    assert turns(HI, Message.assistant("So: \n"), GO_ON)[1]["content"] == [block("So: \n")]


@pytest.mark.parametrize("message", [Message.user(""), Message.user(" \n", "\t")])
def test_conversation_of_white_space_is_refused(message: Message) -> None:
    with pytest.raises(ConfigurationError, match="Send a user message with text"):
        turns(message)
