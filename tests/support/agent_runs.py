"""Helpers for the tests of agents: both kinds of agents, recorded runs, waiting tools."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from observing import Seen, settle
from reactivex import Observable
from wires import SpokenWire

from rxagents import (
    Complete,
    ErrorEvent,
    ErrorInfo,
    FunctionAgent,
    ReActAgent,
    StreamEvent,
    Tool,
    ToolArguments,
    ToolCall,
    TurnEnd,
    TurnStart,
    tool,
)
from rxagents.providers.provider import Provider
from rxagents.testing import Reply, ScriptedServer


class AgentKind(ABC):
    """One of the agents without memory, and the replies of its model.

    Attributes:
        name: The id of the test.
        make: Makes the agent.
    """

    name: str
    make: Callable[..., Any]

    def calls(self, *calls: tuple[str, dict[str, Any]], **fields: Any) -> Reply:
        """Return a model's turn that calls tools."""
        return self.raw_calls(*((name, json.dumps(given)) for name, given in calls), **fields)

    @abstractmethod
    def raw_calls(self, *calls: tuple[str, str], **fields: Any) -> Reply:
        """Return a model's turn that calls tools with arguments as text."""

    @abstractmethod
    def answers(self, text: str, **fields: Any) -> Reply:
        """Return a model's turn that answers."""


class Function(AgentKind):
    name = "function"
    make = FunctionAgent

    def raw_calls(self, *calls: tuple[str, str], **fields: Any) -> Reply:
        made = [ToolCall(f"call_{n}", *call) for n, call in enumerate(calls)]
        return Reply(**fields, tool_calls=made)

    def answers(self, text: str, **fields: Any) -> Reply:
        return Reply(text, **fields)


class ReAct(AgentKind):
    name = "react"
    make = ReActAgent

    def raw_calls(self, *calls: tuple[str, str], **fields: Any) -> Reply:
        thought = fields.pop("text", "I need a tool.")
        lines = [f"Action: {name}({arguments})\n" for name, arguments in calls]
        return Reply(f"Thought: {thought}\n" + "".join(lines), **fields)

    def answers(self, text: str, **fields: Any) -> Reply:
        return Reply(f"Thought: I know.\nAnswer: {text}", **fields)


AGENTS: list[AgentKind] = [Function(), ReAct()]
each_agent = pytest.mark.parametrize("agent", AGENTS, ids=lambda agent: agent.name)


@asynccontextmanager
async def served(
    wire: SpokenWire, *replies: Any, strict: bool = True, **arguments: Any
) -> AsyncIterator[tuple[ScriptedServer, Provider]]:
    """Serve replies to a model of a wire; refuse requests that the provider would refuse."""
    async with ScriptedServer(*replies, strict=strict) as server:
        arguments = {"max_retries": 0, **arguments}
        async with wire.model(wire.url_of(server), **arguments) as llm:
            yield server, llm


class RunSeen(Seen):
    """A subscriber that records a run; its items are events.

    `events` and `kinds` leave out the bounds of turns and the fragments of arguments, which
    `test_turn_events` tests; `items` has them.
    """

    @property
    def events(self) -> list[StreamEvent]:
        return [item for item in self.items if not isinstance(item, _DETAILS)]

    @property
    def kinds(self) -> list[str]:
        """The kinds of the events, a row of equal ones as one."""
        kinds = [str(event.type) for event in self.events]
        return [kind for n, kind in enumerate(kinds) if n == 0 or kinds[n - 1] != kind]

    def dispose(self) -> None:
        self.subscription.dispose()

    async def assert_silent(self) -> None:
        """Dispose; check that nothing follows, and that there was no terminal."""
        count = len(self.items)
        self.dispose()
        await settle()
        assert len(self.items) == count
        assert (self.error, self.completed) == (None, False)

    def assert_failed(self, kind: type[Exception]) -> None:
        """Check that the run ended with one `ErrorEvent` and `on_error`, without `Complete`."""
        assert isinstance(self.error, kind), self.error
        assert len(self.all(ErrorEvent)) == 1
        assert self.events[-1].error == ErrorInfo.of(self.error)
        assert not self.completed
        assert not self.all(Complete)


_DETAILS = (TurnStart, TurnEnd, ToolArguments)


async def seen_to_end(stream: Observable[StreamEvent]) -> RunSeen:
    """Subscribe, and wait for the end."""
    seen = RunSeen(stream)
    await seen.over.wait()
    return seen


class HeldTool:
    """A tool, `held`, that runs until it is released or cancelled.

    Attributes:
        running: Set while it runs.
        cancelled: Set when it was cancelled.
        release: Set it to let the tool return `done`.
    """

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self.cancelled = asyncio.Event()
        self.release = asyncio.Event()
        self.tool: Tool = tool(name="held")(self._held)

    async def _held(self, note: str = "") -> str:
        self.running.set()
        try:
            await self.release.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        return "done"


class Calls:
    """Counts the calls of its tools.

    Attributes:
        made: The names and arguments, in order.
    """

    def __init__(self) -> None:
        self.made: list[tuple[str, dict[str, Any]]] = []

    def weather(self) -> Tool:
        """Return the tool `weather`."""

        @tool
        async def weather(city: str, days: int = 1) -> str:
            """Tell the weather.

            Args:
                city: Where.
                days: For how many days.
            """
            self.made.append(("weather", {"city": city, "days": days}))
            return f"{city} is cold"

        return weather
