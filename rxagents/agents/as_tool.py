"""Make a tool of an agent, so that another agent can give it tasks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta
from reactivex import Observable

from rxagents.core.events import StreamEvent
from rxagents.core.tools import Tool, tool


def agent_tool(
    run_stream: Callable[[str], Observable[StreamEvent]], name: str, description: str
) -> Tool:
    """Return a tool that gives its task to an agent, and whose result is the agent's output.

    The agent's events are part of the outer run's stream, with the tool's name in their `path`. To
    dispose the outer run disposes the agent's, with its request and its tools. The outer run's
    limits of tool calls and time hold for it. Its tokens count in the outer run's usage and limit
    when it has ended, or with each `TurnEnd` that it emits. If it fails, its error is the tool's
    error, which the outer agent's model sees.

    Any tool that returns or yields an agent's events is treated in the same way.

    Args:
        run_stream: Starts a run of the agent.
        name: The tool's name.
        description: What the agent can do and when to use it, written for the outer model.

    Raises:
        ConfigurationError: The name is not usable.
    """

    def ask(
        task: Annotated[str, Meta(description="What to do, with all that has to be known for it.")],
    ) -> Observable[StreamEvent]:
        return run_stream(task)

    return tool(ask, name=name, description=description)
