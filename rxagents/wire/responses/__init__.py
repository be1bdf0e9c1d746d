"""OpenAI's Responses API.

The format is OpenAI's API reference, "Responses" and "Streaming events", and what 25 recorded
streams of six hosts hold.
"""

from rxagents.wire.responses.parse import ResponsesParser
from rxagents.wire.responses.render import render_response

__all__ = ["ResponsesParser", "render_response"]
