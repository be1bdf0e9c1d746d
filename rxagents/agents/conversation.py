"""Conversations with any agent: its runs queue, start from memory, and are remembered."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Generic, Literal, TypeAlias, Unpack, get_args, overload

import reactivex as rx
from msgspec.structs import replace
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.agent import BaseAgent
from rxagents.agents.agent_run import DEFAULT_REPLAY, AgentRun
from rxagents.agents.as_tool import agent_tool
from rxagents.agents.control import RunControl
from rxagents.agents.event_agent import AgentOfMessages, EventAgent
from rxagents.agents.memorable import has_acted, is_memorable, was_seen
from rxagents.agents.memory import Memory
from rxagents.agents.prompts import count_of_new
from rxagents.agents.run import CANCELLED, Run
from rxagents.agents.run_options import RunArguments, RunOptions
from rxagents.agents.settled import await_later, outlasting, settled
from rxagents.agents.summary import Summary
from rxagents.agents.turns import Events, emitted, run_stages
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.events import StreamEvent
from rxagents.core.exchange import Exchange, whole_part
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult, Messages, OutputT, StreamingLLM
from rxagents.core.tools import Tool
from rxagents.runtime.last_value import last_value
from rxagents.runtime.stream import as_stream

OnStop: TypeAlias = Literal["drop", "keep"]


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
        if not callable(getattr(agent, "run_stream", None)):
            raise ConfigurationError(
                f"agent must have run_stream(messages); {type(agent).__name__} has none."
            )
        if isinstance(agent, Conversation):
            raise ConfigurationError(
                f"agent is a {type(agent).__name__} and has a memory of its own, which would mix "
                "the conversations. Pass its agent attribute."
            )
        if memory is not None and not isinstance(memory, Memory):
            raise ConfigurationError(
                f"memory must be an rxagents.Memory, not {type(memory).__name__}."
            )
        if llm is not None and not callable(getattr(llm, "chat_stream", None)):
            raise ConfigurationError(
                f"llm must be a model that streams, with chat_stream; {type(llm).__name__} has "
                "none."
            )
        if on_stop not in get_args(OnStop):
            raise ConfigurationError(f'on_stop must be "drop" or "keep", not {on_stop!r}.')
        self._on_stop: OnStop = on_stop
        self.agent = agent
        self.memory = Memory() if memory is None else memory
        self._agent = agent if isinstance(agent, BaseAgent) else EventAgent(agent)
        self._llm = self._agent.llm if llm is None else llm
        if self._llm is None and self.memory.strategy == "summarize":
            raise ConfigurationError(
                'The memory\'s strategy "summarize" needs a model, and which one '
                f"{type(agent).__name__} uses is not known: give Conversation an llm."
            )

    def run_stream(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[RunArguments],
    ) -> Observable[StreamEvent]:
        """Run the agent in a conversation and stream its events.

        Args:
            task: What the user says: a `str`, a `Message`, a role/content dict, or a sequence of
                these.
            conversation_id: The id of the conversation.
            **options: Options of this run; see `RunArguments`.

        Returns:
            A cold stream; each subscription is a run of its own. Its last event is `Complete`,
            or an `ErrorEvent` before `on_error`.

        Raises:
            ConfigurationError: An argument cannot be read.
        """
        read = self._agent.run_options(**options)
        new, checked_id = to_messages(task), _checked_id(conversation_id)
        return as_stream(
            rx.defer(lambda _: self._events(new, checked_id, read, RunControl.subscribed()))
        )

    async def run(
        self,
        task: Messages,
        conversation_id: str = "default",
        **options: Unpack[RunArguments],
    ) -> AgentResult[OutputT]:
        """Run the agent in a conversation and return its result; see `run_stream`.

        Raises:
            RxAgentsError: The run failed.
        """
        control, read = RunControl(), self._agent.run_options(**options)
        new, checked_id = to_messages(task), _checked_id(conversation_id)
        await last_value(self._events(new, checked_id, read, control))
        return control.checked_result()

    def start(
        self,
        task: Messages,
        conversation_id: str = "default",
        *,
        replay: int = DEFAULT_REPLAY,
        **options: Unpack[RunArguments],
    ) -> AgentRun[OutputT]:
        """Start a run in a conversation at once, and return a handle on it; see `run_stream`.

        Args:
            task: What the user says.
            conversation_id: The id of the conversation.
            replay: How many of the last events a late subscriber gets.
            **options: See `RunArguments`.

        Raises:
            ConfigurationError: An argument cannot be used, or no event loop is running.
        """
        read = self._agent.run_options(**options)
        new, checked_id = to_messages(task), _checked_id(conversation_id)
        return AgentRun(lambda control: self._events(new, checked_id, read, control), replay)

    def as_tool(self, name: str, description: str, conversation_id: str = "default") -> Tool:
        """Return a tool that runs the agent in one conversation; see `agent_tool`."""
        return agent_tool(lambda task: self.run_stream(task, conversation_id), name, description)

    def _events(
        self,
        new: tuple[Message, ...],
        conversation_id: str,
        options: RunOptions,
        control: RunControl,
    ) -> Events:
        """Queue, recall and summarize, run, remember."""
        memory, agent, llm = self.memory, self._agent, self._llm

        def stages() -> Iterator[Events]:
            start_from = yield from settled(memory.store.read(conversation_id))
            recalled = memory.recall(conversation_id, start_from, new)
            summary = Summary(start_from.summary)
            if recalled.outgrown and llm is not None and not control.is_stopped:
                yield control.interruptible(summary.extend(llm, recalled.outgrown))
                if summary.text == start_from.summary:  # the user stopped the summary
                    recalled = replace(recalled, outgrown=())
            known = (*summary.messages, *recalled.messages, *new)
            run = agent.new_run(known, summary.usage, options)
            run.begin(control)
            start = len(run.messages) - count_of_new(run.messages, new)

            def keep_disposed() -> None:
                exchange = tuple(run.messages_so_far()[start:])
                if was_seen(exchange):
                    await_later(memory.remember(recalled, exchange, summary.text))

            if self._on_stop == "keep":
                control.before_disposed = keep_disposed

            def remember(exchange: Exchange) -> Awaitable[None] | None:
                control.before_disposed = lambda: None  # dispose must not store it once more
                stored = memory.remember(recalled, exchange, summary.text)
                return outlasting(stored) if self._on_stop == "keep" else stored

            try:
                last_events = yield from agent.turns(run)
            except OutputError:
                exchange = whole_part(run.messages[start:])
                if has_acted(run, exchange):
                    yield from settled(remember(exchange))
                raise
            yield emitted(last_events)

            complete = run.complete()
            pending: list[Awaitable[None] | None] = []

            def is_stored(_: StreamEvent) -> bool:
                exchange = tuple(run.messages[start:])
                stored = remember(exchange) if self._is_memorable(run, exchange) else None
                if isinstance(stored, Awaitable):
                    pending.append(stored)
                    return False
                control.complete(run.result())
                return True

            # A stage of its own: a reader that leaves at the answer can dispose before it. A store
            # that stores at once does so in the step that emits `Complete`, so that neither
            # happens without the other.
            yield rx.just(complete).pipe(rx_ops.filter(is_stored))
            for stored in pending:
                yield from settled(stored)
                control.complete(run.result())
                yield emitted((complete,))

        run_once = run_stages(stages(), agent.limits.seconds, control)

        def stop_unstarted() -> StreamEvent:
            unstarted = Run(new, (), agent.limits, parts=options.parts)
            unstarted.output, unstarted.finish_reason = "", CANCELLED
            control.complete(unstarted.result())
            return unstarted.complete()

        return control.stoppable(memory.queue.queued(conversation_id, run_once), stop_unstarted)

    def _is_memorable(self, run: Run, exchange: Exchange) -> bool:
        if run.control.is_stopped and run.finish_reason == CANCELLED:
            return self._on_stop == "keep" and was_seen(exchange)
        return is_memorable(run, exchange)


def _checked_id(conversation_id: str) -> str:
    if not isinstance(conversation_id, str):
        raise ConfigurationError(
            f"conversation_id must be a str, not {type(conversation_id).__name__}."
        )
    return conversation_id
