"""Ask for approval before running a tool that requires it.

Theory of operation. `run_tools` emits `ApprovalRequest` for a call that requires approval, in the
order of the calls. Then comes `ApprovalAnswer` when the decision is known, and only then the events
of a call that runs: `ToolStart`, `ToolProgress` and `ToolEnd`. A denied call has no `ToolStart`;
its `ToolEnd` says why.

- With `approve="defer"` nobody is asked: `ApprovalRequest` is all that the call emits, and it does
  not run. Decisions that are made later come as a mapping of call ids: a call in it has been asked
  about before, so that its events begin with `ApprovalAnswer`.
- Only `True` and `Approve` let a tool run. Everything else denies it: another value, an exception,
  no answer in time, no function to ask.
- A plain function may block while a person thinks, so it runs on a daemon thread. In virtual time
  there is no loop to wait with, and it runs inline.
- `scope` holds the question and the tool: `dispose` cancels whichever runs. A call that is denied,
  also at the time limit, completes, which disposes the scope and so cancels the question.
- The first decision counts. A question ends after it (`take(1)`), and its end is a denial, unless
  there was a decision.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Literal, TypeAlias

import reactivex as rx
from msgspec import structs
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.scheduler import VirtualTimeScheduler

from rxagents.core.approval import Approve, Decision, Decisions, Deny
from rxagents.core.checks import checked_function, checked_seconds
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.events import (
    ApprovalAnswer,
    ErrorInfo,
    StreamEvent,
    ToolEnd,
    ToolStart,
)
from rxagents.core.json_text import encode_json
from rxagents.core.messages import ToolCall
from rxagents.core.printing import printed
from rxagents.core.tools import Tool
from rxagents.runtime.daemon_thread import DaemonThread
from rxagents.runtime.reporting import nonfatal
from rxagents.runtime.source import Emitter, task_source
from rxagents.runtime.timed_scope import TimedScope, timed
from rxagents.runtime.tool_execution.execute import execute
from rxagents.runtime.tool_execution.on_loop_thread import on_loop_thread
from rxagents.runtime.tool_execution.slot import Slot

ApproveFunction: TypeAlias = (
    Callable[[ToolCall], Decision]
    | Callable[[ToolCall], Awaitable[Decision]]
    | Callable[[ToolCall], Observable[Decision]]
)
"""Decides whether a call may run. It may ask a person, and take as long as that takes."""

Approval: TypeAlias = ApproveFunction | Literal["defer"]
"""A function that decides, or `"defer"`: the calls wait for decisions that are made later."""

ApprovedEvent: TypeAlias = StreamEvent
"""`ApprovalAnswer`, `ToolStart`, and what `execute` emits."""


class Approvals:
    """Says which calls need approval, and how they get it.

    Args:
        approve: Decides, or the decisions; `None` denies.
        timeout: Seconds after which a call without a decision is denied; `None` for no limit.

    Attributes:
        approve: Decides, or the decisions; `None` denies.
        timeout: Seconds after which a call without a decision is denied; `None` for no limit.

    Raises:
        ConfigurationError: An argument is not usable.
    """

    def __init__(self, approve: Approval | Decisions | None, timeout: float | None) -> None:
        if isinstance(approve, str) and approve != "defer":
            raise ConfigurationError(f'approve must be a function or "defer", not {approve!r}.')
        if approve is not None and not isinstance(approve, str | Mapping):
            checked_function("approve", approve)
        if timeout is not None:
            checked_seconds("approve_timeout", timeout)
            if approve == "defer":
                raise ConfigurationError(
                    'approve="defer" takes no approve_timeout: the run ends before the decision. '
                    "Pass a decision to resume when the time is over."
                )
        self.approve = approve
        self.timeout = timeout

    def are_required(self, tool: Tool, call: ToolCall) -> bool:
        """Return whether the call needs approval before it runs.

        Nobody has to decide later about arguments that are not JSON: such a call runs at once, and
        fails.
        """
        if isinstance(self.approve, Mapping) and call.id in self.approve:
            return True
        return tool.requires_approval and (self.approve != "defer" or _is_readable(call))

    @property
    def are_known(self) -> bool:
        """Whether the decisions were made before: nobody is asked."""
        return isinstance(self.approve, Mapping)

    @property
    def are_deferred(self) -> bool:
        """Whether the calls wait for decisions that are made later."""
        return self.approve == "defer"


def execute_if_approved(
    tool: Tool,
    call: ToolCall,
    slot: Slot,
    approvals: Approvals,
    context: object = None,
    before_start: Observable[Any] | None = None,
) -> Observable[ApprovedEvent]:
    """Return the events of a call that needs approval, after its `ApprovalRequest`.

    Args:
        tool: The tool to run.
        call: The model's call.
        slot: Held as long as the function runs.
        approvals: Asked once for each subscription.
        context: The run's context, for `ToolContext.context`.
        before_start: The tool starts when it has completed, after its approval; `None` for at once.
    """
    approve, timeout = approvals.approve, approvals.timeout

    def subscribe(observer: abc.ObserverBase[ApprovedEvent], scope: TimedScope) -> None:
        limit = scope.timer(lambda: decide(Deny(f"there was no decision in {timeout:g} seconds")))
        is_decided = False

        def ask() -> None:
            if isinstance(approve, Mapping):
                decide(approve.get(call.id))
                return
            if timeout is not None:
                limit.start(timeout)
            scope.subscribe(
                _answer(approve, call), decide, observer.on_error, lambda: decide(False)
            )

        def decide(answer: object) -> None:
            nonlocal is_decided
            if is_decided:
                return
            is_decided = True
            limit.stop()
            match answer:
                case True | Approve(arguments=None):
                    run(call)
                case Approve(arguments=arguments):
                    try:
                        text = encode_json(arguments)
                    except Exception as error:  # a value that JSON does not have
                        deny(error)
                    else:
                        run(structs.replace(call, arguments=text))
                case _:
                    deny(answer)

        def run(approved: ToolCall) -> None:
            arguments = arguments_of(approved)
            observer.on_next(ApprovalAnswer(call.id, call.name, True, arguments))
            observer.on_next(ToolStart(call.id, call.name, arguments_of(approved)))
            scope.subscribe(
                execute(tool, approved, slot, context, before_start),
                observer.on_next,
                observer.on_error,
                observer.on_completed,
            )

        def deny(answer: object) -> None:
            reason = _reason(answer)
            observer.on_next(ApprovalAnswer(call.id, call.name, False, arguments_of(call), reason))
            observer.on_next(denied(call, reason))
            observer.on_completed()

        scope.timer(ask).start(0)

    return timed(subscribe)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """Return the call's arguments for an event; empty if they are not a JSON object.

    `execute` parses the call again. Each needs a dict of its own: msgspec hands nested values of
    type `Any` to the function as they are, and a function may change its arguments.
    """
    try:
        return call.parse()
    except ToolError:
        return {}


def denied(call: ToolCall, reason: str) -> ToolEnd:
    """Return the end of a call that was denied; its result says so to the model."""
    error = ToolError(f"The tool {call.name!r} did not run: {reason}. Go on without it.")
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))


def _is_readable(call: ToolCall) -> bool:
    try:
        call.parse()
    except ToolError:
        return False
    return True


def _answer(approve: Approval | None, call: ToolCall) -> Observable[object]:
    """Ask, and emit the answer; what `approve` raises is an answer too."""

    def ask(scheduler: abc.SchedulerBase | None) -> Observable[object]:
        if approve is None or isinstance(approve, str):
            return rx.just(False)
        if inspect.iscoroutinefunction(approve):
            return _awaited(lambda: approve(call))
        if not isinstance(scheduler, VirtualTimeScheduler):
            return _awaited(lambda: _on_thread(approve, call)).pipe(rx_ops.flat_map(_resolved))
        try:
            return _resolved(approve(call))
        except BaseException as error:
            return rx.throw(nonfatal(error))

    def subscribe(
        observer: abc.ObserverBase[object], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return ask(scheduler).subscribe(observer, scheduler=scheduler)

    return Observable(subscribe).pipe(rx_ops.take(1), rx_ops.catch(lambda error, _: rx.just(error)))


def _resolved(answer: object) -> Observable[object]:
    """Return the decision that a plain function returned, or that it promised."""
    if isinstance(answer, Observable):
        return on_loop_thread(answer)
    if isinstance(answer, Awaitable):
        return _awaited(lambda: answer)
    return rx.just(answer)


async def _on_thread(approve: Callable[[ToolCall], object], call: ToolCall) -> object:
    thread = DaemonThread(f"rxagents approval of {call.name}")
    try:
        return await thread.run(lambda: approve(call))
    finally:
        thread.close()


def _awaited(make: Callable[[], Awaitable[object]]) -> Observable[object]:
    async def produce(emitter: Emitter[object]) -> None:
        await emitter.emit((await make(),))

    return task_source(produce)


def _reason(answer: object) -> str:
    match answer:
        case Deny(reason=reason) if reason:
            return f"it was not approved ({reason})"
        case Exception():
            return f"it could not be approved: {printed(answer)}"
    return "it was not approved"
