"""Let a listener, such as the one that makes traces, follow model calls, runs and tool calls.

Theory of operation. Whatever begins an operation asks for the listener once, when its stream is
subscribed to. Without a listener it subscribes to the stream itself, so that an item costs nothing.
With one, the listener subscribes, and may stand between the stream and the observer, or look only
at the end. What no item says, the engine writes into the operation: retries, and how a run or a
tool call ended.

- A listener is installed for the program, or for all that begins inside of one subscription. A
  context variable carries the latter, and asyncio copies it into each task and timer.
- A listener makes context variables of its own current while it subscribes, such as the current
  span. So what begins next must not inherit them from what has ended: a run subscribes to each of
  its stages in the context in which it began, and `run_tools` to each tool in the context of its
  own subscription. Both do so only if there is a listener.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from typing import Any, Protocol, TypeAlias, TypeVar

from msgspec import Struct
from reactivex import Observable, abc

from rxagents.core.events import ToolEnd
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import AgentResult
from rxagents.core.settings import Settings
from rxagents.core.tools import Tool
from rxagents.runtime.factories import Subscribe, core_of
from rxagents.runtime.stream import Stream

T = TypeVar("T")


def _ignore(error: Exception, seconds: float) -> None: ...


class ModelCall(Struct):
    """A request to a model, with all its attempts.

    Attributes:
        provider: The name of the provider's class of models, such as `"openai"`.
        model: The model's name.
        messages: The conversation.
        tools: The tools that the model may call.
        settings: The generation settings.
        host: The server; empty for a model in process.
        port: Its port.
        is_completion: Whether the prompt is a text to be continued, and no conversation.
        on_retry: Called with the error of a failed attempt and the seconds until the next one.
    """

    provider: str
    model: str
    messages: Sequence[Message] = ()
    tools: Sequence[Tool] = ()
    settings: Settings = Settings()
    host: str = ""
    port: int | None = None
    is_completion: bool = False
    on_retry: Callable[[Exception, float], None] = _ignore


class AgentCall(Struct):
    """One run of an agent.

    Attributes:
        name: The agent's name.
        result: Returns the result of a run that has completed; `None` before.
        conversation_id: The conversation that the run belongs to; `None` if there is none.
    """

    name: str
    result: Callable[[], AgentResult[Any] | None]
    conversation_id: str | None = None


class ToolExecution(Struct):
    """A tool call, with all its attempts.

    Attributes:
        tool: The tool.
        call: The model's call.
        end: The call's last event; `None` before.
        on_retry: Called with the error of a failed attempt and the seconds until the next one.
    """

    tool: Tool
    call: ToolCall
    end: ToolEnd | None = None
    on_retry: Callable[[Exception, float], None] = _ignore


class OtherStream(Struct):
    """A stream that may be an operation or contain some: only its items tell.

    Attributes:
        name: The name that the user gave it; empty if there is none.
        call: The request, if it is the stream of a model.
    """

    name: str = ""
    call: ModelCall | None = None


Operation: TypeAlias = ModelCall | AgentCall | ToolExecution | OtherStream
OperationT = TypeVar("OperationT", ModelCall, AgentCall, ToolExecution, OtherStream)


class Listener(Protocol):
    """Follows operations."""

    def subscribe(
        self,
        operation: Operation,
        subscribe: Subscribe,
        observer: abc.ObserverBase[Any],
        scheduler: abc.SchedulerBase | None,
    ) -> abc.DisposableBase:
        """Subscribe to the stream of an operation.

        Args:
            operation: The operation, which begins now.
            subscribe: Subscribes an observer to its stream.
            observer: Gets the items.
            scheduler: The observer's scheduler.
        """
        ...


class _Installed:
    """The listener of the program."""

    listener: Listener | None = None


_scoped: ContextVar[Listener | None] = ContextVar("rxagents_listener", default=None)


def current_listener() -> Listener | None:
    """Return the listener of what begins now."""
    scoped = _scoped.get()
    return _Installed.listener if scoped is None else scoped


def install(listener: Listener | None) -> Listener | None:
    """Make a listener that of the program, or remove it; return the one before."""
    before, _Installed.listener = _Installed.listener, listener
    return before


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Let a listener follow what begins inside of the block, in place of the program's."""
    token = _scoped.set(listener)
    try:
        yield
    finally:
        _scoped.reset(token)


def listened(
    make: Callable[[OperationT | None], Observable[T]], describe: Callable[[], OperationT]
) -> Stream[T]:
    """Return the stream of an operation, which a listener may follow.

    Args:
        make: Makes the stream for one subscription; called with the operation, to write into, or
            with `None` if nobody listens.
        describe: Returns the operation of one subscription.
    """

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        listener = current_listener()
        if listener is None:
            subscription: abc.DisposableBase = core_of(make(None))(observer, scheduler)
            return subscription
        operation = describe()
        return listener.subscribe(operation, core_of(make(operation)), observer, scheduler)

    return Stream(subscribe)


def context_if_listening() -> Context | None:
    """Return a copy of the current context if there is a listener."""
    return None if current_listener() is None else copy_context()


def subscribed_in(context: Context, source: Observable[T]) -> Observable[T]:
    """Return `source`, which is subscribed to in a context."""

    def subscribe(
        observer: abc.ObserverBase[T], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        # A copy: a context cannot be entered twice, and the stream may emit inside of `subscribe`.
        subscription: abc.DisposableBase = context.copy().run(core_of(source), observer, scheduler)
        return subscription

    return Observable(subscribe)
