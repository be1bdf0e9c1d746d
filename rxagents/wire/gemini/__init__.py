"""Gemini's generateContent, streamed as server-sent events.

The format is Google's API reference, "Generating content", and what 30 recorded streams hold.
"""

from rxagents.wire.gemini.parse import GeminiParser
from rxagents.wire.gemini.render import render_contents

__all__ = ["GeminiParser", "render_contents"]
