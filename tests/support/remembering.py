"""Fill a memory, and read what it shows."""

from __future__ import annotations

from rxagents import Memory, Message, ToolCall
from rxagents.agents.exchanges import Exchange

WHO = "default"


def exchange(asked: str, answered: str = "yes") -> Exchange:
    return Message.user(asked), Message.assistant(answered)


def exchange_with_tool(asked: str, call_id: str = "call_1") -> Exchange:
    return (
        Message.user(asked),
        Message.assistant(ToolCall(call_id, "weather", '{"city": "Oslo"}')),
        Message.tool(call_id, "cold", name="weather"),
        Message.assistant("It is cold."),
    )


def remember(memory: Memory, *said: str | Exchange) -> None:
    """Keep exchanges, oldest first; a `str` is a question with the answer "yes"."""
    for each in said:
        kept = exchange(each) if isinstance(each, str) else each
        memory.remember(memory.recall(WHO, ()), kept, "")


def shown(memory: Memory, asked: str = "?") -> list[str]:
    """Return the question of each exchange that is shown before a new message."""
    recalled = memory.recall(WHO, (Message.user(asked),))
    return [messages[0].text for messages in recalled.shown]
