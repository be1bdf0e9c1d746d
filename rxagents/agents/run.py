"""Hold the state of one run: the messages, the counts, and the turn that is running."""

from __future__ import annotations

from collections.abc import Iterable

from rxagents.agents.finish import PAUSE, check_finish
from rxagents.agents.limits import RunLimits
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, MaxIterationsError, RunLimitError
from rxagents.core.events import (
    Answer,
    ApprovalRequest,
    Complete,
    Reset,
    StreamEvent,
    Thought,
    ToolEnd,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage, add_usage

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
        trace: The steps of the run, if the agent keeps them.
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
        self._nested_tokens = 0  # of sub-agents that still run

    def begin_turn(self) -> Turn:
        """Count a turn and return it.

        Raises:
            MaxIterationsError: All turns of the run are used.
            RunLimitError: All tokens of the run are used.
        """
        limits = self.limits
        if self.iterations >= limits.iterations:
            raise self._without_answer()
        self._check_tokens()
        self.iterations += 1
        return Turn(self)

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
        limit = self.limits.tool_calls
        if self.tool_calls == limit:
            raise RunLimitError(
                f"The model called {name!r} after the run's {limit} tool calls. Raise "
                "max_tool_calls."
            )
        self.tool_calls += 1

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
        spent = self._nested_tokens + (0 if self.usage is None else tokens_of(self.usage))
        if limit is not None and spent >= limit:
            raise RunLimitError(
                f"The run has no answer and has used {spent} of its {limit} tokens. Raise "
                "max_total_tokens."
            )

    def complete(self) -> Complete:
        """Return the last event of a run that has its answer."""
        return Complete(self.output or "", self.usage, self.iterations, self.finish_reason)

    def result(self) -> AgentResult:
        """Return the finished run as one value."""
        return AgentResult(
            self.output or "",
            tuple(self.messages),
            self.usage,
            self.iterations,
            self.finish_reason,
            tuple(self.trace),
        )


class Turn:
    """The state of one turn: one response of the model, and the tools that it called.

    Attributes:
        run: The run that the turn belongs to.
        steps: The thoughts and the calls that have started or were put up for approval, in order.
        results: How the calls ended, by call id.
        answer: The answer in a text protocol; `None` while there is none.
    """

    def __init__(self, run: Run) -> None:
        self.run = run
        self.steps: list[Thought | ToolStart] = []
        self.results: dict[str, ToolEnd] = {}
        self.answer: str | None = None
        self._asked: dict[str, int] = {}  # the index of a waiting call in `steps`, by call id
        self._response = ResponseBuilder()

    @property
    def calls(self) -> list[ToolStart]:
        """The calls that have started, in order."""
        return [step for step in self.steps if isinstance(step, ToolStart)]

    def accumulate(self, chunk: StreamChunk) -> None:
        """Add a chunk to the turn's response.

        Raises:
            ConfigurationError: The model streamed something else than a `StreamChunk`.
        """
        if type(chunk) is not StreamChunk:
            raise ConfigurationError(
                f"The agent's llm must stream StreamChunks, not {type(chunk).__name__}."
            )
        self._response.add(chunk)

    def note(self, event: StreamEvent) -> None:
        """Note an event that the end of the turn depends on.

        Raises:
            RunLimitError: The event starts one tool too many, or a turn of a sub-agent for which
                no tokens are left.
            OutputError: The event is the answer, and the response has failed or was paused.
        """
        if event.path:
            self.run.note_nested(event)
            return
        match event:
            case Thought():
                self.steps.append(event)
            case ApprovalRequest():
                self._asked[event.call_id] = len(self.steps)
                self.steps.append(ToolStart(event.call_id, event.name, event.arguments))
            case ToolStart():
                self.run.count_tool_call(event.name)
                asked = self._asked.pop(event.call_id, None)
                if asked is None:
                    self.steps.append(event)
                else:
                    self.steps[asked] = event  # its arguments may have been edited
            case ToolEnd():
                self.results[event.call_id] = event
                self.run.add_usage_of_tool(event.usage)
            case Answer():
                check_finish(self._response.response())
                self.answer = event.content
            case Reset():
                self.steps.clear()
                self.results.clear()
                self._asked.clear()
                self.answer = None

    def finish(self) -> Response:
        """Add the turn's usage to the run, and return the model's response.

        Raises:
            OutputError: The response ended with a finish reason that neither makes an answer nor
                asks for another turn.
        """
        response = self._response.response()
        self.run.note_text(response.content)
        self.run.usage = add_usage(self.run.usage, response.usage)
        self.run.finish_reason = response.finish_reason
        if response.finish_reason != PAUSE:
            check_finish(response)
        return response


def tokens_of(usage: Usage) -> int:
    """Return the provider's total, or the sum of its input and output counts."""
    if usage.total_tokens is not None:
        return usage.total_tokens
    return (usage.input_tokens or 0) + (usage.output_tokens or 0)
