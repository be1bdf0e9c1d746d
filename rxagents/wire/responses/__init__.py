"""OpenAI's Responses API.

Sources: OpenAI's API reference, "Responses" and "Streaming events", and 25 recorded streams of six
hosts.
"""

from rxagents.wire.responses.parse import ResponsesParser
from rxagents.wire.responses.render import render_response

__all__ = ["ResponsesParser", "render_response"]
