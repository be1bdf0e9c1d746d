"""The listener that makes spans of operations.

Theory of operation. Each operation gets a span, and its observer a layer that ends it. A run's
layer only looks whether the subscriber raises: how the run ended is in its operation.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, get_args

from opentelemetry import metrics, trace
from reactivex import abc
from reactivex.disposable import Disposable

from rxagents._version import __version__
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import Callbacks, Subscribe
from rxagents.runtime.listening import (
    AgentCall,
    ModelCall,
    Operation,
    OtherStream,
    ToolExecution,
)
from rxagents.tracing import names
from rxagents.tracing.chat_span import ChatSpan
from rxagents.tracing.instruments import Instruments
from rxagents.tracing.names import Names
from rxagents.tracing.run_spans import AgentSpan, ToolSpan
from rxagents.tracing.spans import OpenSpan, Telemetry
from rxagents.tracing.traced_stream import TracedStream, take_claims


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
                take_claims()
                chat = ChatSpan(telemetry, operation)
                span, place, on_next = chat, nullcontext(), chat.watching(on_next)
            case AgentCall():
                take_claims()
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
        stream = TracedStream(self._telemetry, operation, observer)
        try:
            with stream.claimable():
                subscription = subscribe(
                    Callbacks(stream.on_next, stream.on_error, stream.on_completed), scheduler
                )
        except BaseException as error:
            stream.end(error)
            raise
        return _ending(subscription, lambda: stream.end(is_disposed=True))


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
        ConfigurationError: `names` is none of its values, or a provider is none.
    """
    if names not in get_args(Names):
        raise ConfigurationError(f'names must be "new", "old" or "both", not {names!r}.')
    for name, provider, method in (
        ("tracer_provider", tracer_provider, "get_tracer"),
        ("meter_provider", meter_provider, "get_meter"),
    ):
        if provider is not None and not hasattr(provider, method):
            raise ConfigurationError(
                f"{name} must be a {name.title().replace('_', '')} of OpenTelemetry, not "
                f"{type(provider).__name__}."
            )
    made = trace.get_tracer(_SCOPE, __version__, tracer_provider)
    meter = metrics.get_meter(_SCOPE, __version__, meter_provider)
    old = _OLD_ATTRIBUTES if names != "new" else {}
    telemetry = Telemetry(
        made, Instruments(meter, names), content, chunk_times, old, names != "old"
    )
    return Tracer(telemetry)


_SCOPE = names.SCOPE
_OLD_ATTRIBUTES = names.OLD_ATTRIBUTES
