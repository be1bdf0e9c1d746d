"""An agent that remembers its conversations."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Unpack

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.agent import AgentOptions
from rxagents.agents.exchanges import Exchange, message_text
from rxagents.agents.function import FunctionAgent
from rxagents.agents.limits import RunLimits
from rxagents.agents.memory import Memory, Recollection
from rxagents.agents.run import Run
from rxagents.agents.turns import Events, run_turns
from rxagents.core.conversation import to_messages
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.events import Complete, StreamEvent
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult, Messages, StreamingLLM
from rxagents.core.response import Response
from rxagents.core.tools import Tool, ToolLike
from rxagents.core.usage import add_usage
from rxagents.operators.collect import collect


class ConversationalAgent(FunctionAgent):
    """A `FunctionAgent` that remembers what was said before.

    Each conversation has an id of its own. Its runs go one after the other, in the order in
    which they were subscribed to; those of different conversations go side by side. The time in
    which a run waits for another does not count for its `max_seconds`.

    A run is remembered when its `Complete` comes. One that fails, is disposed, or has no answer
    (the text is empty, or a content filter withheld it) leaves the memory as it was.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        memory: What is kept, and how much of it the model is shown; by default everything. Two
            agents may share one.
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
        memory: Memory | None = None,
        system_prompt: str | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        super().__init__(llm, tools, system_prompt=system_prompt, **options)
        if memory is not None and not isinstance(memory, Memory):
            raise ConfigurationError(
                f"memory must be an rxagents.Memory, not {type(memory).__name__}."
            )
        self.memory = Memory() if memory is None else memory

    def run_stream(
        self, task: Messages, conversation_id: str = "default"
    ) -> Observable[StreamEvent]:
        """Answer in a conversation, event by event; see `BaseAgent.run_stream`."""
        messages, name = to_messages(task), _checked_id(conversation_id)
        return rx.defer(lambda _: self._events(self._begin_in(name, messages)))

    async def run(self, task: Messages, conversation_id: str = "default") -> AgentResult:
        """Answer in a conversation; see `BaseAgent.run`."""
        return await self._result(self._begin_in(_checked_id(conversation_id), to_messages(task)))

    def _begin_in(self, conversation_id: str, new: tuple[Message, ...]) -> _ConversationRun:
        return _ConversationRun(conversation_id, new, self._tools, self._limits)

    def _events(self, run: Run) -> Events:
        assert isinstance(run, _ConversationRun), "this agent begins no others"

        def remember(event: StreamEvent) -> None:
            if isinstance(event, Complete) and run.has_answer:
                self.memory.remember(run.recalled, run.exchange, run.summary)

        first = rx.defer(lambda _: self._recall(run))
        events = run_turns(run, self._turn, first).pipe(rx_ops.do_action(remember))
        return self.memory.queue.queued(run.conversation_id, events)

    def _recall(self, run: _ConversationRun) -> Events:
        """Begin with what is remembered; let the model sum up what there is no room for."""
        recalled = self.memory.recall(run.conversation_id, run.new)
        summary = recalled.conversation.summary
        if not recalled.outgrown:
            run.begin(self._system, recalled, summary)
            return rx.empty()

        def summed_up(response: Response) -> Events:
            run.usage = add_usage(run.usage, response.usage)
            run.begin(self._system, recalled, _checked_summary(response))
            return rx.empty()

        request = _summary_request(summary, recalled.outgrown)
        return self._llm.chat_stream(request).pipe(collect(), rx_ops.flat_map(summed_up))


class _ConversationRun(Run):
    """A run that begins with what is remembered.

    Attributes:
        conversation_id: Whose.
        new: What the user says.
        recalled: What it has begun with.
        summary: What was said before that.
    """

    recalled: Recollection

    def __init__(
        self,
        conversation_id: str,
        new: tuple[Message, ...],
        tools: tuple[Tool, ...],
        limits: RunLimits,
    ) -> None:
        super().__init__((), tools, limits)
        self.conversation_id = conversation_id
        self.new = new
        self.summary = ""
        self._shown = 0

    def begin(self, system: Iterable[Message], recalled: Recollection, summary: str) -> None:
        """Take over what the model is to be shown.

        The summary is a user's message, and no instruction: others may have written what it
        sums up.
        """
        self.recalled, self.summary = recalled, summary
        told = f"Summary of our conversation so far:\n{summary}"
        self.messages = [
            *system,
            *((Message.user(told),) if summary else ()),
            *(message for exchange in recalled.shown for message in exchange),
        ]
        self._shown = len(self.messages)
        self.messages += self.new

    @property
    def has_answer(self) -> bool:
        """Whether there is one that can be sent back.

        A question that a content filter has stopped would stop all later runs too.
        """
        return bool(self.output) and self.finish_reason != "content_filter"

    @property
    def exchange(self) -> Exchange:
        """The new messages, and what came of them."""
        return tuple(self.messages[self._shown :])


def _checked_id(conversation_id: str) -> str:
    if not isinstance(conversation_id, str):
        raise ConfigurationError(
            f"conversation_id must be a str, not {type(conversation_id).__name__}."
        )
    return conversation_id


def _summary_request(summary: str, exchanges: Iterable[Exchange]) -> list[Message]:
    said = "\n\n".join(f"{m.role}: {message_text(m)}" for exchange in exchanges for m in exchange)
    return [
        Message.system(_SUMMARIZE),
        Message.user(f"Summary so far: {summary or 'none'}\n\n{said}"),
    ]


_SUMMARIZE = (
    "Sum up the conversation that follows, together with the summary so far, for yourself: you "
    "will go on with it and see nothing else of it. Keep names, numbers, decisions, wishes and "
    "open questions. Write the summary and nothing else."
)


def _checked_summary(response: Response) -> str:
    if response.finish_reason == "content_filter" or not response.content.strip():
        raise OutputError(
            "The model was asked to sum up the conversation, and gave no summary (finish reason "
            f"{response.finish_reason!r}). Try again, or use another strategy."
        )
    return response.content
