"""The demonstration: a scripted answer, over real HTTP."""

from __future__ import annotations

import aiohttp

from rxagents.cli.meter import Meter
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.usage import Usage
from rxagents.providers.openai import OpenAI
from rxagents.testing import Reply, ScriptedServer

_PROMPT = "What is rxagents?"

_TEXT = """\
rxagents turns every LLM stream into an Observable, and every agent into a composition of \
operators. Each token that you see has just come over HTTP, through a parser that does not mind \
how the bytes are cut.

Subscribe, and the request is sent. Dispose, and the connection is closed within milliseconds. \
A slow reader slows the socket, not the memory. A stream that is cut short is an error, never a \
success, and no error ever shows your key.
"""

_REPLY = Reply(
    _TEXT,
    usage=Usage(
        input_tokens=12, output_tokens=len(_TEXT.split()), total_tokens=12 + len(_TEXT.split())
    ),
    delay=0.2,
    interval=0.02,
)


async def show_demo(view: View, stop: StopSignals) -> Meter:
    """Show the scripted answer.

    Args:
        view: What to show it with.
        stop: What signals do.

    Returns:
        What was measured.
    """
    async with (
        ScriptedServer(_REPLY) as server,
        aiohttp.ClientSession() as session,  # the model's own would honour the user's proxy
    ):
        llm = OpenAI("demo", api_key="demo", base_url=server.url, session=session)
        return await show(llm.chat_stream(_PROMPT), view, stop)
