"""The span of a stream that only its items describe.

Theory of operation. A stream of other origin is an operation by itself, or it contains some: a
user's model may pass the request on to one of ours, which has its own span. Nobody knows before it
is subscribed to. So it has a `_Claim`, which any operation that begins inside takes. If the first
item comes and nobody has taken it, the item shows what the stream is: chunks are those of a model
call, events those of a run. Its span then begins at the time of the subscription.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from opentelemetry import context as otel
from reactivex import abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Complete, StreamEvent, ToolEnd, ToolStart
from rxagents.runtime.listening import AgentCall, ModelCall, OtherStream
from rxagents.tracing import content
from rxagents.tracing.chat_span import ChatSpan
from rxagents.tracing.run_spans import AgentSpan, ToolSpan
from rxagents.tracing.spans import OpenSpan, Telemetry


class _Claim:
    """Notes whether an operation with a span of its own has begun inside of a stream."""

    __slots__ = ("is_taken",)

    def __init__(self) -> None:
        self.is_taken = False


_claims: ContextVar[tuple[_Claim, ...]] = ContextVar("rxagents_trace_claims", default=())


def take_claims() -> None:
    """Take the claims of the streams inside of which an operation begins."""
    for claim in _claims.get():
        claim.is_taken = True


class TracedStream:
    """A subscription to a stream that only its items describe."""

    def __init__(
        self, telemetry: Telemetry, operation: OtherStream, observer: abc.ObserverBase[Any]
    ) -> None:
        self.claim = _Claim()
        self._telemetry = telemetry
        self._call = operation.call
        self._observer = observer
        self._start = time.time_ns()
        self._parent = otel.get_current()
        self._span: OpenSpan | None = None
        self._events: _EventSpans | None = None
        self._is_known = False
        self._emit: Callable[[Any], None] = observer.on_next
        self.on_next = self._watching()

    @contextmanager
    def claimable(self) -> Iterator[None]:
        """Let the operations that begin inside of the block take the claim."""
        token = _claims.set((*_claims.get(), self.claim))
        try:
            yield
        finally:
            _claims.reset(token)

    def _watching(self) -> Callable[[Any], None]:
        is_known, emit = False, self._emit

        def on_next(item: Any) -> None:
            nonlocal is_known, emit
            if not is_known:
                is_known = True
                emit = self._begin(item)
            emit(item)

        return on_next

    def _begin(self, item: object) -> Callable[[Any], None]:
        """Begin the span that the first item shows; return what the items go to."""
        self._is_known = True
        if self.claim.is_taken:
            return self._emit
        if type(item) is StreamChunk:
            chat = self._begin_chat()
            return chat.watching(self._emit)
        if isinstance(item, StreamEvent):
            span = AgentSpan(
                self._telemetry,
                AgentCall("", lambda: None),
                start=self._start,
                parent=self._parent,
            )
            self._span = span
            self._events = _EventSpans(self._telemetry, span)
            return self._events.watching(self._emit)
        return self._emit

    def _begin_chat(self) -> ChatSpan:
        call = self._call or ModelCall("", "")
        span = ChatSpan(self._telemetry, call, start=self._start, parent=self._parent)
        self._span = span
        return span

    def on_error(self, error: Exception) -> None:
        """End the span with an error, and emit it."""
        self.end(error)
        self._observer.on_error(error)

    def on_completed(self) -> None:
        """End the span, and complete."""
        self.end()
        self._observer.on_completed()

    def end(self, error: BaseException | None = None, *, is_disposed: bool = False) -> None:
        """End the span; a model's stream without items gets one now."""
        if not self._is_known and not self.claim.is_taken and self._call is not None:
            self._is_known = True
            self._begin_chat()
        if self._events is not None:
            self._events.end()
        if self._span is not None:
            self._span.end(error, is_disposed=is_disposed)


class _EventSpans:
    """The spans of the tools that the events of a run show."""

    def __init__(self, telemetry: Telemetry, run: AgentSpan) -> None:
        self._telemetry = telemetry
        self._run = run
        self._tools: dict[str, ToolSpan] = {}

    def watching(self, emit: Callable[[Any], None]) -> Callable[[Any], None]:
        """Return a function that notes an event, and emits it."""
        emit = self._run.guarding(emit)

        def on_next(event: Any) -> None:
            if isinstance(event, ToolStart | ToolEnd | Complete) and not event.path:
                self._note(event)
            emit(event)

        return on_next

    def _note(self, event: ToolStart | ToolEnd | Complete) -> None:
        match event:
            case ToolStart():
                arguments = content.as_json(event.arguments)
                self._run.count_tool_call()
                self._tools[event.call_id] = ToolSpan(
                    self._telemetry,
                    event.name,
                    event.call_id,
                    arguments,
                    parent=self._run.context,
                )
            case ToolEnd():
                span = self._tools.pop(event.call_id, None)
                if span is not None:
                    span.last = event
                    span.end()
            case Complete():
                self._run.note_end(event.content, event.finish_reason, event.usage)

    def end(self) -> None:
        """End the spans of the tools that have not ended."""
        for span in self._tools.values():
            span.end(is_disposed=True)
        self._tools.clear()
