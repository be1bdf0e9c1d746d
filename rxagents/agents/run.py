"""Hold the state of one run: the messages, the counts, and the turn that is running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from rxagents.agents.control import RunControl
from rxagents.agents.finish import APPROVAL, CANCELLED
from rxagents.agents.limits import RunLimits, Used, no_answer
from rxagents.agents.turn import Turn
from rxagents.agents.waiting import (
    OwnForm,
    superseded,
)
from rxagents.core.errors import AgentError, MaxIterationsError, RunLimitError
from rxagents.core.events import Complete, StreamEvent, ToolStart, TurnEnd, TurnStart
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import AgentResult
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage, add_usage, tokens_of
from rxagents.parsing.answer_parser import AnswerParts

if TYPE_CHECKING:
    from rxagents.agents.agent import BaseAgent


class Run:
    """The state of one run of an agent.

    Args:
        messages: The messages that the first turn sends.
        tools: The tools that the model may call.
        limits: The limits of the run.
        usage: Tokens that were used before the first turn, such as a summary's.
        context: The user's object, which the tools see.
        parts: The parts and the type of the answer; `None` for a text.
        corrections: How many times a wrong answer goes back to the model.

    Attributes:
        corrections_left: How many times a wrong answer may still go back.
        messages: All messages so far, oldest first.
        output: The text of the answer; `None` until there is one.
        value: The answer as a value of the run's type; `None` until there is one.
        usage: Token counts of all requests of the run.
        iterations: The number of turns that have started.
        finish_reason: The finish reason of the last turn.
        tool_calls: The number of tool calls that have started.
        is_asked_for_answer: Whether the model was asked for its answer after an empty turn.
        reached: The limit that the run has reached, with `at_limit="answer"`; else `None`.
        trace: The steps of the run, if the agent keeps them.
        estimated_usage: Estimated counts of the turns that were ended before the provider sent
            theirs; `usage` does not contain them.
        turn: The turn that runs, or ran last.
        control: Says what was asked of the run from outside.
        partial_messages: Returns what the turn that runs has written and called so far.
        partial_in_checkpoints: Returns the same for `Checkpoint.partial`.
        pending: The calls that wait for decisions, if the run ends with them.
        in_own_form: Returns calls and results in the form that the agent's model reads.
        start: The index of the first message of the run's exchange, in a conversation.
        first_iteration: The number of the first turn of the agent that has the run.
        idle_tools: Tools of earlier agents, which the messages may have calls of.
        handoffs: The names of the handoffs that the run has followed.
        agent: The agent that the run was handed over to; `None` for its first one.
    """

    def __init__(
        self,
        messages: Iterable[Message],
        tools: tuple[Tool, ...],
        limits: RunLimits,
        usage: Usage | None = None,
        context: object = None,
        parts: AnswerParts | None = None,
        corrections: int = 0,
    ) -> None:
        self.messages = list(messages)
        self.parts = parts
        self.value: Any = None
        self.corrections_left = corrections
        self.tools = tools
        self.context = context
        self.output: str | None = None
        self.usage = usage
        self.iterations = 0
        self.finish_reason = ""
        self.trace: list[object] = []
        self.limits = limits
        self._last_text = ""
        self.tool_calls = 0
        self.is_asked_for_answer = False
        self.reached: AgentError | None = None
        self._is_last_turn = False
        self._nested_tokens = 0  # of sub-agents that still run
        self.estimated_usage: Usage | None = None
        self.turn: Turn | None = None
        self.control = RunControl()
        self.partial_messages: Callable[[], list[Message]] = list
        self.partial_in_checkpoints: Callable[[], list[Message]] = list
        self.pending: tuple[ToolCall, ...] = ()
        self.in_own_form: OwnForm = list
        self.start = 0
        self.first_iteration = 1
        self.idle_tools: tuple[Tool, ...] = ()
        self.handoffs: tuple[str, ...] = ()
        self.agent: BaseAgent[Any] | None = None

    def begin(self, control: RunControl) -> None:
        """Let `control` stop and steer the run."""
        self.control = control
        control.run = self

    def set_partial(
        self,
        partial: Callable[[], list[Message]],
        in_checkpoints: Callable[[], list[Message]] | None = None,
    ) -> None:
        """Set `partial_messages` and `partial_in_checkpoints`; by default both are the same."""
        self.partial_messages = partial
        self.partial_in_checkpoints = in_checkpoints or partial

    @property
    def used(self) -> Used:
        """The turns, tool calls and tokens that count for the limits."""
        tokens = self._nested_tokens + tokens_of(self.usage) + tokens_of(self.estimated_usage)
        return Used(self.iterations, self.tool_calls, tokens)

    @property
    def usage_so_far(self) -> Usage | None:
        """Token counts, with those that the provider has sent for the turn that runs."""
        if self.turn is None or self.turn.is_usage_added:
            return self.usage
        return add_usage(
            add_usage(self.usage, self.turn.nested.counted), self.turn.response().usage
        )

    def messages_so_far(self) -> tuple[Message, ...]:
        """Return all messages, with what the turn that runs has written and called."""
        return (*self.messages, *self.partial_messages())

    def end_early(self, output: str) -> None:
        """Add what the turn that runs has written; it is the output of a run that is stopped."""
        self.messages += self.partial_messages()
        self.set_partial(list)
        self.finish_reason = CANCELLED
        if self.control.is_stopped:
            self.output = output

    def goes_on(self) -> bool:
        """Return whether another turn follows, such as for messages from outside."""
        control = self.control
        if control.is_stopped and self.output is None:
            self.output, self.finish_reason = "", CANCELLED
        elif control.has_messages and not control.is_stopped:
            self.output = self.value = None
        control.takes_messages = self.output is None
        return self.output is None

    def take_messages(self) -> None:
        """Add the messages from outside to the turn that is about to start.

        They deny the calls that wait for decisions.
        """
        taken = self.control.take_messages()
        if taken and self.pending:
            self.messages = list(superseded((*self.messages, *taken), self.in_own_form))
            self.pending = ()
        else:
            self.messages += taken

    def check_limits(self) -> None:
        """Check that another turn may begin; at a limit, note whether it is the last one.

        Raises:
            MaxIterationsError: All turns of the run are used.
            RunLimitError: All tokens of the run are used.
        """
        if self._is_last_turn:
            return
        try:
            if self.iterations >= self.limits.iterations:
                raise no_answer(self.iterations, self._last_text, has_acted=self.tool_calls > 0)
            self._check_tokens()
        except AgentError as error:
            if not self.answers_at(error):
                self.control.takes_messages = False
                raise

    def begin_turn(self, last_request: Message) -> Turn:
        """Count a turn and return it.

        At a limit, with `at_limit="answer"`, it is the last one. Only a message from outside leads
        to another turn after it, which is a last one too.

        Args:
            last_request: The message that asks for the answer in the last turn.
        """
        self.take_messages()
        if self.reached is not None and not self._is_last_turn:
            self._is_last_turn = True
            self.messages.append(last_request)
        self.iterations += 1
        self.turn = Turn(self, is_last=self._is_last_turn)
        return self.turn

    def answers_at(self, error: AgentError) -> bool:
        """Return whether a last turn follows at a limit, and note the limit then."""
        is_limit = isinstance(error, MaxIterationsError | RunLimitError)
        if not is_limit or self.limits.at_limit == "error":
            return False
        self.reached = self.reached or error
        return True

    @property
    def ends_in_last_turn(self) -> bool:
        """Whether all turns are used, and a last one follows."""
        return self.limits.at_limit == "answer" and self.iterations >= self.limits.iterations

    def note_text(self, text: str) -> None:
        """Keep the text of the latest response for an error's message."""
        self._last_text = text

    def count_tool_call(self, name: str) -> None:
        """Count a tool call that is about to start.

        Raises:
            RunLimitError: All tool calls of the run are used.
        """
        self.check_tool_calls(name)
        self.tool_calls += 1

    def check_tool_calls(self, name: str, waiting: int = 0) -> None:
        """Check that a tool may be called, while `waiting` calls are about to start.

        Raises:
            RunLimitError: All tool calls of the run are used.
        """
        limit = self.limits.tool_calls
        if limit is not None and self.tool_calls + waiting >= limit:
            raise RunLimitError(
                f"The model called {name!r} after the run's {limit} tool calls. Raise "
                "max_tool_calls."
            )

    def note_nested(self, event: StreamEvent) -> None:
        """Note an event of a sub-agent, for which the limits of this run hold too.

        Raises:
            RunLimitError: All tool calls or tokens of the run are used.
        """
        match event:
            case ToolStart():
                self.count_tool_call(event.name)
            case TurnStart():
                self._check_tokens()
            case TurnEnd() if event.usage is not None:
                self._nested_tokens += tokens_of(event.usage)

    def add_usage_of_tools(self, usage: Usage | None, estimated: Usage | None) -> None:
        """Add the tokens of the agents in tools, whose turns were counted as they ended."""
        self.usage = add_usage(self.usage, usage)
        self.estimated_usage = add_usage(self.estimated_usage, estimated)
        ended = tokens_of(usage) + tokens_of(estimated)
        self._nested_tokens = max(0, self._nested_tokens - ended)

    def _check_tokens(self) -> None:
        limit = self.limits.tokens
        spent = self.used.tokens
        if limit is not None and spent >= limit:
            raise RunLimitError(
                f"The run has no answer and has used {spent} of its {limit} tokens. Raise "
                "max_total_tokens."
            )

    def complete(self) -> Complete:
        """Return the last event of a run that has its answer."""
        return Complete(
            self.output or "",
            self.usage,
            self.iterations,
            APPROVAL if self.pending else self.finish_reason,
            estimated_usage=self.estimated_usage,
            pending=self.pending,
        )

    def result(self) -> AgentResult[Any]:
        """Return the finished run as one value."""
        return AgentResult(
            (self.output or "") if self.parts is None else self.value,
            tuple(self.messages),
            self.usage,
            self.iterations,
            APPROVAL if self.pending else self.finish_reason,
            tuple(self.trace),
            self.estimated_usage,
            self.pending,
        )
