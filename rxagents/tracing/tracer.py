"""The listener that makes spans of operations.

Theory of operation. Each operation gets a span, and its observer a layer that ends it. A run's
layer only looks whether the subscriber raises: how the run ended is in its operation.

A stream of other origin (`OtherStream`) is an operation by itself, or it contains some: a user's
model may pass the request on to one of ours, which has its own span. Nobody knows before it is
subscribed to. So it has a `_Claim`, which any operation that begins inside takes. If the first item
comes and nobody has taken it, the item shows what the stream is: chunks are those of a model call,
events those of a run. Its span then begins at the time of the subscription.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from functools import lru_cache
from typing import Any, get_args

from opentelemetry import context as otel
from opentelemetry import metrics, trace
from reactivex import abc
from reactivex.disposable import Disposable

from rxagents._version import __version__
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import Complete, StreamEvent, ToolEnd, ToolStart
from rxagents.runtime.factories import Callbacks, Subscribe
from rxagents.runtime.listening import (
    AgentCall,
    ModelCall,
    Operation,
    OtherStream,
    ToolExecution,
)
from rxagents.tracing import content, names
from rxagents.tracing.chat_span import ChatSpan
from rxagents.tracing.instruments import Instruments
from rxagents.tracing.names import Names
from rxagents.tracing.spans import AgentSpan, OpenSpan, Telemetry, ToolSpan


class _Claim:
    """Notes whether an operation with a span of its own has begun inside of a stream."""

    __slots__ = ("is_taken",)

    def __init__(self) -> None:
        self.is_taken = False


_claims: ContextVar[tuple[_Claim, ...]] = ContextVar("rxagents_trace_claims", default=())


class Tracer:
    """Makes a span of each operation.

    Args:
        telemetry: Makes the spans and records the metrics.
    """

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry

    def subscribe(
        self,
        operation: Operation,
        subscribe: Subscribe,
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        """Subscribe to the stream of an operation; see `Listener`."""
        telemetry = self._telemetry
        on_next: Callable[[Any], None] = observer.on_next
        match operation:
            case OtherStream(name="") | OtherStream(call=ModelCall()):
                return self._subscribe_other(operation, subscribe, observer, scheduler)
            case OtherStream():
                span = OpenSpan(telemetry, operation.name, "", {})
                place: Any = span.entered()
                on_next = span.guarding(on_next)
            case ModelCall():
                _take_claims()
                chat = ChatSpan(telemetry, operation)
                span, place, on_next = chat, nullcontext(), chat.watching(on_next)
            case AgentCall():
                _take_claims()
                span = AgentSpan(telemetry, operation)
                place = span.entered()
                on_next = span.guarding(on_next)
            case ToolExecution():
                span = ToolSpan.of(telemetry, operation)
                place = span.entered()

        def on_error(error: Exception) -> None:
            span.end(error)
            observer.on_error(error)

        def on_completed() -> None:
            span.end()
            observer.on_completed()

        try:
            with place:
                subscription = subscribe(Callbacks(on_next, on_error, on_completed), scheduler)
        except BaseException as error:
            span.end(error)
            raise
        return _ending(subscription, lambda: span.end(is_disposed=True))

    def _subscribe_other(
        self,
        operation: OtherStream,
        subscribe: Subscribe,
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        stream = _OtherStream(self._telemetry, operation, observer)
        token = _claims.set((*_claims.get(), stream.claim))
        try:
            subscription = subscribe(
                Callbacks(stream.on_next, stream.on_error, stream.on_completed), scheduler
            )
        except BaseException as error:
            stream.end(error)
            raise
        finally:
            _claims.reset(token)
        return _ending(subscription, lambda: stream.end(is_disposed=True))


class _OtherStream:
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
        self.end(error)
        self._observer.on_error(error)

    def on_completed(self) -> None:
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


def _take_claims() -> None:
    for claim in _claims.get():
        claim.is_taken = True


def _ending(subscription: Any, end: Callable[[], None]) -> abc.DisposableBase:
    """Return a disposable that also ends a span; the spans inside of it end before."""
    stop = getattr(subscription, "dispose", subscription)  # it may be a function or `None`

    def dispose() -> None:
        try:
            if stop is not None:
                stop()
        finally:
            end()

    return Disposable(dispose)


@lru_cache(maxsize=32)
def tracer(
    *,
    content: bool = False,
    names: Names = "new",
    chunk_times: bool = False,
    tracer_provider: trace.TracerProvider | None = None,
    meter_provider: metrics.MeterProvider | None = None,
) -> Tracer:
    """Return the tracer with these options; `rxagents.instrument` documents them.

    The same options give the same tracer, since its instruments are made once.

    Raises:
        ConfigurationError: `names` is none of its values.
    """
    if names not in get_args(Names):
        raise ConfigurationError(f'names must be "new", "old" or "both", not {names!r}.')
    made = trace.get_tracer(_SCOPE, __version__, tracer_provider)
    meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
    old = _OLD_ATTRIBUTES if names != "new" else {}
    telemetry = Telemetry(
        made, Instruments(meter, names), content, chunk_times, old, names != "old"
    )
    return Tracer(telemetry)


_SCOPE = names.SCOPE
_OLD_ATTRIBUTES = names.OLD_ATTRIBUTES
