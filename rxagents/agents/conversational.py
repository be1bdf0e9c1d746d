"""The agent that remembers its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

from rxagents.agents.agent_options import AgentOptions
from rxagents.agents.conversation import Conversation
from rxagents.agents.conversation_run import OnStop
from rxagents.agents.function import FunctionAgent
from rxagents.agents.memory import Memory
from rxagents.core.protocols import OutputT, StreamingLLM
from rxagents.core.tools import Tool, ToolLike


class ConversationalAgent(Conversation[OutputT]):
    """A `FunctionAgent` in a `Conversation`: `Conversation(FunctionAgent(…), memory=…)`.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        memory: What is kept, and how much of it the model is shown; by default everything.
        on_stop: What memory keeps of a run that is stopped or disposed: `"drop"` or `"keep"`; see
            `Conversation`.
        output_type: The type of the answers; see `FunctionAgent`.
        **options: See `AgentOptions`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    agent: FunctionAgent[OutputT]

    def __init__(
        self,
        llm: StreamingLLM,
        tools: Sequence[ToolLike] = (),
        *,
        memory: Memory | None = None,
        on_stop: OnStop = "drop",
        output_type: type[OutputT] | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        if options.get("name") is None:
            options["name"] = type(self).__name__
        agent = FunctionAgent(llm, tools, output_type=output_type, **options)
        super().__init__(agent, memory=memory, on_stop=on_stop)

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of runs that start from now on."""
        return self.agent.tools

    def add_tool(self, tool: ToolLike) -> None:
        """Add a tool for later runs; see `FunctionAgent.add_tool`."""
        self.agent.add_tool(tool)
