"""Events: the properties that all kinds share, and round trips."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from rxagents import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    AuthenticationError,
    Complete,
    ConfigurationError,
    ErrorEvent,
    ErrorInfo,
    EventType,
    Handoff,
    ImagePart,
    MessageOutcome,
    Partial,
    RateLimitError,
    Reasoning,
    Reset,
    StreamEvent,
    Thought,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
    Usage,
)

INFO = ErrorInfo("RateLimitError", "Too fast.", "openai", 429, "req-1", retryable=True)
USAGE = Usage(10, 20, 30, 5, None, raw={"prompt_tokens": 10, "details": {"x": [1]}})
IMAGE = {
    "type": "image",
    "url": "",
    "data": "AP8=",
    "media_type": "image/png",
    "detail": "",
    "provider_data": {},
}

EVENTS: dict[str, StreamEvent] = {
    "token": Token("Hel", "thought", 1.5),
    "reasoning": Reasoning("Let me see.", 1.5),
    "thought": Thought("I need a tool.", 1.5),
    "turn_start": TurnStart(2, 1.5),
    "turn_end": TurnEnd(2, "stop", USAGE, 1.5),
    "tool_arguments": ToolArguments("call_1", "add", '{"a": 1', 1.5),
    "approval_request": ApprovalRequest("call_1", "add", {"a": 1}, 1.5),
    "approval_answer": ApprovalAnswer("call_1", "add", False, {"a": 1}, "Too much.", 1.5),
    "tool_start": ToolStart("call_1", "add", {"a": 1, "b": [None, "é"]}, 1.5),
    "tool_progress": ToolProgress("call_1", "add", "half", 1.5),
    "tool_end": ToolEnd(
        "call_1", "add", "3", INFO, 0.25, 1.5, parts=(ImagePart("", b"\0\xff", "image/png"),)
    ),
    "partial": Partial({"a": [1]}, 1.5),
    "answer": Answer("It is 3.", 1.5),
    "handoff": Handoff("billing", 1.5),
    "reset": Reset(INFO, 1.5),
    "message": MessageOutcome("hi", "queued", 3, 2, 1.5),
    "complete": Complete("It is 3.", USAGE, 2, "stop", 1.5),
    "error": ErrorEvent(INFO, 1.5),
}
each_kind = pytest.mark.parametrize("kind", EVENTS)


def test_event_type_names() -> None:
    assert list(EVENTS) == [kind.value for kind in EventType]
    assert isinstance(EventType.TOOL_START, str)
    assert f"{EventType.TOKEN}" == "token"


@each_kind
def test_type_enum_and_tag_str(kind: str) -> None:
    event = EVENTS[kind]
    assert event.type is EventType(kind)
    assert type(event.__struct_config__.tag) is str
    assert event.__struct_config__.tag == kind
    assert type(msgspec.to_builtins(event)["type"]) is str


@each_kind
@pytest.mark.parametrize("codec", [msgspec.json, msgspec.msgpack])
def test_event_round_trips(codec: Any, kind: str) -> None:
    encoded = codec.encode(EVENTS[kind])
    decoded = codec.decode(encoded, type=StreamEvent)
    assert decoded == EVENTS[kind]
    assert type(decoded) is type(EVENTS[kind])
    assert codec.decode(encoded)["type"] == kind


@pytest.mark.parametrize(
    ("kind", "content", "data"),
    [
        ("token", "Hel", {"section": "thought"}),
        ("reasoning", "Let me see.", {}),
        ("thought", "I need a tool.", {}),
        ("turn_start", "", {"number": 2}),
        (
            "turn_end",
            "",
            {"number": 2, "finish_reason": "stop", "usage": msgspec.to_builtins(USAGE)},
        ),
        (
            "tool_arguments",
            '{"a": 1',
            {"call_id": "call_1", "name": "add", "delta": '{"a": 1'},
        ),
        (
            "approval_request",
            "add",
            {"call_id": "call_1", "name": "add", "arguments": {"a": 1}},
        ),
        (
            "approval_answer",
            "Too much.",
            {
                "call_id": "call_1",
                "name": "add",
                "approved": False,
                "arguments": {"a": 1},
                "reason": "Too much.",
            },
        ),
        (
            "tool_start",
            "add",
            {"call_id": "call_1", "name": "add", "arguments": {"a": 1, "b": [None, "é"]}},
        ),
        ("tool_progress", "half", {"call_id": "call_1", "name": "add"}),
        (
            "tool_end",
            "3",
            {
                "call_id": "call_1",
                "name": "add",
                "result": "3",
                "duration": 0.25,
                "usage": None,
                "parts": [IMAGE],
                "estimated_usage": None,
            },
        ),
        ("partial", '{"a":[1]}', {"value": {"a": [1]}}),
        ("answer", "It is 3.", {}),
        ("handoff", "billing", {"name": "billing"}),
        ("reset", "Too fast.", {"scope": "turn"}),
        (
            "complete",
            "It is 3.",
            {
                "usage": msgspec.to_builtins(USAGE),
                "iterations": 2,
                "finish_reason": "stop",
                "estimated_usage": None,
                "pending": [],
            },
        ),
        ("error", "Too fast.", {}),
    ],
)
def test_all_kinds_share_properties(kind: str, content: str, data: dict[str, object]) -> None:
    event = EVENTS[kind]
    assert event.content == content
    assert event.data == data
    assert event.error == (INFO if kind in {"tool_end", "reset", "error"} else None)
    assert event.timestamp == 1.5
    assert msgspec.json.decode(msgspec.json.encode(event.data)) == data


@each_kind
def test_path_names_sub_agent(kind: str) -> None:
    assert EVENTS[kind].path == ()
    nested = replace(EVENTS[kind], path=("planner", "search"))
    encoded = msgspec.msgpack.encode(nested)
    assert msgspec.msgpack.decode(encoded, type=StreamEvent).path == ("planner", "search")
    assert nested.data == EVENTS[kind].data


@each_kind
def test_event_is_frozen(kind: str) -> None:
    with pytest.raises(AttributeError, match="immutable"):
        EVENTS[kind].timestamp = 2.0  # type: ignore[misc]  # that is the point


def test_event_has_creation_time() -> None:
    before = time.time()
    events: list[StreamEvent] = [Token("a"), ToolStart("c", "n"), ToolEnd("c", "n"), Complete()]
    assert all(before <= event.timestamp <= time.time() for event in events)


def test_default_arguments_are_not_shared() -> None:
    assert ToolStart("c", "n").arguments is not ToolStart("c", "n").arguments


def test_reset_has_its_cause() -> None:
    error = RateLimitError("Too fast.", provider="openai", status=429, request_id="req-1")
    assert Reset.of(error).error == INFO


def test_events_match_by_class() -> None:
    match EVENTS["tool_end"]:
        case ToolEnd(name=name, result=result, error=ErrorInfo(status=status)):
            assert (name, result, status) == ("add", "3", 429)
        case _:
            pytest.fail("no match")


def test_unknown_kind_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="Invalid value 'nonsense'"):
        msgspec.json.decode(b'{"type":"nonsense"}', type=StreamEvent)


@pytest.mark.parametrize(
    ("error", "info"),
    [
        (
            RateLimitError("Too fast.", provider="openai", status=429, request_id="req-1"),
            INFO,
        ),
        (
            AuthenticationError("No.", provider="p", status=401),
            ErrorInfo("AuthenticationError", "No.", "p", 401),
        ),
        (ConfigurationError("Bad."), ErrorInfo("ConfigurationError", "Bad.")),
        (KeyError("x"), ErrorInfo("KeyError", "'x'")),
        (KeyboardInterrupt(), ErrorInfo("KeyboardInterrupt", "")),
    ],
)
def test_error_info_describes_exception(error: BaseException, info: ErrorInfo) -> None:
    assert ErrorInfo.of(error) == info
