"""The next turn on each wire: signatures, reasoning, names, and settings that need tools."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from rxagents import Message, Settings, ToolCall
from rxagents.testing.requests import anthropic, chat_completions, gemini, responses
from rxagents.wire.anthropic import render_messages
from rxagents.wire.chat_completions import render_chat
from rxagents.wire.gemini import render_contents
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import render_response
from rxagents.wire.responses.events import WIRE

HI = Message.user("hi")
CALLS = ToolCall("c1", "f", "{}"), ToolCall("c2", "f", "{}")
RESULTS = Message.tool("c1", "1"), Message.tool("c2", "2")

FOREIGN = "skip_thought_signature_validator"


def signatures(model: str, answer: Message) -> list[Any]:
    body = render_contents(ChatRequest(model, (HI, answer, *RESULTS)))
    gemini.check(body)
    return [part.get("thoughtSignature") for part in body["contents"][1]["parts"]]


@pytest.mark.parametrize(
    ("model", "signature"),
    [("gemini-3-pro-preview", FOREIGN), ("models/gemini-3.5-flash", FOREIGN),
     ("gemini-2.5-pro", None), ("gemini-2.0-flash-lite-001", None)],
)  # fmt: skip
def test_first_foreign_call_is_signed(model: str, signature: str | None) -> None:
    assert signatures(model, Message.assistant("So.", *CALLS)) == [None, signature, None]


def test_own_signatures_stay() -> None:
    stored = [
        {"functionCall": {"name": "f", "args": {}}, "thoughtSignature": "S"},
        {"functionCall": {"name": "f", "args": {}}},
    ]
    answer = Message("assistant", CALLS, provider_data={"gemini": {"parts": stored}})
    assert signatures("gemini-3-pro", answer) == ["S", None]


REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}
SEARCH = {"type": "web_search_call", "id": "ws_1"}
SAID = {"type": "message", "length": 1}


@pytest.mark.parametrize(
    ("text", "items", "kinds"),
    [
        ("", [REASONING], []),
        ("a", [REASONING, SAID, REASONING], ["reasoning", "message"]),
        ("a", [SAID, REASONING, REASONING], ["message"]),
        ("", [REASONING, {"type": "message", "length": 0}], []),
        ("", [REASONING, SEARCH, REASONING], ["reasoning", "web_search_call"]),
        ("a", [REASONING, REASONING, SAID], ["reasoning", "reasoning", "message"]),
        ("a", [{}, {"type": 7}, SAID], ["message"]),
    ],
)
def test_lone_reasoning_is_left_out(
    text: str, items: list[dict[str, Any]], kinds: list[str]
) -> None:
    parts = Message.assistant(text).parts
    answer = Message("assistant", parts, provider_data={WIRE: {"items": items}})
    body = render_response(ChatRequest("m", (HI, answer, HI)))
    responses.check(body)
    assert [item["type"] for item in body["input"][1:-1]] == kinds


def test_names_of_participants_fit() -> None:
    ann = Message("user", HI.parts, name="Ann <Smith>/é")
    body = render_chat(ChatRequest("m", (ann,)))
    chat_completions.check(body)
    assert body["messages"][0]["name"] == "Ann__Smith__é"


def test_failed_result_without_text_is_explained() -> None:
    failed = Message.tool("c1", "", is_error=True)
    body = render_messages(ChatRequest("m", (HI, Message.assistant(CALLS[0]), failed)))
    anthropic.check(body)
    assert body["messages"][2]["content"][0]["content"] == "The tool failed."


@pytest.mark.parametrize("render", [render_chat, render_messages, render_contents, render_response])
@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice_without_tools_is_left_out(
    render: Callable[[ChatRequest], dict[str, Any]], choice: str
) -> None:
    body = render(ChatRequest("m", (HI,), settings=Settings(tool_choice=choice)))
    assert not {"tool_choice", "toolConfig"} & set(body)


@pytest.mark.parametrize("render", [render_chat, render_response])
def test_tools_of_extra_body_keep_the_settings(
    render: Callable[[ChatRequest], dict[str, Any]],
) -> None:
    hosted = Settings(
        tool_choice="required",
        parallel_tool_calls=False,
        extra_body={"tools": [{"type": "web_search"}]},
    )
    body = render(ChatRequest("m", (HI,), settings=hosted))
    assert (body["tool_choice"], body["parallel_tool_calls"]) == ("required", False)
    given = Settings(extra_body={"tool_choice": "none"})
    assert render(ChatRequest("m", (HI,), settings=given))["tool_choice"] == "none"
