"""Run the tools that a model calls, while its response still streams."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextvars import Context
from functools import partial
from typing import Any, Literal, TypeAlias, TypeVar, get_args

from msgspec import structs
from reactivex import Observable, abc

from rxagents.core.approval import Decisions
from rxagents.core.checks import checked_count, checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import ToolCall
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.operators._tool_calls import ToolCalls, ToolEvent
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.listening import context_if_listening
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.approval import Approval, Approvals

T = TypeVar("T")
R = TypeVar("R")

StartTools: TypeAlias = Literal["at_once", "turn_end"]


@operator_factory
def run_tools(
    tools: Sequence[ToolLike],
    *,
    concurrency: int = 8,
    start: StartTools = "at_once",
    approve: Approval | Decisions | None = None,
    approve_timeout: float | None = None,
    max_result_length: int | None = None,
    context: object = None,
    refuse: Callable[[ToolCall], str | None] | None = None,
    before_start: Observable[Any] | None = None,
) -> Callable[[Observable[T]], Observable[T | ToolEvent]]:
    """Run the tools that a model calls, and emit their events; other items pass through.

    Calls are read from chunks, which pass through too, or are `ToolCall` items, as `scan_steps` and
    `assemble_tool_calls` emit them, which the events replace. Only sealed calls run; a call that
    was cut off never does. A tool that fails, is unknown or not approved does not fail the stream:
    its `ToolEnd` has an `error`, and a `result` that says so to the model. A reset, as a chunk or
    as an event, drops the calls before it and cancels those that run.

    .. marble::
        --add-----mul--a-|
        [ run_tools([add, mul]) ]
        --S----E--S----a---E|
        legend: S = ToolStart, E = ToolEnd

    Emits when: the source emits; a chunk has new arguments of a call (`ToolArguments`); a call
        waits for approval (`ApprovalRequest`) or has its decision (`ApprovalAnswer`); a tool starts
        (`ToolStart`), reports progress (`ToolProgress`) or ends (`ToolEnd`), in the order in which
        this happens.
    Backpressures when: downstream does.
    Completes when: the source has completed and no tool waits or runs; a deferred call does not
        count.

    Args:
        tools: The tools that may be called: `rxagents.tool`s, or functions.
        concurrency: How many tools may run at a time; further calls wait. A function that still
            runs after its timeout counts. A call that only waits for such functions ends with
            `ToolTimeoutError` after its own timeout.
        start: When a call starts: `"at_once"`, when it is sealed, while the response still
            streams; or `"turn_end"`, when the source has completed.
        approve: Called with the call of a tool that requires approval, before the tool runs.
            Returns `True` or `Approve` to let it run, `False` or `Deny` to refuse it. A plain
            function runs on a thread; it may also be a coroutine function, or return an Observable
            whose first item is the decision. Without it such a call is refused. `"defer"` asks
            nobody: such a call has only an `ApprovalRequest`, and does not run. A mapping of call
            ids has decisions that were made before: these calls have no `ApprovalRequest`.
        approve_timeout: Seconds after which a call without a decision is refused; no limit by
            default. Not with `"defer"`.
        max_result_length: How many characters of a result the model sees at most, for tools that
            have no limit of their own and do not return directly; no limit by default.
        context: Any object, which the tools see as `ToolContext.context`.
        refuse: Called with each call of a known tool when it is due. If it returns a text, the tool
            does not run, and the text tells the model why. What it raises refuses the call too.
        before_start: Subscribed to after each `ToolStart`; the tool starts when it has completed,
            such as when the start is stored. Its error fails the stream.

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
    if max_result_length is not None:
        checked_count("max_result_length", max_result_length)
    known = {tool.name: _limited(tool, max_result_length) for tool in to_tools(tools)}
    checked_count("concurrency", concurrency)
    if start not in get_args(StartTools):
        raise ConfigurationError(f'start must be "at_once" or "turn_end", not {start!r}.')
    approvals = Approvals(approve, approve_timeout)
    if refuse is not None:
        checked_function("refuse", refuse)

    def run_tools_(source: Observable[T]) -> Observable[T | ToolEvent]:
        def subscribe(observer: abc.ObserverBase[T | ToolEvent], scope: TimedScope) -> None:
            calls = ToolCalls(observer, scope, known, approvals, context)
            calls.slots = concurrency
            calls.held = start == "turn_end"
            calls.refuse = refuse
            calls.before_start = before_start
            context_of_tools = context_if_listening()
            if context_of_tools is not None:
                calls.call_in_context = partial(_call_in, context_of_tools)
            scope.subscribe(source, calls.on_next, calls.on_error, calls.on_completed)

        return timed(subscribe)

    return run_tools_


def _call_in(context: Context, function: Callable[..., R], *arguments: Any) -> R:
    """Call in a copy of a context: a context cannot be entered twice."""
    return context.copy().run(function, *arguments)


def _limited(tool: Tool, limit: int | None) -> Tool:
    if limit is None or tool.max_result_length is not None or tool.returns_directly:
        return tool
    return structs.replace(tool, max_result_length=limit)
