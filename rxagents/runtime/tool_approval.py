"""Tools that somebody has to agree to before they run."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from reactivex import Observable

from rxagents.core.errors import ToolError
from rxagents.core.events import ErrorInfo, ToolEnd, ToolProgress
from rxagents.core.messages import ToolCall
from rxagents.core.tools import Tool
from rxagents.runtime.source import Emitter, task_source
from rxagents.runtime.to_aiter import to_aiter
from rxagents.runtime.tool_execution import execute

Approve: TypeAlias = Callable[[ToolCall], bool] | Callable[[ToolCall], Awaitable[bool]]
"""Tells whether a call may run; it may ask a person, and take its time."""


def execute_if_approved(
    tool: Tool, call: ToolCall, approve: Approve | None
) -> Observable[ToolProgress | ToolEnd]:
    """Return `execute(tool, call)`, or where that is refused, a `ToolEnd` that says so.

    Args:
        tool: What to run; most tools require no approval.
        call: The model's call.
        approve: Whom to ask; `None` refuses.
    """
    if not tool.requires_approval:
        return execute(tool, call)

    async def produce(emitter: Emitter[ToolProgress | ToolEnd]) -> None:
        try:
            approved = approve is not None and await _ask(approve, call)
        except Exception as error:
            await emitter.emit((_refused(call, f"it could not be approved: {error}"),))
            return
        if not approved:
            await emitter.emit((_refused(call, "it was not approved"),))
            return
        async with to_aiter(execute(tool, call)) as events:
            async for event in events:
                await emitter.emit((event,))

    return task_source(produce)


async def _ask(approve: Approve, call: ToolCall) -> bool:
    verdict = approve(call)
    return (await verdict if inspect.isawaitable(verdict) else verdict) is True


def _refused(call: ToolCall, reason: str) -> ToolEnd:
    error = ToolError(f"The tool {call.name!r} did not run: {reason}. Go on without it.")
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))
