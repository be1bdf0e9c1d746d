"""Nest the events of an agent that runs inside a tool."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

from rxagents.core.errors import ToolError
from rxagents.core.events import Complete, StreamEvent, TurnEnd
from rxagents.core.usage import Usage, add_usage


class NestedEvents:
    """The events of one call whose function gives the stream of an agent's run.

    An agent that completes says its whole usage, also that of its own sub-agents and of a summary.
    Of one that fails only the turns that have ended are known.

    Args:
        name: The tool's name, which goes in front of each event's path.

    Attributes:
        output: The output of the agent; unset before its `Complete`.
        error: Why the output is no result: calls of the agent wait for decisions that are made
            later, and nothing resumes an agent inside a tool.
    """

    def __init__(self, name: str) -> None:
        self.output: object = UNSET
        self.error: ToolError | None = None
        self._name = name
        self._ended: Usage | None = None
        self._of_turns: Usage | None = None
        self._estimated: Usage | None = None  # estimates are never added to counts of a provider
        self._estimated_of_turns: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """The tokens of all attempts; `None` where none are known."""
        return add_usage(self._ended, self._of_turns)

    @property
    def estimated_usage(self) -> Usage | None:
        """Estimates for turns of all attempts that were ended early."""
        return add_usage(self._estimated, self._estimated_of_turns)

    def begin_attempt(self) -> None:
        """Keep the usage of the attempt before, and forget its output."""
        self._ended, self._of_turns = self.usage, None
        self._estimated, self._estimated_of_turns = self.estimated_usage, None
        self.output, self.error = UNSET, None

    def add(self, event: StreamEvent) -> StreamEvent:
        """Return the event with the tool's name in its path."""
        if isinstance(event, TurnEnd):
            if event.usage is not None and event.usage.estimated:
                self._estimated_of_turns = add_usage(self._estimated_of_turns, event.usage)
            else:
                self._of_turns = add_usage(self._of_turns, event.usage)
        elif isinstance(event, Complete) and not event.path:
            self.output = event.content
            self.error = _waits(self._name, event) if event.pending else None
            self._ended, self._of_turns = add_usage(self._ended, event.usage), None
            self._estimated = add_usage(self._estimated, event.estimated_usage)
            self._estimated_of_turns = None
        return replace(event, path=(self._name, *event.path))


def _waits(tool: str, event: Complete) -> ToolError:
    names = ", ".join(call.name for call in event.pending)
    return ToolError(
        f"The agent of the tool {tool!r} has no result: its calls of {names} wait for approval, "
        'and approve="defer" does not work inside a tool. Give that agent an approve function.'
    )
