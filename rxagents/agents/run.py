"""Hold the state of one run: the messages, the counts, and the turn that is running."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from rxagents.agents.control import RunControl
from rxagents.agents.limits import RunLimits
from rxagents.agents.turn import Turn
from rxagents.core.errors import AgentError, MaxIterationsError, RunLimitError
from rxagents.core.events import (
    Complete,
    StreamEvent,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage, add_usage

CANCELLED: Final = "cancelled"
"""The finish reason of a run that was stopped, and of a turn that was ended early."""

LIMIT: Final = "limit"
"""The finish reason of a run that has its answer from a last turn, at a limit."""

_SHOWN = 80
"""The number of characters of the model's text in an error's message."""


class Run:
    """The state of one run of an agent.

    Args:
        messages: The messages that the first turn sends.
        tools: The tools that the model may call.
        limits: The limits of the run.
        usage: Tokens that were used before the first turn, such as a summary's.
        context: The user's object, which the tools see.

    Attributes:
        messages: All messages so far, oldest first.
        output: The answer; `None` until there is one.
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
    """

    def __init__(
        self,
        messages: Iterable[Message],
        tools: tuple[Tool, ...],
        limits: RunLimits,
        usage: Usage | None = None,
        context: object = None,
    ) -> None:
        self.messages = list(messages)
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

    def begin(self, control: RunControl) -> None:
        """Let `control` stop and steer the run."""
        self.control = control
        control.run = self

    @property
    def usage_so_far(self) -> Usage | None:
        """Token counts, with those that the provider has sent for the turn that runs."""
        if self.turn is None or self.turn.is_usage_added:
            return self.usage
        return add_usage(self.usage, self.turn.response().usage)

    def messages_so_far(self) -> tuple[Message, ...]:
        """Return all messages, with what the turn that runs has written and called."""
        return (*self.messages, *self.partial_messages())

    def end_early(self, output: str) -> None:
        """Add what the turn that runs has written; it is the output of a run that is stopped."""
        self.messages += self.partial_messages()
        self.partial_messages = list
        self.finish_reason = CANCELLED
        if self.control.is_stopped:
            self.output = output

    def goes_on(self) -> bool:
        """Return whether another turn follows; add the messages from outside to it."""
        control = self.control
        if control.is_stopped:
            if self.output is None:
                self.output, self.finish_reason = "", CANCELLED
            return False
        if control.has_messages:
            self.messages += control.take_messages()
            self.output = None
        return self.output is None

    def begin_turn(self, last_request: Message) -> Turn:
        """Count a turn and return it.

        At a limit, with `at_limit="answer"`, it is the last one. Only a message from outside leads
        to another turn after it, which is a last one too.

        Args:
            last_request: The message that asks for the answer in the last turn.

        Raises:
            MaxIterationsError: All turns of the run are used.
            RunLimitError: All tokens of the run are used.
        """
        if not self._is_last_turn:
            try:
                self._check_turns()
                self._check_tokens()
            except AgentError as error:
                if not self.answers_at(error):
                    raise
            if self.reached is not None:
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

    def _check_turns(self) -> None:
        if self.iterations >= self.limits.iterations:
            raise self._without_answer()

    def _without_answer(self) -> MaxIterationsError:
        turns = f"The run has no answer after its {self.limits.iterations} turns"
        if self.tool_calls or not self._last_text:
            message = (
                f"{turns}. Raise max_iterations, or give the model an easier task or better tools."
            )
        else:
            message = (
                f"{turns}: no turn had an action or an answer. The last text begins with "
                f"{self._last_text[:_SHOWN]!r}; last_text has all of it. Use a model that keeps to "
                "the form, or direct_answer=True of ReActAgent for answers without a label."
            )
        return MaxIterationsError(message, last_text=self._last_text)

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

    def add_usage_of_tool(self, usage: Usage | None) -> None:
        """Add the tokens of a tool's agents, whose turns were counted as they ended."""
        if usage is not None:
            self.usage = add_usage(self.usage, usage)
            self._nested_tokens = max(0, self._nested_tokens - tokens_of(usage))

    def _check_tokens(self) -> None:
        limit = self.limits.tokens
        spent = self._nested_tokens + tokens_of(self.usage) + tokens_of(self.estimated_usage)
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
            self.finish_reason,
            estimated_usage=self.estimated_usage,
        )

    def result(self) -> AgentResult:
        """Return the finished run as one value."""
        return AgentResult(
            self.output or "",
            tuple(self.messages),
            self.usage,
            self.iterations,
            self.finish_reason,
            tuple(self.trace),
            self.estimated_usage,
        )


def tokens_of(usage: Usage | None) -> int:
    """Return the provider's total, or the sum of its input and output counts."""
    if usage is None:
        return 0
    if usage.total_tokens is not None:
        return usage.total_tokens
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)
