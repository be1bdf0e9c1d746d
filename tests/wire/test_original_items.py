"""Stored items refer to a message's text and calls, as long as these are unchanged."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import pytest

from rxagents import Message, ToolCall
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items

ADD, SUB = ToolCall("a", "add"), ToolCall("b", "sub")
THOUGHT: dict[str, Any] = {"thinking": "hm"}
ITEMS: list[dict[str, Any]] = [{"length": 3}, THOUGHT, {"call": "a"}, {"length": 2}, {"call": "b"}]
MESSAGE = Message.assistant("Hello", ADD, SUB)


def reference_of(item: dict[str, Any]) -> Reference:
    return item.get("length", item.get("call"))


def resolve(message: Message, items: list[dict[str, Any]] | None) -> list[ResolvedItem] | None:
    return resolve_items(message, items, reference_of, attrgetter("id"))


def test_references_are_resolved_in_order() -> None:
    resolved = resolve(MESSAGE, ITEMS)
    assert resolved is not None
    assert [part for _, part in resolved] == ["Hel", None, ADD, "lo", SUB]
    assert [item for item, _ in resolved] == ITEMS


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(Message.assistant("Hello!", ADD, SUB), id="text"),
        pytest.param(Message.assistant("Hello", ADD), id="fewer calls"),
        pytest.param(Message.assistant("Hello", SUB, ADD), id="order of calls"),
    ],
)
def test_edited_messages_are_not_resolved(message: Message) -> None:
    assert resolve(message, ITEMS) is None


@pytest.mark.parametrize("items", [None, []], ids=["none", "empty"])
def test_messages_without_items_are_not_resolved(items: list[dict[str, Any]] | None) -> None:
    assert resolve(Message.assistant(), items) is None
