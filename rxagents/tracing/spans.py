"""The span of an operation, with its metrics: it begins once and ends once.

Theory of operation. A span begins when the stream of its operation is subscribed to, and ends with
the stream: completed, failed, or disposed. Any thread may dispose, so `end` decides with a lock who
was first. A span that was disposed has no error: its attribute `rxagents.disposed` says so.

The span of a run or a tool is the current one while its stream is subscribed to. So it is the
parent of what begins there, and asyncio carries it into the tasks, timers and threads that start
there. The span of a model call is never current: the subscriber's code, which runs in the task of
the stream, would make it the parent of its own spans.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from msgspec import Struct
from opentelemetry import context as otel
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.util.types import AttributeValue

from rxagents.core.errors import ProviderError, RxAgentsError
from rxagents.core.events import ToolEnd
from rxagents.core.messages import Message
from rxagents.core.printing import printed
from rxagents.core.tools import Tool
from rxagents.core.usage import Usage
from rxagents.runtime.listening import AgentCall, ToolExecution
from rxagents.runtime.source import is_cancellation
from rxagents.tracing import content, names
from rxagents.tracing.instruments import Attributes, Instruments
from rxagents.tracing.names import Metric


class Telemetry(Struct, frozen=True):
    """What spans and metrics are made with.

    Attributes:
        tracer: Makes the spans.
        instruments: Record the metrics.
        has_content: Whether spans have the texts of messages, tools and errors.
        has_chunk_times: Whether the time of each chunk is recorded.
        old_attributes: Earlier names of attributes, by their present name.
        has_new_attributes: Whether attributes that have an earlier name get the present one too.
    """

    tracer: trace.Tracer
    instruments: Instruments
    has_content: bool
    has_chunk_times: bool
    old_attributes: Mapping[str, str]
    has_new_attributes: bool


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


class OpenSpan:
    """A span that has begun.

    Args:
        telemetry: Makes the span.
        name: Its name.
        operation: The name of its operation; empty for a span that has none.
        attributes: Its attributes, apart from the operation.
        kind: Its kind.
        metric: The metric of its duration; `None` for none.
        start: When it began, in nanoseconds since the epoch; `None` for now.
        parent: The context of its parent; `None` for the current one.
    """

    def __init__(
        self,
        telemetry: Telemetry,
        name: str,
        operation: str,
        attributes: dict[str, AttributeValue],
        *,
        kind: SpanKind = SpanKind.INTERNAL,
        metric: Metric | None = None,
        start: int | None = None,
        parent: Context | None = None,
    ) -> None:
        self.telemetry = telemetry
        self.parent = otel.get_current() if parent is None else parent
        operation_attributes = {names.OPERATION: operation} if operation else {}
        self.span = telemetry.tracer.start_span(
            name, self.parent, kind, {**operation_attributes, **attributes}, start_time=start
        )
        late = 0.0 if start is None else (time.time_ns() - start) / 1e9
        self.began = time.perf_counter() - late
        self.metric_attributes: dict[str, AttributeValue] = dict(operation_attributes)
        self._metric = metric
        self._retries = 0
        self._once = threading.Lock()
        self._live: Attributes = operation_attributes
        telemetry.instruments.live.add(1, self._live)

    @property
    def context(self) -> Context:
        """The context in which the span is the current one."""
        return trace.set_span_in_context(self.span, self.parent)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Make the span the current one inside of the block."""
        token = otel.attach(self.context)
        try:
            yield
        finally:
            otel.detach(token)

    def set(self, attributes: Mapping[str, AttributeValue | None]) -> None:
        """Set the attributes that have a value."""
        for name, value in attributes.items():
            if value is None:
                continue
            old = self.telemetry.old_attributes.get(name)
            if old is not None:
                self.span.set_attribute(old, value)
            if old is None or self.telemetry.has_new_attributes:
                self.span.set_attribute(name, value)

    def on_retry(self, error: Exception, seconds: float) -> None:
        """Add the event of a failed attempt after which another one follows."""
        self._retries += 1
        attributes: dict[str, AttributeValue] = {
            names.RETRY_ATTEMPT: self._retries,
            names.RETRY_DELAY: seconds,
            names.ERROR_TYPE: error_type(error),
        }
        if isinstance(error, ProviderError) and error.status is not None:
            attributes[names.STATUS_CODE] = error.status
        self.span.add_event(names.RETRY, attributes)

    def guarding(self, emit: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that emits an item, and ends the span if the consumer raises.

        The source then ends without a terminal, and nobody need dispose it.
        """

        def on_next(item: Any) -> None:
            try:
                emit(item)
            except BaseException:
                self.end(is_disposed=True)
                raise

        return on_next

    def fail(self, kind: str, message: str) -> None:
        """Set the error; its message only in a trace with content."""
        self.set({names.ERROR_TYPE: kind})
        self.metric_attributes[names.ERROR_TYPE] = kind
        shown = message if self.telemetry.has_content else None
        self.span.set_status(Status(StatusCode.ERROR, shown))

    def end(self, error: BaseException | None = None, *, is_disposed: bool = False) -> None:
        """End the span, unless it has ended; any thread may call it."""
        if not self._once.acquire(blocking=False):
            return
        if is_disposed or (isinstance(error, Exception) and is_cancellation(error)):
            self.set({names.DISPOSED: True})
        elif error is not None:
            self.fail(error_type(error), printed(error))
            if isinstance(error, ProviderError):
                self.set({names.STATUS_CODE: error.status})
        self.finish()
        self.span.end()
        instruments = self.telemetry.instruments
        instruments.live.add(-1, self._live)
        if self._metric is not None:
            seconds = time.perf_counter() - self.began
            instruments.record(self._metric, seconds, self.metric_attributes)

    def finish(self) -> None:
        """Set the attributes that are known at the end, and record further metrics."""


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
            self.set({names.ARGUMENTS: arguments})

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
            self.set({names.RESULT: end.result})


def error_type(error: BaseException) -> str:
    """Return the name of an error's class, with its module if it is not of this library."""
    kind = type(error)
    if isinstance(error, RxAgentsError) or kind.__module__ == "builtins":
        return kind.__qualname__
    return f"{kind.__module__}.{kind.__qualname__}"


def attributes_of(values: Mapping[str, Any]) -> dict[str, AttributeValue]:
    """Return the attributes that have a value."""
    return {name: value for name, value in values.items() if value is not None}
