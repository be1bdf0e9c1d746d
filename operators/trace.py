"""Make OpenTelemetry spans of what one stream does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import SingleAssignmentDisposable

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.factories import core_of, operator_factory
from rxagents.runtime.listening import OtherStream, listening
from rxagents.runtime.reporting import as_exception
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tracing_extra import TraceNames, tracing_listener

if TYPE_CHECKING:
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import TracerProvider

T = TypeVar("T")


@operator_factory
def trace(
    name: str | None = None,
    *,
    content: bool = False,
    names: TraceNames = "new",
    chunk_times: bool = False,
    tracer_provider: TracerProvider | None = None,
    meter_provider: MeterProvider | None = None,
) -> Callable[[Observable[T]], Observable[T]]:
    """Make spans and metrics of the model calls, runs and tool calls of a stream.

    `rxagents.instrument` does it for the whole program, and describes the spans; under both, the
    options given here count. Their parent is the span that is current at the subscription, or a
    span of the given name. A stream that was not made by a model or an agent of this library has a
    span by its items: `chat` if they are chunks, `invoke_agent` if they are events of a run. What a
    subscriber starts in a callback of the stream is traced as well.

    .. marble::
        --1--2--3--|
        [ trace() ]
        --1--2--3--|

    Emits when: the source emits.
    Backpressures when: downstream does.
    Completes when: the source completes.

    Args:
        name: The name of a span around all others, such as those of a race; none by default.
        content: See `rxagents.instrument`.
        names: See `rxagents.instrument`.
        chunk_times: See `rxagents.instrument`.
        tracer_provider: See `rxagents.instrument`.
        meter_provider: See `rxagents.instrument`.

    Returns:
        An operator that leaves the items as they are. It subscribes to the source in the loop's
        next iteration.

    Raises:
        ConfigurationError: On the call, if opentelemetry-api is not installed or an argument is not
            usable. The source's errors pass.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> llm = rxagents.get_model("scripted:Hello")
        >>> rxagents.run(llm.chat_stream("Hi").pipe(ops.trace("greet"), ops.text()))
        'Hello'
    """
    if name is not None and (not isinstance(name, str) or not name):
        raise ConfigurationError(f"name must be a text of one character or more, not {name!r}.")
    listener = tracing_listener(
        content=content,
        names=names,
        chunk_times=chunk_times,
        tracer_provider=tracer_provider,
        meter_provider=meter_provider,
    )

    def trace_(source: Observable[T]) -> Observable[T]:
        core = core_of(source)

        def subscribe(observer: abc.ObserverBase[T], scope: TimedScope) -> None:
            subscription = SingleAssignmentDisposable()
            scope.hold(subscription)

            def begin() -> None:
                with listening(listener):
                    # `source.subscribe` would put one more observer before each item.
                    subscription.disposable = listener.subscribe(
                        OtherStream(name or ""), core, observer, scope.scheduler
                    )

            def begin_later() -> None:
                try:
                    begin()
                except Exception as error:
                    if scope.is_disposed:
                        raise  # the consumer's, which `subscribe` of reactivex disposes
                    observer.on_error(as_exception(error))

            if scope.loop is None:
                begin()  # in virtual time
            else:
                # In a callback of its own, so that all that reactivex schedules runs in the block.
                scope.timer(begin_later).start(0)

        return timed(subscribe)

    return trace_
