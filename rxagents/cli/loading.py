"""Load agents and tools that the user names as `module:name`."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from reactivex import Observable

from rxagents.agents.function import FunctionAgent
from rxagents.agents.react import ReActAgent
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.tools import Tool
from rxagents.tools import calculator, current_time, http_request

AGENTS: dict[str, type[FunctionAgent] | type[ReActAgent]] = {
    "function": FunctionAgent,
    "react": ReActAgent,
}
TOOLS: dict[str, Tool] = {tool.name: tool for tool in (calculator, current_time, http_request)}


def load_agent(name: str) -> Any:
    """Return a class of `AGENTS`, or the user's agent.

    Raises:
        ConfigurationError: It cannot be imported, or has no `run_stream`.
    """
    if name in AGENTS:
        return AGENTS[name]
    agent = _load("--agent", name, AGENTS)
    if isinstance(agent, type) or not callable(getattr(agent, "run_stream", None)):
        raise ConfigurationError(
            f"--agent {name}: it is no agent but {_described(agent)}. Name an object with "
            "run_stream, such as a FunctionAgent."
        )
    return agent


def load_served(name: str) -> Any:
    """Return the user's agent, or a function of the user's that returns one.

    Raises:
        ConfigurationError: It cannot be imported, or is neither.
    """
    if ":" not in name:
        raise ConfigurationError(f"'{name}' is not MODULE:NAME, such as my_agents:agent.")
    found = _load("", name, {})
    is_agent = callable(getattr(found, "run_stream", None)) and not isinstance(found, type)
    if not is_agent and (not callable(found) or isinstance(found, type | Tool)):
        raise ConfigurationError(
            f"{name} is no agent but {_described(found)}. Name an object with run_stream, or a "
            "function that returns one."
        )
    return found


def load_for_mcp(name: str) -> Any:
    """Return what the user serves to MCP clients: an agent, a tool, or a sequence of them.

    A function that returns an agent is called for each run.

    Raises:
        ConfigurationError: It cannot be imported.
    """
    if ":" not in name:
        raise ConfigurationError(f"'{name}' is not MODULE:NAME, such as my_agents:agent.")
    found = _load("", name, {})
    is_agent = callable(getattr(found, "run_stream", None)) and not isinstance(found, type)
    if is_agent or (isinstance(found, Tool | Sequence) and not isinstance(found, str)):
        return found
    if not callable(found) or isinstance(found, type):
        raise ConfigurationError(
            f"{name} is no agent and no tool but {_described(found)}. Name an object with "
            "run_stream, an rxagents.tool, a list of them, or a function that returns an agent."
        )
    return _AgentOfEachRun(found)


class _AgentOfEachRun:
    """Starts each run with an agent of its own."""

    def __init__(self, make: Callable[[], Any]) -> None:
        self._make = make

    def run_stream(self, task: str) -> Observable[StreamEvent]:
        agent = self._make()
        if not callable(getattr(agent, "run_stream", None)):
            raise ConfigurationError(
                f"{getattr(self._make, '__name__', self._make)} must return an object with "
                f"run_stream, not {_described(agent)}. Mark a tool with @rxagents.tool."
            )
        events: Observable[StreamEvent] = agent.run_stream(task)
        return events


def load_tool(name: str) -> Tool:
    """Return a tool of `TOOLS`, or the user's tool.

    Raises:
        ConfigurationError: It cannot be imported, or is no tool.
    """
    if name in TOOLS:
        return TOOLS[name]
    tool = _load("--tool", name, TOOLS)
    if not isinstance(tool, Tool):
        raise ConfigurationError(
            f"--tool {name}: it is no tool but {_described(tool)}. Mark the function with "
            "@rxagents.tool."
        )
    return tool


def _described(value: object) -> str:
    return f"the class {value.__name__}" if isinstance(value, type) else type(value).__name__


def _load(option: str, name: str, known: dict[str, Any]) -> Any:
    module, colon, attribute = name.partition(":")
    if not (module and colon and attribute):
        choice = f"{', '.join(known)}, or " if known else ""
        raise ConfigurationError(
            f"{option} {name}".lstrip()
            + f" is unknown: use {choice}MODULE:NAME for one of your own."
        )
    folder = str(Path.cwd())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # a program started by its name does not look there
    try:
        value: Any = importlib.import_module(module)
        for part in attribute.split("."):
            value = getattr(value, part)
    except Exception as error:
        raise ConfigurationError(
            f"{option} {name} cannot be loaded: {type(error).__name__}: ".lstrip()
            + f"{str(error).removesuffix('.')}."
        ) from error
    return value
