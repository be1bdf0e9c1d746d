"""One request, independent of the provider; a wire renders it as a body."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.messages import Message
from rxagents.core.settings import Settings
from rxagents.core.tools import Tool


class ChatRequest(Struct, frozen=True):
    """A conversation that a model is to continue.

    Attributes:
        model: The model's name.
        messages: The conversation; at least one message.
        tools: The tools that the model may call.
        settings: The generation settings.
    """

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    settings: Settings = Settings()
