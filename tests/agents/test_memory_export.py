"""`Memory.export` and `Memory.load`."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from remembering import (
    WHO,
    conversation_in,
    done,
    exchange,
    exchange_with_tool,
    recall,
    remember,
    shown,
)

import rxagents
from rxagents import (
    FilePart,
    ImagePart,
    Memory,
    Message,
    ReasoningPart,
    StoredConversation,
    TextPart,
    ToolCall,
)

EVERYTHING = (
    Message("system", (TextPart("From now on in verse."),)),
    Message(
        "user",
        (
            TextPart("Wéather? 😀", {"anthropic": {"cache_control": {"type": "ephemeral"}}}),
            ImagePart(data=b"\x89PNG\x00\xff", media_type="image/png", detail="low"),
            ImagePart("https://example.com/a.png"),
            FilePart(b"%PDF", "a.pdf"),
            FilePart(file_id="file_1"),
        ),
        name="eva",
    ),
    Message(
        "assistant",
        (
            ReasoningPart("Two cities.", {"anthropic": {"signature": "c2lnbmVk"}}),
            TextPart("Let me look."),
            ToolCall("call_1", "weather", '{"city": "Oslo"}', {"gemini": {"thought": "x"}}),
            ToolCall("call_2", "weather", ""),
        ),
        provider_data={"openai_responses": {"items": [{"id": "rs_1", "n": [1, 2.5, None, True]}]}},
    ),
    Message.tool("call_1", "cold", name="weather"),
    Message.tool("call_2", "Error: no city", name="weather", is_error=True),
    Message.assistant("It is cold."),
)


def test_all_parts_survive_the_round_trip() -> None:
    memory, other = Memory(), Memory()
    remember(memory, EVERYTHING, "two")
    exported = done(memory.export(WHO))
    json.loads(exported)
    done(other.load("elsewhere", exported))
    assert conversation_in(other, "elsewhere") == conversation_in(memory)
    assert done(other.export("elsewhere")) == exported


def test_summary_survives_the_round_trip() -> None:
    memory, other = Memory("summarize", max_messages=2), Memory()
    memory.remember(recall(memory), exchange("three"), "They said one and two.")
    done(other.load(WHO, done(memory.export(WHO)).encode()))
    assert conversation_in(other) == StoredConversation(
        (exchange("three"),), "They said one and two."
    )


@given(st.lists(st.lists(st.text(st.characters(exclude_categories=["Cs"])), min_size=1)))
def test_any_text_survives_the_round_trip(said: list[list[str]]) -> None:
    memory, other = Memory(), Memory()
    remember(memory, *(tuple(map(Message.user, texts)) for texts in said))
    done(other.load(WHO, done(memory.export(WHO))))
    assert conversation_in(other) == conversation_in(memory)


def test_load_replaces_the_conversation() -> None:
    memory, other = Memory("window", max_messages=4), Memory()
    remember(other, "a", "b")
    remember(memory, "old")
    done(memory.load(WHO, done(other.export(WHO))))
    remember(memory, "c")
    assert shown(memory) == ["b", "c"]
    assert shown(other) == ["a", "b"]


def test_unknown_conversation_exports_as_empty() -> None:
    memory = Memory()
    remember(memory, "one")
    done(memory.load(WHO, done(memory.export("unknown"))))
    assert shown(memory) == []


CALL = {"type": "tool_call", "id": "call_1", "name": "f"}
RESULT = {"type": "tool_result", "call_id": "call_1", "content": "x"}
DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000


def stored(*messages: Any, **others: Any) -> str:
    return json.dumps({"exchanges": [list(messages)], "summary": "", **others})


def message(role: str, *parts: Any) -> dict[str, Any]:
    return {"role": role, "parts": list(parts)}


@pytest.mark.parametrize(
    "exported",
    [
        "",
        "no JSON",
        "null",
        "[]",
        "{}",
        '{"exchanges": []}',
        '{"messages": [], "exchanges": [], "summary": ""}',
        '{"exchanges": [], "summary": 7}',
        '{"exchanges": [], "summary": ""} and more',
        stored(),
        stored("hello"),
        stored(message("robot", {"type": "text", "text": "x"})),
        stored(message("user", {"type": "song"})),
        stored(message("user", {"type": "image"})),
        stored(message("user", CALL)),
        stored(message("assistant", CALL)),
        stored(message("tool", RESULT)),
        stored(message("assistant", CALL), message("tool", {**RESULT, "call_id": "call_2"})),
        f'{{"exchanges": [], "summary": "", "x": {DEEP}}}',
        f'{{"exchanges": [], "summary": {DEEP}}}',
        b"\xff\xfe",
        "\ud800",
        None,
        7,
        ["x"],
    ],
    ids=[
        "empty",
        "no JSON",
        "null",
        "list",
        "empty object",
        "no summary",
        "unknown field",
        "summary of another type",
        "trailing text",
        "empty exchange",
        "no message",
        "unknown role",
        "unknown part",
        "invalid part",
        "call of the user",
        "call without result",
        "result without call",
        "result of another call",
        "deep unknown field",
        "deep summary",
        "no UTF-8",
        "surrogate",
        "None",
        "int",
        "not bytes",
    ],
)
def test_invalid_export_changes_nothing(exported: Any) -> None:
    memory = Memory()
    remember(memory, exchange_with_tool("one"))
    before = done(memory.export(WHO))
    with pytest.raises(rxagents.ConfigurationError, match="not an exported conversation"):
        done(memory.load(WHO, exported))
    assert done(memory.export(WHO)) == before


@pytest.mark.parametrize(("depth", "is_taken"), [(120, True), (300, False)])
def test_export_may_be_256_levels_deep(depth: int, is_taken: bool) -> None:
    nested: Any = 1
    for _ in range(depth):
        nested = [nested]
    memory = Memory()
    remember(memory, (Message("user", (TextPart("x", {"gemini": {"a": nested}}),)),))
    exported = done(memory.export(WHO))
    if is_taken:
        done(memory.load(WHO, exported))
        assert done(memory.export(WHO)) == exported
    else:
        with pytest.raises(rxagents.ConfigurationError, match="nested more than 256 levels"):
            done(memory.load(WHO, exported))


def test_export_with_calls_is_loaded() -> None:
    calls = stored(message("assistant", CALL), message("tool", RESULT))
    memory = Memory()
    done(memory.load(WHO, calls))
    assert len(conversation_in(memory).exchanges) == 1
