"""The parser of each path that `rxagents.testing` serves."""

from __future__ import annotations

from typing import Any

from rxagents.testing.wires import WIRES
from rxagents.wire.anthropic import AnthropicParser
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.gemini import GeminiParser
from rxagents.wire.ollama import OllamaParser
from rxagents.wire.responses import ResponsesParser

PARSERS: dict[str, Any] = {
    "/chat/completions": ChatCompletionsParser,
    "/messages": AnthropicParser,
    ":streamGenerateContent": GeminiParser,
    "/responses": ResponsesParser,
    "/api/chat": OllamaParser,
    "/api/generate": OllamaParser,
}
CHATS = [wire for wire in WIRES if wire.path != "/api/generate"]
