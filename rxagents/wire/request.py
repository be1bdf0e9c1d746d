"""What a wire renders: one request, independent of the provider."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.messages import Message
from rxagents.core.settings import Settings
from rxagents.core.tools import Tool


class ChatRequest(Struct, frozen=True):
    """A conversation to answer.

    Attributes:
        model: The model's name.
        messages: The conversation; at least one message.
        tools: What the model may call.
        settings: How to generate.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    settings: Settings = Settings()
