"""Fill a memory, and read what it shows."""

from __future__ import annotations

from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

from rxagents import Memory, MemoryStore, Message, StoredConversation, ToolCall
from rxagents.agents.memory import Recollection
from rxagents.core.exchange import Exchange

T = TypeVar("T")

WHO = "default"


def done(coroutine: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that waits for nothing, such as a `Memory`'s with a `MemoryStore`."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    coroutine.close()
    raise AssertionError("the coroutine waits")


def conversation_in(memory: Memory, conversation_id: str = WHO) -> StoredConversation:
    """Return the conversation that a `MemoryStore` holds."""
    return done(memory.conversation(conversation_id))


def recall(memory: Memory, new: Iterable[Message] = (), conversation_id: str = WHO) -> Recollection:
    """Return what a run would start from."""
    assert isinstance(memory.store, MemoryStore)
    return memory.recall(conversation_id, memory.store.read(conversation_id), new)


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
        said_now = exchange(each) if isinstance(each, str) else each
        memory.remember(recall(memory), said_now, "")


def shown(memory: Memory, asked: str = "?") -> list[str]:
    """Return the question of each exchange that is shown before a new message."""
    recalled = recall(memory, (Message.user(asked),))
    return [messages[0].text for messages in recalled.shown]
