"""Run the demonstration: an agent with a scripted model, over local HTTP."""

from __future__ import annotations

import aiohttp

from rxagents.agents.react import ReActAgent
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.usage import Usage
from rxagents.operators import Measurement
from rxagents.providers.openai import OpenAI
from rxagents.testing import Reply, ScriptedServer
from rxagents.tools import calculator

TASK = "How many seconds does a leap year have?"

_THINK = """\
Thought: A leap year has 366 days of 24 hours, each with 60 minutes of 60 seconds. I calculate \
that with a tool.
Action: calculator(expression="366 * 24 * 60 * 60")"""

_ANSWER = """\
Thought: That is the number.
Answer: A leap year has 31,622,400 seconds.

This run is one Observable. The model's text came over HTTP, token by token; one operator parsed \
the thought and the action while they arrived, another ran the tool. If you dispose the \
subscription, the request and the tool are cancelled within milliseconds."""


def _reply(text: str, tokens: int) -> Reply:
    count = len(text.split())
    usage = Usage(input_tokens=tokens, output_tokens=count, total_tokens=tokens + count)
    return Reply(text, usage=usage, delay=0.2, interval=0.02)


async def show_demo(view: View, stop: StopSignals) -> Measurement:
    """Show a run of a ReAct agent.

    Args:
        view: The view that shows the events.
        stop: The handler of stop signals.

    Returns:
        The measurement of the stream.
    """
    async with (
        ScriptedServer(_reply(_THINK, 180), _reply(_ANSWER, 240)) as server,
        aiohttp.ClientSession() as session,  # the model's own session would use the user's proxy
    ):
        llm = OpenAI("demo", api_key="demo", base_url=server.url, session=session)
        return await show(ReActAgent(llm, [calculator]).run_stream(TASK), view, stop)
