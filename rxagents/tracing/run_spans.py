"""The spans of runs and of tool calls."""

from __future__ import annotations

from msgspec import Struct
from opentelemetry import context as otel
from opentelemetry.context import Context
from opentelemetry.util.types import AttributeValue

from rxagents.core.events import ToolEnd
from rxagents.core.messages import Message
from rxagents.core.surrogates import replace_surrogates
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage
from rxagents.runtime.listening import AgentCall, ToolExecution
from rxagents.tracing import content, names
from rxagents.tracing.spans import OpenSpan, Telemetry


class RunCounts(Struct):
    """The calls of one run, which its model calls and tools count."""

    agent: str
    conversation_id: str | None
    model_calls: int = 0
    tool_calls: int = 0


_RUN = otel.create_key("rxagents_run")


def current_run() -> RunCounts | None:
    """Return the run that the code which runs is part of."""
    run = otel.get_value(_RUN)
    return run if isinstance(run, RunCounts) else None


class AgentSpan(OpenSpan):
    """The span of a run."""

    def __init__(
        self,
        telemetry: Telemetry,
        call: AgentCall,
        *,
        start: int | None = None,
        parent: Context | None = None,
    ) -> None:
        super().__init__(
            telemetry,
            f"{names.INVOKE_AGENT} {call.name}".rstrip(),
            names.INVOKE_AGENT,
            {names.AGENT: call.name} if call.name else {},
            metric=names.RUN_DURATION,
            start=start,
            parent=parent,
        )
        self._call = call
        self._counts = RunCounts(call.name, call.conversation_id)
        self.set({names.CONVERSATION: call.conversation_id})
        if call.name:
            self.metric_attributes[names.AGENT] = call.name

    @property
    def context(self) -> Context:
        """The context in which the span is the current one, and calls are counted."""
        return otel.set_value(_RUN, self._counts, super().context)

    def note_end(self, output: str, finish_reason: str, usage: Usage | None) -> None:
        """Note how the run has completed."""
        self.set({names.FINISH_REASONS: [finish_reason] if finish_reason else None})
        if usage is not None:
            self.set(
                {
                    names.INPUT_TOKENS: usage.input_tokens,
                    names.OUTPUT_TOKENS: usage.output_tokens,
                }
            )
        if self.telemetry.has_content:
            message = Message.assistant(output)
            self.set({names.OUTPUT: content.messages_json((message,), finish_reason)})

    def count_tool_call(self) -> None:
        """Count a tool call that only the run's events show."""
        self._counts.tool_calls += 1

    def finish(self) -> None:
        """Set how the run ended, and record its calls."""
        result = self._call.result()
        if result is not None:
            output = result.output
            text = output if isinstance(output, str) else content.as_json(output)
            self.note_end(text, result.finish_reason, result.usage)
        instruments, counts = self.telemetry.instruments, self._counts
        attributes = {k: v for k, v in self.metric_attributes.items() if k == names.AGENT}
        instruments.record(names.RUN_CALLS, counts.model_calls, attributes)
        instruments.record(names.RUN_TOOL_CALLS, counts.tool_calls, attributes)


class ToolSpan(OpenSpan):
    """The span of a tool call."""

    def __init__(
        self,
        telemetry: Telemetry,
        name: str,
        call_id: str,
        arguments: str,
        tool: Tool | None = None,
        parent: Context | None = None,
    ) -> None:
        attributes: dict[str, AttributeValue] = {
            names.TOOL: name,
            names.TOOL_CALL: call_id,
            names.TOOL_TYPE: "function",
        }
        if tool is not None and tool.description:
            attributes[names.TOOL_DESCRIPTION] = tool.description
        super().__init__(
            telemetry,
            f"{names.EXECUTE_TOOL} {name}",
            names.EXECUTE_TOOL,
            attributes,
            metric=names.TOOL_DURATION,
            parent=parent,
        )
        self.metric_attributes |= {names.TOOL: name, names.TOOL_TYPE: "function"}
        self.last: ToolEnd | None = None
        self._operation: ToolExecution | None = None
        run = current_run() if parent is None else None
        if run is not None:
            run.tool_calls += 1
            if run.agent:
                self.metric_attributes[names.AGENT] = run.agent
        if telemetry.has_content:
            self.set({names.ARGUMENTS: replace_surrogates(arguments)})

    @classmethod
    def of(cls, telemetry: Telemetry, operation: ToolExecution) -> ToolSpan:
        """Begin the span of a tool that runs here."""
        call = operation.call
        span = cls(telemetry, operation.tool.name, call.id, call.arguments, operation.tool)
        span._operation = operation
        operation.on_retry = span.on_retry
        return span

    def finish(self) -> None:
        """Set the error or the result of the call."""
        end = self.last if self._operation is None else self._operation.end
        if end is None:
            return
        if end.error is not None:
            self.fail(end.error.kind, end.error.message)
        if self.telemetry.has_content:
            self.set({names.RESULT: replace_surrogates(end.result)})
