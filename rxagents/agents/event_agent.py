"""Adapt a user's own agent, which has only `run_stream`, to the interface of `BaseAgent`."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, Unpack

import msgspec
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.limits import RunLimits
from rxagents.agents.partial import marked
from rxagents.agents.run import Run
from rxagents.agents.run_options import AnyRunArguments, RunOptions
from rxagents.agents.turns import Events
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import (
    Answer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    Reset,
    StreamEvent,
    Token,
    ToolEnd,
    ToolStart,
)
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import Messages
from rxagents.core.usage import Usage, add_usage


class AgentOfMessages(Protocol):
    """An agent whose task may be a conversation."""

    def run_stream(self, task: Messages, /) -> Observable[StreamEvent]:
        """Run the agent and stream its events; cold."""
        ...


class EventAgent:
    """Folds the events of a user's own agent into a `Run`.

    The run's messages are what the events say: each call that has ended, its result, and the
    answer. Text that the agent wrote between the calls is not kept. The agent has its own system
    prompt and limits.

    Args:
        agent: The user's agent.

    Attributes:
        name: The name of the agent's class.
        llm: `None`: what model the agent uses is not known.
        limits: No limits.
    """

    def __init__(self, agent: AgentOfMessages) -> None:
        self._agent = agent
        self.name = type(agent).__name__
        self.llm = None
        self.limits = RunLimits()

    def run_options(self, **options: Unpack[AnyRunArguments]) -> RunOptions:
        """Refuse options: the user's agent takes the messages alone.

        Raises:
            ConfigurationError: There are options.
        """
        if options:
            raise ConfigurationError(
                f"{type(self._agent).__name__} takes no options for one run, such as "
                f"{sorted(options)}: only agents of rxagents do."
            )
        return RunOptions()

    def new_run(
        self,
        messages: Sequence[Message],
        usage: Usage | None = None,
        options: RunOptions | None = None,
    ) -> Run:
        """Return the state of a new run; see `BaseAgent.new_run`."""
        return Run(messages, (), self.limits, usage)

    def in_own_form(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return the messages: what the agent's model reads is not known."""
        return messages

    def turns(self, run: Run) -> Generator[Events, None, Sequence[StreamEvent]]:
        """Yield the agent's events, without its `Complete` or `ErrorEvent`.

        The caller emits its own `Complete`, which counts the usage of a summary too; `run_stages`
        emits the `ErrorEvent` of every error.
        """
        while run.goes_on():
            run.take_messages()
            fold = _Fold(run)
            run.set_partial(fold.partial_messages)
            yield self._stage(run, fold)
            if not fold.is_finished:
                run.end_early(fold.written)
        return ()

    def _stage(self, run: Run, fold: _Fold) -> Events:
        events = self._agent.run_stream(tuple(run.messages))
        if not isinstance(events, Observable):
            raise ConfigurationError(
                f"{type(self._agent).__name__}.run_stream must return an Observable, not "
                f"{type(events).__name__}. rxagents.from_aiter makes one of an async iterator."
            )
        folded = events.pipe(
            rx_ops.do_action(fold.add, on_completed=fold.finish),
            rx_ops.filter(_is_to_be_emitted),
        )
        return run.control.interruptible(folded)


def _is_to_be_emitted(event: StreamEvent) -> bool:
    """Return whether an event is not the agent's own end; a sub-agent's end is emitted."""
    return not isinstance(event, Complete | ErrorEvent) or bool(event.path)


class _Fold:
    """Adds the events of one stream to a run.

    Attributes:
        is_finished: Whether the stream has completed.
    """

    def __init__(self, run: Run) -> None:
        self._run = run
        self.is_finished = False
        self._started: dict[str, ApprovalRequest | ToolStart] = {}
        self._error: ErrorEvent | None = None
        self._text: list[str] = []

    @property
    def written(self) -> str:
        """The answer, or the text since the last call."""
        return self._run.output or "".join(self._text)

    def partial_messages(self) -> list[Message]:
        """Return what is written, marked as partial."""
        text = self.written
        return [marked(Message.assistant(text))] if text else []

    def add(self, event: StreamEvent) -> None:
        """Add what an event says.

        Raises:
            ConfigurationError: The agent emitted something else than a `StreamEvent`.
        """
        run = self._run
        if isinstance(event, StreamEvent) and event.path:
            return  # it is a sub-agent's
        match event:
            case Token():
                self._text.append(event.content)
            case ApprovalRequest() | ToolStart():
                self._started[event.call_id] = event
            case ToolEnd():
                start = self._started.pop(event.call_id, None)
                run.messages += _call_and_result(start, event)
                self._text.clear()
                run.control.save()
            case Answer():
                run.output = event.content
            case Complete() if event.pending:
                raise ConfigurationError(
                    "The agent's calls wait for approval, and a Conversation can resume only "
                    'agents of rxagents: use an approve function in place of approve="defer".'
                )
            case Complete():
                run.output = event.content or run.output
                run.usage = add_usage(run.usage, event.usage)
                run.estimated_usage = add_usage(run.estimated_usage, event.estimated_usage)
                run.iterations += event.iterations
                run.finish_reason = event.finish_reason
            case ErrorEvent():
                self._error = event
            case Reset():
                self._text.clear()
                run.output = None  # a call that has ended stays: its tool has run
            case _ if not isinstance(event, StreamEvent):
                raise ConfigurationError(
                    f"run_stream of the conversation's agent must emit StreamEvents, not "
                    f"{type(event).__name__}."
                )

    def finish(self) -> None:
        """Append the answer.

        Raises:
            RxAgentsError: The last event was an `ErrorEvent`, and the stream completed after it.
        """
        if self._error is not None:
            raise self._error.error.exception()
        run, self.is_finished = self._run, True
        run.set_partial(list)
        run.output = run.output or ""
        if run.output:
            run.messages.append(Message.assistant(run.output))


def _call_and_result(
    start: ApprovalRequest | ToolStart | None, end: ToolEnd
) -> tuple[Message, Message]:
    arguments = msgspec.json.encode(start.arguments).decode() if start else "{}"
    call = ToolCall(end.call_id, end.name, arguments)
    failed = end.error is not None
    return (
        Message.assistant(call),
        Message.tool(end.call_id, end.parts or end.result, name=end.name, is_error=failed),
    )
