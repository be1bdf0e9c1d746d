"""What all agents have: a model, tools, limits, and a run as a stream or as one value."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Unpack, cast

import reactivex as rx
from reactivex import Observable

from rxagents.agents.limits import RunLimits
from rxagents.agents.run import Run, Turn
from rxagents.agents.turns import Events, run_turns
from rxagents.core.chunks import StreamChunk
from rxagents.core.conversation import to_messages
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult, Messages, StreamingLLM
from rxagents.core.settings import Settings, SettingsArguments
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.operators.run_tools import StartTools, run_tools
from rxagents.operators.scan_steps import Step
from rxagents.runtime.last_value import last_value
from rxagents.runtime.tool_execution.approval import Approve


class AgentOptions(SettingsArguments, total=False):
    """What every agent takes beside its model and tools; generation settings go to the model.

    Attributes:
        max_iterations: Turns of the model in one run; 10 by default.
        max_tool_calls: Calls of tools in one run; no limit by default.
        max_total_tokens: Tokens of one run, looked at between turns; no limit by default.
        max_seconds: How long one run may take; no limit by default.
        tool_concurrency: How many tools of a turn may run at a time; 8 by default.
        start_tools: `"at_once"`, when a call is whole, or at `"turn_end"`.
        approve: Asked before a tool runs that requires approval; may be a coroutine function.
    """

    max_iterations: int
    max_tool_calls: int | None
    max_total_tokens: int | None
    max_seconds: float | None
    tool_concurrency: int
    start_tools: StartTools
    approve: Approve | None


class BaseAgent(ABC):
    """An agent, but for how a turn of it goes.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        system_prompt: What the model is told before all else.
        **options: `max_iterations`, `max_tool_calls`, `max_total_tokens`, `max_seconds`,
            `tool_concurrency`, `start_tools`, `approve`, as `AgentOptions` has them, and
            generation settings such as `temperature`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    def __init__(
        self,
        llm: StreamingLLM,
        tools: Sequence[ToolLike] = (),
        *,
        system_prompt: str | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        if not callable(getattr(llm, "chat_stream", None)):
            raise ConfigurationError(
                f"An agent needs a model that streams, with chat_stream; {type(llm).__name__} has "
                "none."
            )
        unknown = set(options) - AgentOptions.__optional_keys__
        if unknown:
            known = ", ".join(sorted(AgentOptions.__optional_keys__))
            raise ConfigurationError(f"An agent takes no {sorted(unknown)}: use {known}.")
        if not isinstance(system_prompt, str | None):
            raise ConfigurationError(
                f"system_prompt must be a str, not {type(system_prompt).__name__}."
            )
        self._llm = llm
        self._tools = to_tools(tools)
        self._system = () if system_prompt is None else (Message.system(system_prompt),)
        self._limits = RunLimits(
            iterations=options.pop("max_iterations", 10),
            tool_calls=options.pop("max_tool_calls", None),
            tokens=options.pop("max_total_tokens", None),
            seconds=options.pop("max_seconds", None),
        )
        self._concurrency = options.pop("tool_concurrency", 8)
        self._start_tools: StartTools = options.pop("start_tools", "at_once")
        self._approve = options.pop("approve", None)
        self._settings = cast("SettingsArguments", options)
        Settings().override(**self._settings)  # which checks them, here and not in a run
        self._run_tools(())  # which checks the options of tools

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of runs that begin from now on."""
        return self._tools

    def add_tool(self, tool: ToolLike) -> None:
        """Give later runs one more tool.

        Raises:
            ConfigurationError: It is no tool, or there is one of its name.
        """
        self._tools = to_tools([*self._tools, tool])

    def run_stream(self, task: Messages) -> Observable[StreamEvent]:
        """Work on a task, event by event.

        Args:
            task: A `str`, a `Message`, a role/content dict, or a conversation of these.

        Returns:
            A cold stream; each subscription is a run of its own. Its last event is `Complete`,
            or an `ErrorEvent` before `on_error`.

        Raises:
            ConfigurationError: The task cannot be read.
        """
        messages = to_messages(task)
        return rx.defer(lambda _: self._events(self._begin(messages)))

    async def run(self, task: Messages) -> AgentResult:
        """Work on a task to its end.

        Raises:
            RxAgentsError: The run failed.
        """
        return await self._result(self._begin(to_messages(task)))

    async def _result(self, run: Run) -> AgentResult:
        await last_value(self._events(run))
        return run.result()

    def _begin(self, messages: tuple[Message, ...]) -> Run:
        return Run((*self._system, *messages), self._tools, self._limits)

    def _events(self, run: Run) -> Events:
        return run_turns(run, self._turn)

    def _run_tools(
        self, tools: tuple[Tool, ...]
    ) -> Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]:
        """Return `run_tools` as this agent was told to: events take the place of the calls."""
        operator = run_tools(
            tools, concurrency=self._concurrency, start=self._start_tools, approve=self._approve
        )
        return cast(
            "Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]",
            operator,
        )

    @abstractmethod
    def _turn(self, turn: Turn) -> Events:
        """Return the stream of one turn's events."""
