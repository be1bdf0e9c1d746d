"""Gemini's generateContent, streamed as server-sent events.

Sources: Google's API reference, "Generating content", and 30 recorded streams.
"""

from rxagents.wire.gemini.parse import GeminiParser
from rxagents.wire.gemini.render import render_contents

__all__ = ["GeminiParser", "render_contents"]
