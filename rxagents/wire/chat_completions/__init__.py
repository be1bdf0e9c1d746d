"""OpenAI's chat completions, as OpenAI and the many compatible hosts speak them.

The format is OpenAI's API reference, "Chat Completions"; the dialects are what 1,626 recorded
streams of some thirty hosts hold. Figures in comments count those streams.
"""

from rxagents.wire.chat_completions.parse import ChatCompletionsParser
from rxagents.wire.chat_completions.render import render_chat

__all__ = ["ChatCompletionsParser", "render_chat"]
