"""Anthropic's Messages API.

The format is Anthropic's API reference, "Messages" and "Streaming messages", and what 35 recorded
streams hold.
"""

from rxagents.wire.anthropic.parse import AnthropicParser
from rxagents.wire.anthropic.render import render_messages

__all__ = ["AnthropicParser", "render_messages"]
