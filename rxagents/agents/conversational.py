"""An agent that remembers its conversations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Unpack

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents.agents.agent import AgentOptions
from rxagents.agents.function import FunctionAgent
from rxagents.agents.limits import RunLimits
from rxagents.agents.memory import Exchange, Memory, text_of
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
    which they were subscribed to; those of different conversations go side by side. A run that
    fails or is disposed leaves the memory as it was.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        memory: What is kept, and how much of it the model is shown; by default everything. Two
            agents may share one.
        system_prompt: What the model is told before all else.
        **options: `AgentOptions`, and generation settings.

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
        messages = to_messages(task)
        return rx.defer(lambda _: self._events(self._begin_in(conversation_id, messages)))

    async def run(self, task: Messages, conversation_id: str = "default") -> AgentResult:
        """Answer in a conversation; see `BaseAgent.run`."""
        return await self._result(self._begin_in(conversation_id, to_messages(task)))

    def _begin_in(self, conversation_id: str, messages: tuple[Message, ...]) -> _ConversationRun:
        return _ConversationRun(
            self._system, messages, self._tools, self._limits, self.memory, conversation_id
        )

    def _events(self, run: Run) -> Events:
        assert isinstance(run, _ConversationRun), "this agent begins no others"

        def remember_and_answer(_: object) -> Events:
            too_much = run.recall()
            return run_turns(run, self._turn, self._summarized(run, too_much))

        return self.memory.queue.queued(run.conversation_id, rx.defer(remember_and_answer))

    def _summarized(self, run: _ConversationRun, exchanges: Sequence[Exchange]) -> Events | None:
        """Let the model sum up what the run has no room for; no event tells of it."""
        if not exchanges:
            return None
        said = "\n\n".join(f"{m.role}: {text_of(m)}" for turn in exchanges for m in turn)
        request = [
            Message.system(_SUMMARIZE),
            Message.user(f"Summary so far: {run.summary or 'none'}\n\n{said}"),
        ]

        def taken(response: Response) -> Events:
            run.take_summary(response)
            return rx.empty()

        return self._llm.chat_stream(request).pipe(collect(), rx_ops.flat_map(taken))


_SUMMARIZE = (
    "Sum up the conversation that follows, together with the summary so far, for yourself: you "
    "will go on with it and see nothing else of it. Keep names, numbers, decisions, wishes and "
    "open questions. Write the summary and nothing else."
)


class _ConversationRun(Run):
    """A run that begins with what is remembered, and is remembered when it has gone well."""

    def __init__(
        self,
        system: tuple[Message, ...],
        new: tuple[Message, ...],
        tools: tuple[Tool, ...],
        limits: RunLimits,
        memory: Memory,
        conversation_id: str,
    ) -> None:
        super().__init__((), tools, limits)
        self.conversation_id = conversation_id
        self.summary = ""
        self._memory = memory
        self._system = system
        self._new = new
        self._past: Sequence[Exchange] = ()
        self._shown = 0
        self._summarized = 0

    def recall(self) -> Sequence[Exchange]:
        """Begin with what is remembered; return the exchanges that are to be summed up."""
        stored = self._memory.conversation(self.conversation_id)
        self.summary = stored.summary
        self._past = self._memory.shown(stored.exchanges, self._new)
        if self._memory.strategy == "summarize":
            self._summarized = len(stored.exchanges) - len(self._past)
        self._show()
        return stored.exchanges[: self._summarized]

    def take_summary(self, response: Response) -> None:
        """Put the summary before what is shown.

        Raises:
            OutputError: There is none.
        """
        if not response.content.strip():
            raise OutputError(
                "The model was asked to sum up the conversation, and wrote nothing. Try again, or "
                "use another strategy."
            )
        self.summary = response.content
        self.usage = add_usage(self.usage, response.usage)
        self._show()

    def _show(self) -> None:
        summary = f"Summary of the conversation so far:\n{self.summary}"
        self.messages = [
            *self._system,
            *((Message.system(summary),) if self.summary else ()),
            *(message for exchange in self._past for message in exchange),
            *self._new,
        ]
        self._shown = len(self.messages)

    def complete(self) -> Complete:
        """Remember the exchange."""
        exchange = (*self._new, *self.messages[self._shown :])
        self._memory.add(self.conversation_id, exchange, self.summary, self._summarized)
        return super().complete()
