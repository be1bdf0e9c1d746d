"""Hold the state of one turn: one response of the model, and the tools that it called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rxagents.agents.finish import PAUSE, check_finish
from rxagents.agents.nested_usage import NestedUsage
from rxagents.agents.partial import estimated_usage, is_counted
from rxagents.agents.typed_turn import TypedTurn
from rxagents.core.errors import RunLimitError
from rxagents.core.events import (
    Answer,
    ApprovalRequest,
    Reset,
    StreamEvent,
    Thought,
    ToolEnd,
    ToolStart,
    TurnEnd,
)
from rxagents.core.messages import ToolCall, ToolResult
from rxagents.core.response import Response, ResponseBuilder
from rxagents.core.usage import Usage, add_usage

if TYPE_CHECKING:
    from rxagents.agents.run import Run


class Turn:
    """The state of one turn: one response of the model, and the tools that it called.

    Attributes:
        run: The run that the turn belongs to.
        steps: The thoughts and the calls that have started or were put up for approval, in order.
        results: How the calls ended, by call id.
        response_builder: Folds the chunks of the response.
        answer: The answer in a text protocol; `None` while there is none.
        nested: What sub-agents have used whose tools still run.
        number: The number of the turn in its run, from 1.
        is_interrupted: Whether it was ended from outside, or at a limit.
        is_sent: Whether its request was sent.
        is_last: Whether the run is at its limit: the model is asked for its answer, without tools.
        is_resumed: Whether it goes on with calls of a response that came before the run.
        is_usage_added: Whether its usage is part of the run's.
        typed: The structured answer; `None` in a run without an `output_type`.
    """

    def __init__(self, run: Run, *, is_last: bool = False, is_resumed: bool = False) -> None:
        self.number = run.iterations
        self.is_last = is_last
        self.is_resumed = is_resumed
        self.is_interrupted = False
        self.is_sent = False
        self.nested = NestedUsage()
        self.is_usage_added = False
        self._usage: Usage | None = None
        self._finish_reason = ""
        self.run = run
        self.typed = None if run.parts is None else TypedTurn(run.parts)
        self.steps: list[Thought | ToolStart] = []
        self.results: dict[str, ToolEnd] = {}
        self.answer: str | None = None
        self._asked: dict[str, int] = {}  # the index of a waiting call in `steps`, by call id
        self._admitted: set[str] = set()  # calls that `refuse` let pass and that have not started
        self._refused: set[str] = set()
        self.response_builder = ResponseBuilder()

    @property
    def calls(self) -> list[ToolStart]:
        """The calls that have started, in order."""
        return [step for step in self.steps if isinstance(step, ToolStart)]

    @property
    def waiting(self) -> list[ToolStart]:
        """The calls that were put up for approval and have not ended, in order."""
        asked = (self.steps[index] for index in sorted(self._asked.values()))
        return [
            step
            for step in asked
            if isinstance(step, ToolStart) and step.call_id not in self.results
        ]

    @property
    def call_results(self) -> list[ToolResult]:
        """The results of the calls that have ended, in the order of the calls."""
        ends = [self.results[call.call_id] for call in self.calls if call.call_id in self.results]
        return [
            ToolResult(end.call_id, end.result, end.name, end.error is not None) for end in ends
        ]

    def note(self, event: StreamEvent) -> None:
        """Note an event that the end of the turn depends on.

        Raises:
            RunLimitError: The event starts one tool too many, or a turn of a sub-agent for which
                no tokens are left.
            OutputError: The event is the answer, and the response has failed or was paused.
        """
        if event.path:
            if isinstance(event, TurnEnd) and event.usage is not None:
                self.nested.add(event.usage)
            self.run.note_nested(event)
            return
        match event:
            case Thought():
                self.steps.append(event)
            case ApprovalRequest():
                self._asked[event.call_id] = len(self.steps)
                self.steps.append(ToolStart(event.call_id, event.name, event.arguments))
            case ToolStart():
                self._admitted.discard(event.call_id)
                if event.call_id not in self._refused:
                    self.run.count_tool_call(event.name)
                asked = self._asked.pop(event.call_id, None)
                if asked is None:
                    self.steps.append(event)
                else:
                    self.steps[asked] = event  # its arguments may have been edited
            case ToolEnd():
                self._admitted.discard(event.call_id)  # it was denied
                self.results[event.call_id] = event
                self.nested.remove(event)
                self.run.add_usage_of_tools(event.usage, event.estimated_usage)
                self.run.control.save()
            case Answer():
                check_finish(self.response_builder.response())
                self.answer = event.content
            case Reset():
                self.steps.clear()
                self.results.clear()
                self._asked.clear()
                self._admitted.clear()
                self._refused.clear()
                if not self.is_last:
                    self.run.reached = None
                self.answer = None

    def refuse(self, call: ToolCall) -> str | None:
        """Return why a call must not start, if it is one too many and a last turn follows."""
        try:
            self.run.check_tool_calls(call.name, waiting=len(self._admitted))
        except RunLimitError as error:
            if self.run.answers_at(error):
                self._refused.add(call.id)
                return f"all {self.run.limits.tool_calls} tool calls of this task are used"
        self._admitted.add(call.id)
        return None

    def response(self) -> Response:
        """Return the model's response so far."""
        return self.response_builder.response()

    def written(self) -> str:
        """Return the text so far, or the arguments of the call that is the answer."""
        response = self.response()
        request = None if self.typed is None else self.typed.request
        for call in response.tool_calls:
            if request is not None and request.is_answer(call.name):
                return call.arguments
        return response.content

    def end_early(self, output: str) -> None:
        """Add what there is of an interrupted turn to the run.

        Args:
            output: The answer as far as the model has written it.
        """
        run, response = self.run, self.response()
        if is_counted(response):
            self._usage = response.usage
            run.usage = add_usage(run.usage, response.usage)
        elif self.is_sent:
            self._usage = estimated_usage(run.messages, response)
            run.estimated_usage = add_usage(run.estimated_usage, self._usage)
        run.add_usage_of_tools(self.nested.counted, self.nested.estimated)
        self.is_usage_added = True
        run.end_early(output)
        self._finish_reason = run.finish_reason

    def end_event(self) -> TurnEnd:
        """Return the event that ends the turn."""
        return TurnEnd(self.number, self._finish_reason, self._usage)

    def finish(self) -> Response:
        """Add the turn's usage to the run, and return the model's response.

        Raises:
            OutputError: The response ended with a finish reason that neither makes an answer nor
                asks for another turn.
        """
        response = self.response_builder.response()
        self.run.note_text(response.content)
        self._usage, self.is_usage_added = response.usage, True
        self.run.usage = add_usage(self.run.usage, response.usage)
        self.run.finish_reason = self._finish_reason = response.finish_reason
        if response.finish_reason != PAUSE:
            check_finish(response)
        self.run.set_partial(list)
        return response
