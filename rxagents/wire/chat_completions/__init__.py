"""OpenAI's chat completions, in the dialects of OpenAI and the many compatible hosts.

Sources: OpenAI's API reference, "Chat Completions", and 1,626 recorded streams of some thirty
hosts. Figures in comments count those streams.
"""

from rxagents.wire.chat_completions.host import ChatHost
from rxagents.wire.chat_completions.parse import ChatCompletionsParser
from rxagents.wire.chat_completions.render import render_chat

__all__ = ["ChatCompletionsParser", "ChatHost", "render_chat"]
