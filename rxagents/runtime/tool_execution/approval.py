"""Ask for approval before running a tool that requires it."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias, cast

import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as rx_ops

from rxagents.core.errors import ToolError
from rxagents.core.events import ErrorInfo, ToolEnd, ToolProgress
from rxagents.core.messages import ToolCall
from rxagents.core.printing import printed
from rxagents.core.tools import Tool
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.source import Emitter, task_source
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.execute import execute
from rxagents.runtime.tool_execution.slot import Slot

Approve: TypeAlias = Callable[[ToolCall], bool] | Callable[[ToolCall], Awaitable[bool]]
"""Returns whether a call may run. It may ask a person, and take as long as that takes."""

Verdict: TypeAlias = bool | Exception
"""The answer of an `Approve` function, or what it raised; only `True` lets a tool run."""


def execute_if_approved(
    tool: Tool, call: ToolCall, approve: Approve | None, slot: Slot
) -> Observable[ToolProgress | ToolEnd]:
    """Return `execute(tool, call)`, or if the call is refused, a `ToolEnd` that says so.

    Args:
        tool: The tool to run; most tools require no approval.
        call: The model's call.
        approve: Asked once for each subscription; `None` refuses.
        slot: Held as long as the function runs.
    """
    if not tool.requires_approval:
        return execute(tool, call, slot)

    def subscribe(observer: abc.ObserverBase[ToolProgress | ToolEnd], scope: TimedScope) -> None:
        def ask() -> None:
            scope.subscribe(_verdict(approve, call), decide, observer.on_error, lambda: None)

        def decide(verdict: Verdict) -> None:
            if verdict is True:
                scope.subscribe(
                    execute(tool, call, slot),
                    observer.on_next,
                    observer.on_error,
                    observer.on_completed,
                )
            else:
                observer.on_next(_refused(call, verdict))
                observer.on_completed()

        scope.timer(ask).start(0)

    return timed(subscribe)


def _verdict(approve: Approve | None, call: ToolCall) -> Observable[Verdict]:
    """Ask, and emit the verdict; what `approve` raises is a verdict too."""

    def ask(_: abc.SchedulerBase) -> Observable[bool]:
        if approve is None:
            return rx.just(False)
        if inspect.iscoroutinefunction(approve):
            return _awaited(lambda: approve(call))
        try:
            verdict = approve(call)
        except BaseException as error:
            return rx.throw(nonfatal(error))
        if inspect.isawaitable(verdict):
            return _awaited(lambda: verdict)
        return rx.just(verdict)

    verdict = cast("Observable[Verdict]", rx.defer(ask))
    return verdict.pipe(rx_ops.catch(lambda error, _: rx.just(error)))


def _awaited(make: Callable[[], Awaitable[bool]]) -> Observable[bool]:
    async def produce(emitter: Emitter[bool]) -> None:
        await emitter.emit((await make(),))

    return task_source(produce)


def _refused(call: ToolCall, verdict: Verdict) -> ToolEnd:
    reason = "it was not approved"
    if isinstance(verdict, Exception):
        reason = f"it could not be approved: {printed(verdict)}"
    error = ToolError(f"The tool {call.name!r} did not run: {reason}. Go on without it.")
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))
