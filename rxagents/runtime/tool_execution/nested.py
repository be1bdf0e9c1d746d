"""Nest the events of an agent that runs inside a tool."""

from __future__ import annotations

from msgspec import UNSET
from msgspec.structs import replace

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
    """

    def __init__(self, name: str) -> None:
        self.output: object = UNSET
        self._name = name
        self._ended: Usage | None = None
        self._of_turns: Usage | None = None

    @property
    def usage(self) -> Usage | None:
        """The tokens of all attempts; `None` where none are known."""
        return add_usage(self._ended, self._of_turns)

    def begin_attempt(self) -> None:
        """Keep the usage of the attempt before, and forget its output."""
        self._ended, self._of_turns = self.usage, None
        self.output = UNSET

    def add(self, event: StreamEvent) -> StreamEvent:
        """Return the event with the tool's name in its path."""
        if isinstance(event, TurnEnd):
            self._of_turns = add_usage(self._of_turns, event.usage)
        elif isinstance(event, Complete) and not event.path:
            self.output = event.content
            self._ended, self._of_turns = add_usage(self._ended, event.usage), None
        return replace(event, path=(self._name, *event.path))
