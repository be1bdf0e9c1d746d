"""Tools, run as soon as the model has called them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, Literal, TypeAlias, TypeVar, get_args

from reactivex import Observable, abc

from rxagents.core.checks import checked_count, checked_function
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ConfigurationError, ToolError, ToolNotFoundError
from rxagents.core.events import ErrorInfo, Reset, Token, ToolEnd, ToolProgress, ToolStart
from rxagents.core.messages import ToolCall
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.approval import Approve, execute_if_approved

T = TypeVar("T")

ToolEvent: TypeAlias = ToolStart | ToolProgress | ToolEnd
StartTools: TypeAlias = Literal["at_once", "turn_end"]


def run_tools(
    tools: Sequence[ToolLike],
    *,
    concurrency: int = 8,
    start: StartTools = "at_once",
    approve: Approve | None = None,
) -> Callable[[Observable[T]], Observable[T | ToolEvent]]:
    """Run the tools that a model calls; everything else passes through.

    Calls are read from chunks, which pass through too, or are `ToolCall`s, as `scan_steps` and
    `assemble_tool_calls` emit them, whose place the events take. Only sealed calls run: one that
    was cut off never does. A tool that fails, is unknown or not approved is no failure of the
    stream, but a `ToolEnd` with an `error` and a `result` that tells the model. A reset, as a
    chunk or as an event, takes back the calls before it: those that run are cancelled.

    .. marble::
        --add-----mul--a-|
        [ run_tools([add, mul]) ]
        --S----E--S----a---E|

    Emits when: the source emits; a tool starts (`ToolStart`), tells how far it is
        (`ToolProgress`), or ends (`ToolEnd`), in the order in which they do.
    Backpressures when: downstream does.
    Completes when: the source has completed and no tool runs any more.

    Args:
        tools: What may be called: `rxagents.tool`s, or functions.
        concurrency: How many tools may run at a time; further calls wait their turn.
        start: When a call starts: `"at_once"` when it is sealed, and so before the answer has
            come to its end; or at `"turn_end"`, when the source has completed.
        approve: Asked before a tool runs that requires approval; may be a coroutine function.
            Without it such a tool is refused.

    Returns:
        An operator that adds events to the items.

    Raises:
        ConfigurationError: At once, if an argument is of the wrong type or size, or two tools
            have one name. The source's errors pass at once, and cancel the tools that run.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> @rxagents.tool
        ... def add(a: int, b: int) -> int:
        ...     return a + b
        >>> calls = rx.of(rxagents.ToolCall("call_1", "add", '{"a": 1, "b": 2}'))
        >>> rxagents.run(calls.pipe(ops.run_tools([add])), lambda event: print(event.content))
        add
        3
        ToolEnd(...)
    """
    known = {tool.name: tool for tool in to_tools(tools)}
    checked_count("concurrency", concurrency)
    if start not in get_args(StartTools):
        raise ConfigurationError(f'start must be "at_once" or "turn_end", not {start!r}.')
    if approve is not None:
        checked_function("approve", approve)

    def run_tools_(source: Observable[T]) -> Observable[T | ToolEvent]:
        def subscribe(observer: abc.ObserverBase[T | ToolEvent], scope: TimedScope) -> None:
            calls = _ToolRuns(observer, scope, known, approve)
            calls.slots = concurrency
            calls.held = start == "turn_end"
            scope.subscribe(source, calls.on_next, calls.on_error, calls.complete)

        return timed(subscribe)

    return run_tools_


class _ToolRuns(Generic[T]):
    """The calls of one subscription: those that wait and those that run.

    Attributes:
        slots: How many may still start.
        held: Whether none starts yet.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[T | ToolEvent],
        scope: TimedScope,
        tools: dict[str, Tool],
        approve: Approve | None,
    ) -> None:
        self.slots = 0
        self.held = False
        self._observer = observer
        self._on_next = observer.on_next
        self._scope = scope
        self._tools = tools
        self._approve = approve
        self._assembler = ToolCallAssembler()
        self._waiting: deque[ToolCall] = deque()
        self._running: dict[int, abc.DisposableBase] = {}
        self._started = 0
        self._completed = False

    def on_next(self, item: T) -> None:
        """Hand an item on; start what it calls."""
        if type(item) is Token:
            self._on_next(item)  # as nearly every item is
            return
        if isinstance(item, ToolCall):
            self._call(item)
            return
        self._on_next(item)
        if isinstance(item, StreamChunk):
            if item.tool_calls:
                self._take_fragments(item)
            elif "reset" in item.metadata:
                self._void()
        elif isinstance(item, Reset):
            self._void()

    def on_error(self, error: Exception) -> None:
        """Cancel what runs, and then tell."""
        self._void()
        self._observer.on_error(error)

    def complete(self) -> None:
        """No further call comes."""
        self._completed = True
        self.held = False
        self._start_next()

    def _take_fragments(self, chunk: StreamChunk) -> None:
        for delta in chunk.tool_calls if chunk.choice == 0 else ():
            call = self._assembler.add(delta)
            if call is not None:
                self._call(call)

    def _call(self, call: ToolCall) -> None:
        self._waiting.append(call)
        self._start_next()

    def _start_next(self) -> None:
        while self._waiting and self.slots > 0 and not self.held:
            self.slots -= 1
            self._start(self._waiting.popleft())
        if self._completed and not self._waiting and not self._running:
            self._observer.on_completed()

    def _start(self, call: ToolCall) -> None:
        number = self._started = self._started + 1

        def on_completed() -> None:
            if self._running.pop(number, None) is not None:
                self.slots += 1
                self._start_next()

        self._on_next(ToolStart(call.id, call.name, _arguments(call)))
        tool = self._tools.get(call.name)
        if tool is None:
            self.slots += 1
            self._on_next(_unknown(call, self._tools))
            return
        self._running[number] = self._scope.subscribe(
            execute_if_approved(tool, call, self._approve),
            self._on_next,
            self.on_error,
            on_completed,
        )

    def _void(self) -> None:
        """Forget the calls so far: cancel those that run."""
        self._assembler = ToolCallAssembler()
        self._waiting.clear()
        running, self._running = self._running, {}
        self.slots += len(running)
        for subscription in running.values():
            subscription.dispose()


def _arguments(call: ToolCall) -> dict[str, object]:
    try:
        return call.parse()
    except ToolError:
        return {}


def _unknown(call: ToolCall, tools: dict[str, Tool]) -> ToolEnd:
    names = ", ".join(tools) or "none"
    error = ToolNotFoundError(f"There is no tool {call.name!r}. Call one of these: {names}.")
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))
