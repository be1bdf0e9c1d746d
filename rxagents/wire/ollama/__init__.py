"""Ollama's own API: one JSON object a line, for chat and for completion.

The format is Ollama's API documentation, and what 18 recorded streams hold.
"""

from rxagents.wire.ollama.parse import OllamaParser
from rxagents.wire.ollama.render import render_chat, render_generate

__all__ = ["OllamaParser", "render_chat", "render_generate"]
