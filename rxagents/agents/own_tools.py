"""Hold the tools of an agent, some of which may change between its runs."""

from __future__ import annotations

from collections.abc import Sequence

from rxagents.core.live_tools import LiveTools
from rxagents.core.tools import Tool, ToolLike, to_tools


class OwnTools:
    """The tools of an agent.

    Args:
        tools: As the caller gave them.

    Raises:
        ConfigurationError: They are not usable.
    """

    def __init__(self, tools: Sequence[ToolLike]) -> None:
        to_tools(tools)  # raises here also for a name that a live tool has
        given = (tools,) if isinstance(tools, LiveTools) else tools
        self._live = tuple(item for item in given if isinstance(item, LiveTools))
        self._fixed = to_tools([item for item in given if not isinstance(item, LiveTools)])

    def now(self) -> tuple[Tool, ...]:
        """Return the tools of a run that starts now.

        Raises:
            ConfigurationError: A tool that is new has a name that is taken.
        """
        return to_tools((*self._fixed, *self._live)) if self._live else self._fixed

    def add(self, tool: ToolLike) -> None:
        """Add a tool.

        Raises:
            ConfigurationError: It is not usable, or its name is taken.
        """
        to_tools((*self.now(), tool))
        if isinstance(tool, LiveTools):
            self._live = (*self._live, tool)
        else:
            self._fixed = to_tools((*self._fixed, tool))
