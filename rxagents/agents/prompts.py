"""Puts an agent's system prompt before a conversation that may contain system prompts already."""

from __future__ import annotations

from collections.abc import Sequence

from rxagents.core.messages import Message, TextPart

_MARK = {"agent": {"is_system_prompt": True}}
"""The `provider_data` of an agent's system prompt.

It marks the prompt, unlike the user's own system messages, also after the messages of a result
were stored as JSON. No wire sends it."""


def system_prompt(text: str) -> Message:
    """Return the system message of an agent."""
    return Message("system", (TextPart(text),), provider_data={**_MARK})


def with_prompt(prompt: Message | None, messages: Sequence[Message]) -> tuple[Message, ...]:
    """Return `messages` after `prompt`, without the prompts of earlier runs.

    `AgentResult.messages` begins with the prompt of the agent that ran, and is often passed on to
    the next run, of this agent or of another. System messages that the user wrote stay.

    Args:
        prompt: The agent's prompt; without one the messages stay as they are.
        messages: What the run starts from.
    """
    if prompt is None:
        return tuple(messages)
    return (prompt, *(each for each in messages if not _is_replaced(each, prompt.text)))


def without_prompts(messages: Sequence[Message]) -> list[Message]:
    """Return `messages` without the system prompts of agents."""
    return [each for each in messages if not _is_marked(each)]


def count_of_new(messages: Sequence[Message], new: Sequence[Message]) -> int:
    """Return how many of `new` are at the end of `messages`: `with_prompt` may drop some."""
    start = len(messages)
    for message in reversed(new):
        if start and messages[start - 1] is message:
            start -= 1
    return len(messages) - start


def _is_replaced(message: Message, own: str) -> bool:
    return message.role == "system" and (_is_marked(message) or message.text == own)


def _is_marked(message: Message) -> bool:
    return message.provider_data.get("agent") == _MARK["agent"]
