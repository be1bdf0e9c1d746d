"""The messages of a page that uses Vercel's `useChat`."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents.serve.ui_messages import UIMessage, role_dicts

CALL: dict[str, Any] = {
    "type": "dynamic-tool",
    "toolName": "weather",
    "toolCallId": "c",
    "input": {"city": "Oslo"},
}


@pytest.mark.parametrize(
    ("fields", "result"),
    [
        ({"state": "output-available", "output": "cold"}, "cold"),
        ({"state": "output-available", "output": {"t": -3}}, '{"t":-3}'),
        ({"state": "output-error", "errorText": "no such place"}, "no such place"),
        ({"state": "output-denied"}, "The user did not approve this call."),
        ({"type": "tool-weather", "state": "output-available", "output": "cold"}, "cold"),
    ],
)
def test_call_with_a_result_is_two_messages(fields: dict[str, Any], result: str) -> None:
    parts = [{"type": "step-start"}, {"type": "text", "text": "I look."}, {**CALL, **fields}]
    asks, answer = role_dicts(UIMessage("assistant", parts))
    [call] = asks["tool_calls"]
    assert (asks["content"], call["function"]["name"]) == ("I look.", "weather")
    assert answer == {"role": "tool", "tool_call_id": "c", "content": result}


@pytest.mark.parametrize(
    "fields",
    [
        {"state": "input-streaming"},
        {"state": "approval-requested"},
        {"state": "output-available", "output": "half", "preliminary": True},
    ],
)
def test_call_without_a_result_is_left_out(fields: dict[str, Any]) -> None:
    parts = [{"type": "text", "text": "I look."}, {**CALL, **fields}]
    assert list(role_dicts(UIMessage("assistant", parts))) == [
        {"role": "assistant", "content": "I look."}
    ]
    assert list(role_dicts(UIMessage("assistant", parts[1:]))) == []


def test_turns_are_messages_of_their_own() -> None:
    step = {"type": "step-start"}
    thought = {"type": "reasoning", "text": "hm"}
    parts = [
        step,
        thought,
        {"type": "text", "text": "One."},
        step,
        {"type": "text", "text": "Two."},
    ]
    made = list(role_dicts(UIMessage("assistant", parts)))
    assert [each["content"] for each in made] == ["One.", "Two."]
