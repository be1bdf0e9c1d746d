"""Ollama's own API for chat and completion: one JSON object a line.

Sources: Ollama's API documentation, and 18 recorded streams.
"""

from rxagents.wire.ollama.parse import OllamaParser
from rxagents.wire.ollama.render import render_chat, render_generate

__all__ = ["OllamaParser", "render_chat", "render_generate"]
