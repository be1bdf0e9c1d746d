"""What one run of an agent has done so far."""

from __future__ import annotations

from collections.abc import Iterable

from rxagents.agents.limits import RunLimits
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, MaxIterationsError, RunLimitError
from rxagents.core.events import (
    Answer,
    Complete,
    Reset,
    StreamEvent,
    Thought,
    ToolEnd,
    ToolStart,
)
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage, add_usage


class Run:
    """One run: the conversation, and what it has cost.

    Args:
        messages: The conversation to go on with.
        tools: What the model may call.
        limits: How much it may do.

    Attributes:
        messages: The conversation so far.
        output: The answer; `None` until there is one.
        usage: Token counts over all turns.
        iterations: How many turns have begun.
        finish_reason: Why the last turn ended.
        trace: The steps, where the agent keeps them.
    """

    def __init__(
        self, messages: Iterable[Message], tools: tuple[Tool, ...], limits: RunLimits
    ) -> None:
        self.messages = list(messages)
        self.tools = tools
        self.output: str | None = None
        self.usage: Usage | None = None
        self.iterations = 0
        self.finish_reason = ""
        self.trace: list[object] = []
        self.limits = limits
        self._tool_calls = 0

    def begin_turn(self) -> Turn:
        """Count a turn.

        Raises:
            AgentError: The limit of turns or of tokens is reached.
        """
        limits = self.limits
        if self.iterations >= limits.iterations:
            raise MaxIterationsError(
                f"The run has no answer after {limits.iterations} turns. Raise max_iterations, "
                "or give the model an easier task or better tools."
            )
        spent = 0 if self.usage is None else tokens_of(self.usage)
        if limits.tokens is not None and spent >= limits.tokens:
            raise RunLimitError(
                f"The run has used {spent} of its {limits.tokens} tokens and has no answer. Raise "
                "max_total_tokens."
            )
        self.iterations += 1
        return Turn(self)

    def count_tool_call(self, name: str) -> None:
        """Count a call that is about to start.

        Raises:
            RunLimitError: It is one too many.
        """
        limit = self.limits.tool_calls
        if self._tool_calls == limit:
            raise RunLimitError(
                f"The model calls {name!r}, and the run has made all of its {limit} tool calls. "
                "Raise max_tool_calls."
            )
        self._tool_calls += 1

    def complete(self) -> Complete:
        """Return the event of a run that went well."""
        return Complete(self.output or "", self.usage, self.iterations, self.finish_reason)

    def result(self) -> AgentResult:
        """Return the run as one value."""
        return AgentResult(
            self.output or "",
            tuple(self.messages),
            self.usage,
            self.iterations,
            self.finish_reason,
            tuple(self.trace),
        )


class Turn:
    """One answer of the model, and what came of its calls.

    Attributes:
        run: The run that it belongs to.
        steps: The thoughts, and the calls that have started, in their order.
        results: How the calls ended, by their ids.
        answer: What the text protocol marks as the answer; `None` if nothing.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.steps: list[Thought | ToolStart] = []
        self.results: dict[str, ToolEnd] = {}
        self.answer: str | None = None
        self._response = ResponseBuilder()

    @property
    def calls(self) -> list[ToolStart]:
        """The calls that have started, in their order."""
        return [step for step in self.steps if isinstance(step, ToolStart)]

    def accumulate(self, chunk: StreamChunk) -> None:
        """Take in some of the model's answer.

        Raises:
            ConfigurationError: It is no chunk.
        """
        if type(chunk) is not StreamChunk:
            raise ConfigurationError(
                f"An agent's model must stream StreamChunks, not {type(chunk).__name__}."
            )
        self._response.add(chunk)

    def note(self, event: StreamEvent) -> None:
        """Take in an event.

        Raises:
            RunLimitError: It starts one tool too many.
        """
        match event:
            case Thought():
                self.steps.append(event)
            case ToolStart():
                self.run.count_tool_call(event.name)
                self.steps.append(event)
            case ToolEnd():
                self.results[event.call_id] = event
            case Answer():
                self.answer = event.content
            case Reset():
                self.steps.clear()
                self.results.clear()
                self.answer = None

    def end(self) -> Response:
        """Let the run take over what the turn has cost, and return the model's answer."""
        response = self._response.response()
        self.run.usage = add_usage(self.run.usage, response.usage)
        self.run.finish_reason = response.finish_reason
        return response


def tokens_of(usage: Usage) -> int:
    """Return the provider's total, or else what it told of input and output together."""
    if usage.total_tokens is not None:
        return usage.total_tokens
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)
