"""Define the exchange, the unit in which conversations are kept and shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from rxagents.core.messages import Message, ToolCall, ToolResult

Exchange: TypeAlias = tuple[Message, ...]
"""The user's messages, the tool calls with their results, and the answer. It is kept and shown as a
whole, because no provider accepts a tool's result without its call."""


def message_text(message: Message) -> str:
    """Return a message's text, calls and results, without images, files and reasoning."""
    texts = [message.text]
    for part in message.parts:
        if isinstance(part, ToolCall):
            texts.append(f"{part.name} {part.arguments}")
        elif isinstance(part, ToolResult):
            texts.append(part.content)
    return "\n".join(filter(None, texts))


def is_whole(exchange: Exchange) -> bool:
    """Return whether the exchange has messages, each call a result and each result a call."""
    calls = [call.id for message in exchange for call in message.tool_calls]
    results = [
        part.call_id
        for message in exchange
        for part in message.parts
        if isinstance(part, ToolResult)
    ]
    return bool(exchange) and sorted(calls) == sorted(results)


def whole_part(messages: Sequence[Message]) -> Exchange:
    """Return the longest beginning of `messages` in which each call has its result."""
    end = len(messages)
    while end and not is_whole(tuple(messages[:end])):
        end -= 1
    return tuple(messages[:end])
