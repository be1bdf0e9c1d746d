"""End a run with calls that wait for decisions, and run them as the first stage of the next run."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

import reactivex as rx
from msgspec.structs import replace
from reactivex import Observable

from rxagents.agents.limits import raised
from rxagents.agents.partial import end_of, started_calls
from rxagents.agents.turn import Turn
from rxagents.agents.turn_events import to_events
from rxagents.agents.turns import Events
from rxagents.agents.waiting import (
    OwnForm,
    RunCounts,
    WaitingCalls,
    checked_decisions,
    marked_as_deferred,
    result_message,
    waiting_calls,
)
from rxagents.core.approval import Decisions
from rxagents.core.messages import Message, ToolCall
from rxagents.core.usage import add_usage

if TYPE_CHECKING:
    from rxagents.agents.run import Run

RunTools: TypeAlias = Callable[[Observable[ToolCall]], Events]
"""Runs calls, and emits their events."""

MakeRunTools: TypeAlias = Callable[[Turn], RunTools]
"""Makes the operator that runs the calls of a turn."""


def resumed(
    run: Run, decisions: Decisions, make_run_tools: MakeRunTools, in_own_form: OwnForm
) -> Generator[Events, None, Sequence[tuple[ToolCall, Message]]]:
    """Yield the stage that runs the calls that wait, and add their results to the run.

    If the stage is interrupted, the model sees which calls had started.

    Args:
        run: A new run, whose messages end with the calls.
        decisions: The decisions about the calls.
        make_run_tools: Makes the operator that runs the calls that are approved.
        in_own_form: Returns calls and results in the form that the agent's model reads.

    Returns:
        The calls that waited, with their results.

    Raises:
        ConfigurationError: The decisions do not match the calls.
    """
    waiting = checked_decisions(run.messages, decisions)
    _restore(run, waiting.counts)
    turn = Turn(run, is_resumed=True)

    def result_of(call: ToolCall) -> Message:
        return result_message(call, end_of(turn, call))

    run.messages = list(waiting.before)
    run.set_partial(
        lambda: list(in_own_form(waiting.answered(result_of))), lambda: _so_far(waiting, turn)
    )
    yield rx.from_iterable(waiting.calls).pipe(make_run_tools(turn), to_events(turn))
    run.messages += run.partial_messages()
    run.set_partial(list)
    return [(call, result_of(call)) for call in waiting.calls]


def _so_far(waiting: WaitingCalls, turn: Turn) -> list[Message]:
    """Return the model's message with the calls that have started, and the results so far."""
    results = dict(waiting.results)
    for call in waiting.calls:
        if call.id in turn.results:
            results[call.id] = result_message(call, turn.results[call.id])
    known = started_calls(turn) | results.keys()
    parts = [
        part for part in waiting.message.parts if not isinstance(part, ToolCall) or part.id in known
    ]
    calls = waiting.message.tool_calls
    ended = [results[call.id] for call in calls if call.id in results]
    return [replace(waiting.message, parts=tuple(parts)), *ended]


def defer(run: Run, message: Message, results: Iterable[Message]) -> None:
    """End a run with calls that wait.

    Args:
        run: The run.
        message: The model's message, with all calls of its turn.
        results: The results of the calls that have run.
    """
    counts = RunCounts(run.iterations, run.tool_calls, run.usage, run.estimated_usage, run.handoffs)
    run.messages += (marked_as_deferred(message, counts), *results)
    waiting = waiting_calls(run.messages)
    run.pending = () if waiting is None else waiting.calls
    run.output = ""


def _restore(run: Run, counts: RunCounts) -> None:
    """Go on counting where a run that was deferred has stopped."""
    run.iterations = counts.iterations
    run.tool_calls = counts.tool_calls
    run.usage = add_usage(counts.usage, run.usage)
    run.estimated_usage = counts.estimated_usage
    if counts.handoffs:  # which of the counts are of the last agent is not known
        run.limits = raised(run.limits, run.used)
