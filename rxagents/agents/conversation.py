"""Conversations with any agent: its runs queue, start from memory, and are remembered."""

from __future__ import annotations

from typing import Any, Generic, TypeVar, Unpack, overload

from reactivex import Observable

from rxagents.agents.agent import BaseAgent
from rxagents.agents.agent_run import DEFAULT_REPLAY, AgentRun
from rxagents.agents.as_tool import agent_tool
from rxagents.agents.control import RunControl
from rxagents.agents.conversation_checks import (
    check_agent,
    checked_id,
    checked_memory,
    checked_model,
    checked_on_stop,
)
from rxagents.agents.conversation_run import ConversationParts, ConversationRun, OnStop
from rxagents.agents.event_agent import AgentOfMessages, EventAgent
from rxagents.agents.memory import Memory
from rxagents.agents.run_options import AnyRunArguments, RunArguments, RunOptions, TypedRunArguments
from rxagents.agents.turns import Events
from rxagents.agents.waiting import waiting_calls
from rxagents.core.approval import Decisions
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import AgentResult, Messages, OutputT, StreamingLLM
from rxagents.core.tools import Tool
from rxagents.runtime.direct import deferred
from rxagents.runtime.factories import source_factory
from rxagents.runtime.last_value import last_value

T = TypeVar("T")


class Conversation(Generic[OutputT]):
    """Gives an agent a memory of its conversations.

    Each conversation has an id. Its runs go one after the other, in the order of their
    subscriptions; the runs of different conversations go side by side. The time in which a run
    waits for another does not count for its `max_seconds`.

    A run is remembered when its `Complete` is emitted. Memory stays unchanged if the run fails, is
    stopped or disposed (unless `on_stop="keep"`), or has no answer: a content filter withheld it,
    or its text is empty and no tool ran. A run that fails with `OutputError` after tools have run
    is remembered up to their results: else the model might run them again.

    The agent may be one of this package, or any object whose `run_stream(messages)` returns an
    Observable of `StreamEvent`s. For the first kind memory keeps all messages of a run, with the
    data that the provider wants back. For the second it keeps what the events say: the calls with
    their results, and the answer.

    Args:
        agent: The agent.
        memory: What is kept, and how much of it the agent is shown; by default everything. Several
            conversations may share one memory.
        llm: The model that writes summaries; by default the agent's. The usage of a summary counts
            as the run's.
        on_stop: What memory keeps of a run that is stopped or disposed: `"drop"` for nothing, or
            `"keep"` for what the user has seen. The message that the model did not finish is marked
            (`provider_data["agent"]["is_partial"]`). A call that was running has a result that says
            so.

    Attributes:
        agent: The agent.
        memory: The memory.

    Raises:
        ConfigurationError: An argument is not usable, or `memory` summarizes and there is no model
            for it.
    """

    @overload
    def __init__(
        self,
        agent: BaseAgent[OutputT],
        *,
        memory: Memory | None = None,
        llm: StreamingLLM | None = None,
        on_stop: OnStop = "drop",
    ) -> None: ...
    @overload
    def __init__(
        self: Conversation[str],
        agent: AgentOfMessages,
        *,
        memory: Memory | None = None,
        llm: StreamingLLM | None = None,
        on_stop: OnStop = "drop",
    ) -> None: ...
    def __init__(
        self,
        agent: AgentOfMessages,
        *,
        memory: Memory | None = None,
        llm: StreamingLLM | None = None,
        on_stop: OnStop = "drop",
    ) -> None:
        check_agent(agent)
        if isinstance(agent, Conversation):
            raise ConfigurationError(
                f"agent is a {type(agent).__name__} and has a memory of its own, which would mix "
                "the conversations. Pass its agent attribute."
            )
        self.agent, self.memory = agent, checked_memory(memory)
        self._agent = agent if isinstance(agent, BaseAgent) else EventAgent(agent)
        model = checked_model(self._agent.llm if llm is None else llm, self.memory, agent)
        on_stop = checked_on_stop(on_stop)
        self._parts = ConversationParts(self.memory, self._agent, model, on_stop)

    @source_factory
    def run_stream(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[AnyRunArguments],
    ) -> Observable[StreamEvent]:
        """Run the agent in a conversation and stream its events.

        Args:
            task: What the user says: a `str`, a `Message`, a role/content dict, or a sequence of
                these.
            conversation_id: The id of the conversation.
            **options: Options of this run; see `BaseAgent.run_stream`.

        Returns:
            A cold stream; each subscription is a run of its own. Its last event is `Complete`,
            or an `ErrorEvent` before `on_error`.

        Raises:
            ConfigurationError: An argument cannot be read.
        """
        read = self._agent.run_options(**options)
        new, known_id = to_messages(task), checked_id(conversation_id)
        return deferred(lambda: self._events(new, known_id, read, RunControl.subscribed()))

    @overload
    async def run(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[TypedRunArguments[T]],
    ) -> AgentResult[T]: ...
    @overload
    async def run(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[RunArguments],
    ) -> AgentResult[OutputT]: ...
    async def run(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[AnyRunArguments],
    ) -> AgentResult[Any]:
        """Run the agent in a conversation and return its result; see `run_stream`.

        Raises:
            RxAgentsError: The run failed.
        """
        control, read = RunControl(), self._agent.run_options(**options)
        new, known_id = to_messages(task), checked_id(conversation_id)
        await last_value(self._events(new, known_id, read, control))
        return control.checked_result()

    @overload
    def start(
        self,
        task: Messages,
        conversation_id: str = "default",
        *,
        replay: int = DEFAULT_REPLAY,
        **options: Unpack[TypedRunArguments[T]],
    ) -> AgentRun[T]: ...
    @overload
    def start(
        self,
        task: Messages,
        conversation_id: str = "default",
        *,
        replay: int = DEFAULT_REPLAY,
        **options: Unpack[RunArguments],
    ) -> AgentRun[OutputT]: ...
    def start(
        self,
        task: Messages,
        conversation_id: str = "default",
        *,
        replay: int = DEFAULT_REPLAY,
        **options: Unpack[AnyRunArguments],
    ) -> AgentRun[Any]:
        """Start a run in a conversation at once, and return a handle on it; see `run_stream`.

        Args:
            task: What the user says.
            conversation_id: The id of the conversation.
            replay: How many of the last events a late subscriber gets; 0 for a run that its only
                subscriber starts and ends, see `AgentRun`.
            **options: See `run_stream`.

        Raises:
            ConfigurationError: An argument cannot be used, or no event loop is running.
        """
        read = self._agent.run_options(**options)
        new, known_id = to_messages(task), checked_id(conversation_id)
        return AgentRun(lambda control: self._events(new, known_id, read, control), replay)

    async def pending(self, conversation_id: str = "default") -> tuple[ToolCall, ...]:
        """Return the calls of a conversation that wait for decisions (`approve="defer"`)."""
        stored = await self.memory.conversation(checked_id(conversation_id))
        waiting = waiting_calls(stored.deferred)
        return () if waiting is None else waiting.calls

    @source_factory
    def resume_stream(
        self,
        decisions: Decisions,
        conversation_id: str = "default",
        **options: Unpack[AnyRunArguments],
    ) -> Observable[StreamEvent]:
        """Go on with the run of a conversation whose calls wait for decisions.

        The run is kept in the memory's store, so that another process may resume it. It is resumed
        once: its calls do not run again if the resumed run fails or its process ends. A resumed run
        that fails, is stopped or disposed is remembered up to the results of its calls.

        Args:
            decisions: For each call that waits its id, and `True`, `False`, `Approve` or `Deny`.
            conversation_id: The id of the conversation.
            **options: Options of this run; see `BaseAgent.run_stream`.

        Returns:
            A cold stream, like that of `run_stream`. It fails with `ConfigurationError` if no run
            of the conversation waits, or the decisions are not those of the calls that wait.

        Raises:
            ConfigurationError: An argument cannot be read, or the agent cannot resume a run.
        """
        read, known_id = self._resume_options(options), checked_id(conversation_id)
        return deferred(
            lambda: self._events((), known_id, read, RunControl.subscribed(), decisions)
        )

    @overload
    async def resume(
        self,
        decisions: Decisions,
        conversation_id: str = "default",
        **options: Unpack[TypedRunArguments[T]],
    ) -> AgentResult[T]: ...
    @overload
    async def resume(
        self,
        decisions: Decisions,
        conversation_id: str = "default",
        **options: Unpack[RunArguments],
    ) -> AgentResult[OutputT]: ...
    async def resume(
        self,
        decisions: Decisions,
        conversation_id: str = "default",
        **options: Unpack[AnyRunArguments],
    ) -> AgentResult[Any]:
        """Go on with a run whose calls wait, and return its result; see `resume_stream`.

        Raises:
            RxAgentsError: The run failed.
        """
        read, known_id = self._resume_options(options), checked_id(conversation_id)
        control = RunControl()
        await last_value(self._events((), known_id, read, control, decisions))
        return control.checked_result()

    def _resume_options(self, options: AnyRunArguments) -> RunOptions:
        if isinstance(self._agent, EventAgent):
            raise ConfigurationError(
                f"A run of {type(self.agent).__name__} cannot be resumed: only those of agents of "
                "rxagents can."
            )
        return self._agent.run_options(**options)

    def as_tool(self, name: str, description: str, conversation_id: str = "default") -> Tool:
        """Return a tool that runs the agent in one conversation; see `agent_tool`."""
        return agent_tool(lambda task: self.run_stream(task, conversation_id), name, description)

    def _events(
        self,
        new: tuple[Message, ...],
        conversation_id: str,
        options: RunOptions,
        control: RunControl,
        decisions: Decisions | None = None,
    ) -> Events:
        run = ConversationRun(self._parts, conversation_id, options, control)
        return run.events(new, decisions)
