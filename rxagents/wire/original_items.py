"""Sends an assistant's message back as the provider's own items, as it streamed them.

Some providers require more back than a message can hold: thinking signatures, citations, items
of their hosted tools, and the order of all of them. A parser puts these items into the message's
`provider_data`. An item that is text or a tool call is stored there only as a reference to the
message, so that nothing is stored twice and a message that was edited is noticed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from rxagents.core.messages import Message, ToolCall

Item: TypeAlias = dict[str, Any]

Reference: TypeAlias = int | str | None
"""The part of a message that an item stands for: a length of its text, the key of a tool call, or
nothing. Items refer to the text and to the calls in order."""

ResolvedItem: TypeAlias = tuple[Item, str | ToolCall | None]
"""An item, and the text or the tool call that it refers to."""


def resolve_items(
    message: Message,
    items: Sequence[Item] | None,
    reference_of: Callable[[Item], Reference],
    key_of: Callable[[ToolCall], str],
) -> list[ResolvedItem] | None:
    """Pair each stored item with the text or the tool call that it refers to.

    Args:
        message: The assistant's message.
        items: The items in its `provider_data`; `None` if the wire stored none.
        reference_of: Returns what an item refers to.
        key_of: Returns the key of a tool call: its id, or its name.

    Returns:
        `None` if there are no items, or if text or calls of the message were changed since.
    """
    references = [reference_of(item) for item in items or ()]
    length = sum(reference for reference in references if isinstance(reference, int))
    keys = [reference for reference in references if isinstance(reference, str)]
    text, calls = message.text, message.tool_calls
    if not items or length != len(text) or keys != [key_of(call) for call in calls]:
        return None
    resolved: list[ResolvedItem] = []
    start, remaining = 0, iter(calls)
    for item, reference in zip(items, references, strict=True):
        if isinstance(reference, int):
            resolved.append((item, text[start : start + reference]))
            start += reference
        else:
            resolved.append((item, None if reference is None else next(remaining)))
    return resolved
