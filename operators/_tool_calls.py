"""Hold the tool calls of one subscription to `run_tools`, from their fragments to their ends.

Theory of operation. `ToolCalls` is the state of one subscription; all of it is changed on the
loop's thread. A call goes through these states:

- open: its fragments are in the assembler. A seal moves it on; a call without a seal never does,
  because it may be cut off.
- waiting: in `_waiting`, in the order of the seals, until a slot is free and `held` is false.
  `held` is true until the source completes with `start="turn_end"`.
- running: in `_running`, until its Observable completes. `ToolStart` is emitted on entry, or after
  the approval where the tool requires one: `execute_if_approved` emits it then.

A call that is deferred is none of these: it emits `ApprovalRequest`, and the stream does not wait
for it.

A call takes a slot when it starts. The slot is free again when both the call and its function have
ended: a thread cannot be stopped, and may run on after the call's timeout. When calls wait and
none runs, only such functions hold the slots; `_longest_wait` ends the wait of the next call.

A reset or an error empties all three states and cancels what runs; `dispose` disposes the scope,
which cancels it too. The stream
completes when the source has completed and no call waits or runs. `_running` is filled after
`subscribe` returns, which is safe because a tool starts on the next loop iteration and never ends
inside `subscribe`.

Nearly every item is a `Token` or a chunk without tool calls: `on_next` only passes it
to the observer. The assembler is made at the first fragment.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Generic, TypeAlias, TypeVar

from reactivex import Observable, abc

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ToolNotFoundError, ToolTimeoutError
from rxagents.core.events import (
    ApprovalRequest,
    ErrorInfo,
    Reset,
    Token,
    ToolArguments,
    ToolEnd,
    ToolStart,
)
from rxagents.core.messages import ToolCall
from rxagents.core.printing import printed
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.core.tool_names import with_tool_name
from rxagents.core.tools import Tool
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.timed_scope import TimedScope, Timer
from rxagents.runtime.tool_execution.approval import (
    Approvals,
    ApprovedEvent,
    arguments_of,
    denied,
    execute_if_approved,
)
from rxagents.runtime.tool_execution.execute import execute
from rxagents.runtime.tool_execution.slot import Slot

T = TypeVar("T")
R = TypeVar("R")

ToolEvent: TypeAlias = ToolArguments | ApprovedEvent


class ToolCalls(Generic[T]):
    """The calls of one subscription.

    Attributes:
        slots: How many more calls may run at the moment.
        held: Whether all calls wait for the end of the source.
        refuse: Returns why a call must not run; `None` lets all run.
        before_start: A tool starts when it has completed, after `ToolStart`; `None` for at once.
        call_in_context: Calls a function with arguments, in the context in which tools start.
    """

    def __init__(
        self,
        observer: abc.ObserverBase[T | ToolEvent],
        scope: TimedScope,
        tools: dict[str, Tool],
        approvals: Approvals,
        context: object,
    ) -> None:
        self.slots = 0
        self.held = False
        self.refuse: Callable[[ToolCall], str | None] | None = None
        self.before_start: Observable[Any] | None = None
        self.call_in_context = _call
        self._observer = observer
        self._emit = observer.on_next
        self._scope = scope
        self._tools = tools
        self._approvals = approvals
        self._context = context
        self._assembler: ToolCallAssembler | None = None
        self._waiting: deque[ToolCall] = deque()
        self._running: dict[int, tuple[abc.DisposableBase, Slot]] = {}
        self._longest_wait: Timer | None = None  # few turns need it: made when it is started
        self._started = 0
        self._source_completed = False
        self._has_failed = False

    def on_next(self, item: T) -> None:
        """Emit an item of the source, and queue the calls in it."""
        if type(item) is Token:
            self._emit(item)  # the first test: nearly every item of a text protocol is a token
            return
        if isinstance(item, ToolCall):
            self._queue(item)
            return
        self._emit(item)
        if isinstance(item, StreamChunk):
            if item.tool_calls:
                self._add_fragments(item)
            elif "reset" in item.metadata:
                self._drop_calls()
        elif isinstance(item, Reset):
            self._drop_calls()

    def on_error(self, error: Exception) -> None:
        """Cancel the running tools, and fail."""
        self._has_failed = True
        self._drop_calls()
        self._observer.on_error(error)

    def on_completed(self) -> None:
        """Start the calls that waited for the end of the source; complete if there is none."""
        self._source_completed = True
        self.held = False
        self._start_next()

    def _add_fragments(self, chunk: StreamChunk) -> None:
        if chunk.choice != 0:
            return
        if self._assembler is None:
            self._assembler = ToolCallAssembler()
        for delta in chunk.tool_calls:
            call = self._assembler.add(delta)
            event = self._assembler.arguments_event(delta.index, chunk.timestamp)
            if event is not None:
                self._emit(event)
            if call is not None:
                self._queue(call)

    def _queue(self, call: ToolCall) -> None:
        self._waiting.append(with_tool_name(call, self._tools))
        self._start_next()

    def _start_next(self) -> None:
        while self._waiting and self.slots > 0 and not self.held:
            self._start(self._waiting.popleft())
        if self._source_completed and not self._waiting and not self._running:
            self._observer.on_completed()
        elif self._waiting and not self._running and not self.held:
            self._limit_wait(self._tools.get(self._waiting[0].name))

    def _start(self, call: ToolCall) -> None:
        number = self._started = self._started + 1

        def on_completed() -> None:
            if number in self._running:
                _, slot = self._running.pop(number)
                slot.release()
                self._start_next()

        tool = self._tools.get(call.name)
        if tool is None:
            self._emit(ToolStart(call.id, call.name, arguments_of(call)))
            self._emit(_unknown_tool(call, self._tools))
            return
        refusal = None if self.refuse is None else _refusal(self.refuse, call)
        if refusal is not None:
            self._emit(ToolStart(call.id, call.name, arguments_of(call)))
            self._emit(denied(call, refusal))
            return
        needs_approval = self._approvals.are_required(tool, call)
        if not needs_approval:
            self._emit(ToolStart(call.id, call.name, arguments_of(call)))
        elif not self._approvals.are_known:
            self._emit(ApprovalRequest(call.id, call.name, arguments_of(call)))
            if self._approvals.are_deferred:
                return
        self.slots -= 1
        slot = Slot(self._on_free_slot)
        before = self.before_start
        if needs_approval:
            events = execute_if_approved(tool, call, slot, self._approvals, self._context, before)
        else:
            events = execute(tool, call, slot, self._context, before)
        subscription = self.call_in_context(
            self._scope.subscribe, events, self._emit, self.on_error, on_completed
        )
        self._running[number] = subscription, slot

    def _on_free_slot(self) -> None:
        self.slots += 1
        if not self._has_failed and not self._scope.is_disposed:
            self._start_next()

    def _limit_wait(self, tool: Tool | None) -> None:
        """Let the next call wait for functions that run on after their timeouts, but not for ever.

        Nothing says when these functions end.
        """
        if tool is None or tool.timeout is None:
            return
        if self._longest_wait is None:
            self._longest_wait = self._scope.timer(self._on_waited_too_long)
        if not self._longest_wait.is_pending:
            self._longest_wait.start(tool.timeout)

    def _on_waited_too_long(self) -> None:
        if not self._waiting or self._running:
            return
        call = self._waiting.popleft()
        self._emit(ToolStart(call.id, call.name, arguments_of(call)))
        self._emit(_not_started(call))
        self._start_next()

    def _drop_calls(self) -> None:
        """Drop the calls so far; cancel those that run."""
        self._assembler = None
        self._waiting.clear()
        running, self._running = self._running, {}
        for subscription, slot in running.values():
            subscription.dispose()
            slot.release()


def _call(function: Callable[..., R], *arguments: Any) -> R:
    return function(*arguments)


def _unknown_tool(call: ToolCall, tools: dict[str, Tool]) -> ToolEnd:
    names = ", ".join(tools) or "none"
    error = ToolNotFoundError(f"There is no tool {call.name!r}. Call one of these: {names}.")
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))


def _refusal(refuse: Callable[[ToolCall], str | None], call: ToolCall) -> str | None:
    try:
        return refuse(call)
    except BaseException as error:
        return printed(nonfatal(error))


def _not_started(call: ToolCall) -> ToolEnd:
    error = ToolTimeoutError(
        f"The tool {call.name!r} did not run: earlier calls still run after their timeouts. Go on "
        "without it, or try again later."
    )
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))
