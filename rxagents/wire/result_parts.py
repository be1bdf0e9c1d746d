"""Sends the images and files of tool results to APIs that take only text in a result.

They follow in a user message after all results of the turn, the only place where such an API shows
them to the model; pydantic-ai 2.68 does the same. OpenAI refuses them in a result: "Image URLs are
only allowed for messages with role 'user'".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import TypeAlias

from rxagents.core.messages import ContentPart, Message, Part, TextPart, ToolResult

Accepts: TypeAlias = Callable[[ContentPart], bool]
"""Returns whether an API takes a part in a result."""


def accepts_text(part: ContentPart) -> bool:
    """Accept text alone."""
    return isinstance(part, TextPart)


def with_parts_after_results(
    messages: Sequence[Message], accepts: Accepts = accepts_text
) -> tuple[Message, ...]:
    """Return the conversation with the images and files of results in user messages after them.

    Args:
        messages: The conversation.
        accepts: Returns whether the API takes a part in a result; by default it takes text alone.
    """
    sent: list[Message] = []
    for is_result, group in groupby(messages, lambda message: message.role == "tool"):
        together = list(group)
        sent += together
        parts = tuple(_left_out(together, accepts)) if is_result else ()
        if parts:
            sent.append(Message("user", parts))
    return tuple(sent)


def _left_out(messages: Sequence[Message], accepts: Accepts) -> Iterator[Part]:
    """Yield the parts that the API takes in no result, those of each result after a sentence."""
    results = [part for message in messages for part in message.parts]
    for number, result in enumerate(results, 1):
        if not isinstance(result, ToolResult):
            continue
        parts = [part for part in result.parts if not accepts(part)]
        if parts:
            name = result.name or "the tool"
            of = f"result {number} of {len(results)}" if len(results) > 1 else "the result"
            yield TextPart(f"This belongs to {of} ({name}) and does not come from the user:")
            yield from parts
