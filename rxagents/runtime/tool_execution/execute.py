"""Run one tool call, with its retries and its timeout, and emit its progress and its end.

Theory of operation:

A call makes one or more attempts, and `_Execution` holds their state. Each attempt makes an
Observable of whatever the function gives, so that all kinds of tools end in the same callbacks:

    annotated to return an Observable     called on the loop, then subscribed to
    coroutine function, async generator   `items_of`, in a task
    any other function                    `items_of`, on a daemon thread

The last item is the result and all others are progress. An item is known to be progress only when
the next one comes, so the newest one waits in `_latest`; only a `Progress` is emitted at once. An
attempt ends in one of three ways: `_on_completed` emits the result, `_on_error` starts the next
attempt or emits the error, and `_on_timeout` emits the timeout. Each ends the call with one
`ToolEnd`, except an error that is retried.

What must stay:

- A failing tool does not fail the stream, because the model can deal with the failure. Two errors
  do fail it: a missing event loop, and the cancellation of the tool's task from outside. The latter
  means that the program ends, so there must be no further attempt. A `StreamCancelledError` that
  the tool's own code raises is its failure like any other.
- Each attempt starts from a timer. So nothing is emitted inside `subscribe`, and thousands of
  attempts do not recurse.
- User code runs without the current bridge: the demand and failures of streams that it subscribes
  to belong to that code.
- No thread can be stopped. On `dispose` and on timeout, `ToolContext.cancelled` asks the function
  to return, and its result is discarded.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, TypeAlias

import reactivex as rx
from msgspec import UNSET
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxagents.core.content_parts import ContentPart
from rxagents.core.errors import ToolArgumentsError, ToolTimeoutError
from rxagents.core.events import ErrorInfo, StreamEvent, ToolEnd, ToolProgress
from rxagents.core.messages import ToolCall
from rxagents.core.tool_context import ToolContext
from rxagents.core.tools import Tool
from rxagents.runtime.from_aiter import from_aiter
from rxagents.runtime.listening import ToolExecution, listened
from rxagents.runtime.loop import running_loop
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.source import is_cancellation
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.items import Progress, call_detached, in_tool, items_of
from rxagents.runtime.tool_execution.nested import NestedEvents
from rxagents.runtime.tool_execution.on_loop_thread import on_loop_thread
from rxagents.runtime.tool_execution.shorten import shortened
from rxagents.runtime.tool_execution.slot import Slot
from rxagents.runtime.tool_execution.text import error_text, result_parts, result_text

ToolEvent: TypeAlias = StreamEvent
"""`ToolProgress`, the events of an agent inside the tool, and one `ToolEnd`."""


def execute(
    tool: Tool,
    call: ToolCall,
    slot: Slot | None = None,
    context: object = None,
    before_start: Observable[Any] | None = None,
) -> Observable[ToolEvent]:
    """Make a cold Observable of one tool call.

    A subscription converts the arguments and calls the function: an asynchronous function as a
    task, any other on a daemon thread, except that a function annotated to return an Observable
    is called on the loop. An Observable is subscribed to with the subscriber's scheduler. Of
    several items, the last one is the result and the others are progress; each progress is
    emitted once the next item has come. Images and files stay what they are, also in a list; any
    other value that is not a `str` becomes JSON.

    `dispose` cancels the task, discards what the thread returns later, and sets
    `ToolContext.cancelled`.

    Args:
        tool: The tool to run.
        call: The model's call.
        slot: Held as long as the function runs, which may be longer than the stream.
        context: The run's context, for `ToolContext.context`.
        before_start: The tool starts when it has completed; `None` for at once.

    Returns:
        An Observable of `ToolProgress`, and of one `ToolEnd` as its last item. A failure of the
        tool does not fail the stream: it is the end's `error`, and the end's `result` is a text
        about it for the model. Where no loop runs, a tool that is not annotated to return an
        Observable fails the stream with `ConfigurationError`, also in virtual time.
    """

    def make(operation: ToolExecution | None) -> Observable[ToolEvent]:
        noted = operation or ToolExecution(tool, call)

        def subscribe(observer: abc.ObserverBase[ToolEvent], scope: TimedScope) -> None:
            if not _is_called_on_loop(tool):
                running_loop()  # raises, in virtual time too: tasks and threads need a real loop
            _Execution(tool, call, observer, scope, slot, context, noted).start(before_start)

        return timed(subscribe)

    return listened(make, lambda: ToolExecution(tool, call))


class _Execution:
    """Runs the attempts of one subscription, and emits what they give."""

    def __init__(
        self,
        tool: Tool,
        call: ToolCall,
        observer: abc.ObserverBase[ToolEvent],
        scope: TimedScope,
        slot: Slot | None,
        context: object,
        operation: ToolExecution,
    ) -> None:
        self._operation = operation  # for a listener
        self._tool = tool
        self._slot = slot or Slot(_ignore_free_slot)
        self._call = call
        self._observer = observer
        self._scope = scope
        self._started = scope.now()
        self._timeout = scope.timer(self._on_timeout)
        self._next_attempt = scope.timer(self._attempt)
        self._attempts = 0
        self._run_context = context
        self._context: ToolContext | None = None
        self._latest: object = UNSET
        self._nested = NestedEvents(tool.name)

    def start(self, before: Observable[Any] | None) -> None:
        """Make the first attempt, on the next loop iteration, or after `before` has completed."""
        self._scope.hold(Disposable(self._set_cancelled))
        begin = partial(self._next_attempt.start, 0)
        if before is None:
            begin()
        else:
            self._scope.subscribe(before, lambda _: None, self._observer.on_error, begin)

    def _set_cancelled(self) -> None:
        """Ask a running function to return: its result is not needed any more."""
        if self._context is not None:
            self._context.cancelled = True

    def _attempt(self) -> None:
        self._attempts += 1
        self._nested.begin_attempt()
        self._context = ToolContext(
            self._call.id, self._tool.name, self._attempts, context=self._run_context
        )
        try:
            call = self._tool.bind(self._call.parse(), self._context)
        except BaseException as error:
            self._end_with_error(nonfatal(error))
            return
        if self._tool.timeout is not None:
            self._timeout.start(self._tool.timeout)
        if _is_called_on_loop(self._tool):
            self._subscribe(rx.defer(lambda _: call_detached(call)))
        else:
            self._subscribe(from_aiter(partial(items_of, self._tool.name, call, self._slot)))

    def _subscribe(self, items: Observable[object]) -> None:
        with in_tool():
            self._scope.subscribe(
                on_loop_thread(items), self._on_item, self._on_error, self._on_completed
            )

    def _on_item(self, item: object) -> None:
        if isinstance(item, StreamEvent):
            self._observer.on_next(self._nested.add(item))
            return
        if isinstance(item, Progress):
            self._on_progress(item.content)
            return
        self._emit_progress()
        self._latest = item

    def _emit_progress(self) -> None:
        """Emit the latest item, which is not the result."""
        latest, self._latest = self._latest, UNSET
        if latest is not UNSET:
            self._on_progress(latest)

    def _on_progress(self, item: object) -> None:
        self._observer.on_next(ToolProgress(self._call.id, self._tool.name, result_text(item)))

    def _on_completed(self) -> None:
        latest, self._latest = self._latest, UNSET
        if latest is UNSET:
            if self._nested.error is not None:
                self._end_with_error(self._nested.error)
                return
            latest = self._nested.output
        if isinstance(latest, Observable):
            self._subscribe(latest)
        else:
            result = None if latest is UNSET else latest
            self._end(result_text(result), None, result_parts(result))

    def _on_error(self, error: Exception) -> None:
        if is_cancellation(error):
            self._observer.on_error(error)
            return
        if self._attempts > self._tool.retries or isinstance(error, ToolArgumentsError):
            self._end_with_error(error)
            return
        self._operation.on_retry(error, 0.0)
        self._emit_progress()
        self._timeout.stop()
        self._next_attempt.start(0)

    def _on_timeout(self) -> None:
        self._set_cancelled()
        self._end_with_error(
            ToolTimeoutError(
                f"The tool {self._tool.name!r} took longer than its timeout of "
                f"{self._tool.timeout:g} seconds. Ask it for less, or go on without it."
            )
        )

    def _end_with_error(self, error: Exception) -> None:
        self._emit_progress()
        self._end(error_text(error), ErrorInfo.of(error))

    def _end(
        self, result: str, error: ErrorInfo | None, parts: tuple[ContentPart, ...] = ()
    ) -> None:
        self._context = None
        self._timeout.stop()
        duration = self._scope.now() - self._started
        result, parts = shortened(result, parts, self._tool.max_result_length)
        end = ToolEnd(
            self._call.id,
            self._tool.name,
            result,
            error,
            duration,
            usage=self._nested.usage,
            parts=parts,
            estimated_usage=self._nested.estimated_usage,
        )
        self._operation.end = end
        self._observer.on_next(end)
        self._observer.on_completed()


def _ignore_free_slot() -> None:
    """Do nothing: no other call waits for the slot."""


def _is_called_on_loop(tool: Tool) -> bool:
    returns_observable = tool.signature is not None and tool.signature.returns_observable
    return returns_observable and not inspect.iscoroutinefunction(tool.function)
