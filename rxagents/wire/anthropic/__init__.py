"""Anthropic's Messages API.

Sources: Anthropic's API reference, "Messages" and "Streaming messages", and 35 recorded streams.
"""

from rxagents.wire.anthropic.parse import AnthropicParser
from rxagents.wire.anthropic.render import render_messages

__all__ = ["AnthropicParser", "render_messages"]
