"""Runs a tool for a model's call."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, TypeAlias

import reactivex as rx
from msgspec import UNSET
from reactivex import Observable, abc
from reactivex.disposable import Disposable
from reactivex.scheduler import VirtualTimeScheduler
from reactivex.scheduler.eventloop import AsyncIOScheduler

from rxagents.core.errors import (
    StreamCancelledError,
    ToolArgumentsError,
    ToolTimeoutError,
)
from rxagents.core.events import ErrorInfo, ToolEnd, ToolProgress
from rxagents.core.messages import ToolCall
from rxagents.core.tool_context import ToolContext
from rxagents.core.tools import Tool
from rxagents.runtime.bridge import detached
from rxagents.runtime.from_aiter import from_aiter
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.items import items_of
from rxagents.runtime.tool_execution.text import error_info, error_text, result_text

ToolEvent: TypeAlias = ToolProgress | ToolEnd


def execute(tool: Tool, call: ToolCall) -> Observable[ToolEvent]:
    """Make a cold Observable of one call of a tool.

    A subscription converts the arguments and calls the function: an asynchronous one as a task,
    any other on a daemon thread, except that one annotated to return an Observable is called on
    the loop. An Observable is subscribed to with the subscriber's scheduler. Of several items
    all but the last are progress, and each is told once the next has come; the last one is the
    result. What is no `str` becomes JSON.

    Disposed, it cancels the task, discards what the thread will give, and sets
    `ToolContext.cancelled`.

    Args:
        tool: What to run.
        call: The model's call.

    Returns:
        An Observable of `ToolProgress`, and of one `ToolEnd` as its last item. Whatever goes
        wrong with the tool does not fail the stream: it is the end's `error`, and the end's
        `result` is a text that tells the model. Where time is virtual and no loop runs, a tool
        that is no Observable fails it with `ConfigurationError`.
    """

    def subscribe(observer: abc.ObserverBase[ToolEvent], scope: TimedScope) -> None:
        if not _is_called_on_the_loop(tool):
            running_loop()  # without one the stream fails: the model cannot mend that
        _Execution(tool, call, observer, scope).start()

    return timed(subscribe)


class _Execution:
    """One subscription: the attempts, and what they give."""

    def __init__(
        self,
        tool: Tool,
        call: ToolCall,
        observer: abc.ObserverBase[ToolEvent],
        scope: TimedScope,
    ) -> None:
        self._tool = tool
        self._call = call
        self._observer = observer
        self._scope = scope
        self._started = scope.now()
        self._limit = scope.timer(self._expire)
        self._next = scope.timer(self._attempt)
        self._attempts = 0
        self._context: ToolContext | None = None
        self._latest: object = UNSET

    def start(self) -> None:
        """Make the first attempt, in a moment."""
        self._scope.hold(Disposable(self._abandon))
        self._next.start(0)

    def _abandon(self) -> None:
        """Tell a function that is at work that nobody wants its result."""
        if self._context is not None:
            self._context.cancelled = True

    def _attempt(self) -> None:
        self._attempts += 1
        self._context = ToolContext(self._call.id, self._tool.name, self._attempts)
        try:
            call = self._tool.bind(self._call.parse(), self._context)
        except Exception as error:
            self._end_with(error)
            return
        if self._tool.timeout is not None:
            self._limit.start(self._tool.timeout)
        if _is_called_on_the_loop(self._tool):
            self._follow(rx.defer(lambda _: _called(call)))
            return
        self._follow(from_aiter(partial(items_of, self._tool.name, call)))

    def _follow(self, items: Observable[object]) -> None:
        self._scope.subscribe(_on_the_loop(items), self._take, self._fail, self._complete)

    def _take(self, item: object) -> None:
        self._tell_progress()
        self._latest = item

    def _tell_progress(self) -> None:
        """Tell the latest item, which is not the result."""
        latest, self._latest = self._latest, UNSET
        if latest is not UNSET:
            self._observer.on_next(
                ToolProgress(self._call.id, self._tool.name, result_text(latest))
            )

    def _complete(self) -> None:
        latest, self._latest = self._latest, UNSET
        if isinstance(latest, Observable):
            self._follow(latest)
        else:
            self._end(result_text(None if latest is UNSET else latest), None)

    def _fail(self, error: Exception) -> None:
        if isinstance(error, StreamCancelledError):
            self._observer.on_error(error)  # somebody ends the program: nothing starts again
            return
        if self._attempts > self._tool.retries or isinstance(error, ToolArgumentsError):
            self._end_with(error)
            return
        self._tell_progress()
        self._limit.stop()
        self._next.start(0)

    def _expire(self) -> None:
        self._abandon()
        self._end_with(
            ToolTimeoutError(
                f"The tool {self._tool.name!r} took longer than its {self._tool.timeout:g} "
                "seconds. Ask it for less, or go on without it."
            )
        )

    def _end_with(self, error: Exception) -> None:
        self._tell_progress()
        self._end(error_text(error), error_info(error))

    def _end(self, result: str, error: ErrorInfo | None) -> None:
        self._context = None
        self._limit.stop()
        duration = self._scope.now() - self._started
        self._observer.on_next(
            ToolEnd(self._call.id, self._tool.name, result, error, duration=duration)
        )
        self._observer.on_completed()


def _called(call: partial[Any]) -> Any:
    with detached():
        return call()


def _on_the_loop(items: Observable[object]) -> Observable[object]:
    """Keep what a user's Observable emits on the loop's thread.

    It gets the loop's scheduler where the subscriber has none, since reactivex's operators would
    else keep time on threads of their own; and what comes from another thread is handed over.
    """

    def subscribe(
        observer: abc.ObserverBase[object], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        if isinstance(scheduler, VirtualTimeScheduler):
            return items.subscribe(observer, scheduler=scheduler)
        loop = running_loop()
        return items.subscribe(
            partial(run_on_loop, loop, observer.on_next),
            partial(run_on_loop, loop, observer.on_error),
            partial(run_on_loop, loop, observer.on_completed),
            scheduler=scheduler or AsyncIOScheduler(loop),
        )

    return Observable(subscribe)


def _is_called_on_the_loop(tool: Tool) -> bool:
    returns_observable = tool.signature is not None and tool.signature.returns_observable
    return returns_observable and not inspect.iscoroutinefunction(tool.function)
