"""Go on with a run whose process was lost, from its newest checkpoint.

Theory of operation. A checkpoint is stored after each turn, after each tool, and, in a durable run,
before each tool runs. So the checkpoint of a lost run is in one of these states:

- A turn has ended, and the next one had called nothing: that one is asked again. Its text, if it
  had begun, is void: the log has a `Reset` before the events of the next attempt.
- The calls of a turn had started. The model's message is kept with these calls; a call of it that
  had not started is dropped, and the model may call it again. A call with a result has ended: its
  tool does not run again. A call without one may have done its work, or a part of it. It runs again
  only if its tool is idempotent; else the model and the events say that its outcome is unknown.
- The run has its answer, and only its last events are missing.

The events of the calls are emitted again, since the `Reset` makes those of the whole turn void.
What the lost turn would have written after its calls is not kept: the model goes on in the next
turn, as after a turn that was ended early.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import reactivex as rx

from rxagents.agents.direct import value_of_output
from rxagents.agents.finish import CANCELLED
from rxagents.agents.handoff import handoff_named, take_over
from rxagents.agents.limits import raised
from rxagents.agents.partial import end_of
from rxagents.agents.resume import RunTools
from rxagents.agents.run_checkpoint import is_checkpoint_of
from rxagents.agents.turn import Turn
from rxagents.agents.turn_events import to_events
from rxagents.agents.turns import Events, emitted
from rxagents.agents.waiting import result_message, waiting_calls
from rxagents.core.approval import Decisions
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.events import ErrorInfo, StreamEvent, ToolEnd, ToolStart
from rxagents.core.messages import Message, ToolCall, ToolResult
from rxagents.core.tool_names import with_tool_name
from rxagents.runtime.tool_execution.approval import arguments_of

if TYPE_CHECKING:
    from rxagents.agents.run import Run


class MakeRunTools(Protocol):
    """Makes the operator that runs the calls of a turn, about which decisions were made before."""

    def __call__(self, turn: Turn, decisions: Decisions) -> RunTools:
        """Make it."""


def restore(run: Run, checkpoint: Checkpoint) -> None:
    """Put a new run in the state of a checkpoint, without the turn that was running.

    Raises:
        ConfigurationError: The checkpoint is that of another task, or a handoff is missing.
    """
    if not is_checkpoint_of(run, checkpoint):
        raise ConfigurationError(
            "The log has a run with this key that was asked something else. Use another key, or "
            "delete that run with log.forget(key)."
        )
    for name in checkpoint.handoffs[len(run.handoffs) :]:
        take_over(run, handoff_named(run.tools, name))
    run.messages, run.start = list(checkpoint.messages), checkpoint.start
    run.usage, run.estimated_usage = checkpoint.usage, checkpoint.estimated_usage
    run.iterations, run.tool_calls = checkpoint.iterations, checkpoint.tool_calls
    run.is_asked_for_answer = checkpoint.is_asked_for_answer
    run.control.add_messages(checkpoint.steered)
    run.control.is_stopped |= checkpoint.is_stopped
    run.finish_reason, run.output = checkpoint.finish_reason, checkpoint.output
    if checkpoint.corrections_left is not None:
        run.corrections_left = checkpoint.corrections_left
    if run.handoffs:  # which of the counts are of the last agent is not known
        run.limits = raised(run.limits, run.used)
    if run.output is not None:
        waiting = waiting_calls(run.messages)
        run.pending = () if waiting is None else waiting.calls
        if run.parts is not None and not run.pending:
            run.value = value_of_output(run.output, run.parts.output)


def end_lost_turn(
    run: Run, lost: Sequence[Message], make_run_tools: MakeRunTools
) -> Generator[Events, None, list[Message]]:
    """Yield the stages that end the turn that was lost, and add its messages to the run.

    Args:
        run: The run, in the state of its checkpoint.
        lost: The messages of the turn (`Checkpoint.partial`).
        make_run_tools: Makes the operator that runs the calls of idempotent tools again.

    Returns:
        The model's message and the results of its calls; nothing if it had called nothing.
    """
    if not lost or not lost[0].tool_calls:
        return []
    message = lost[0]
    turn = Turn(run, is_resumed=True)
    ends = lost_ends(run, message.tool_calls, lost)
    again = [call for call in message.tool_calls if call.id not in ends]

    def answered() -> list[Message]:
        calls = message.tool_calls
        return [
            message,
            *(result_message(call, ends.get(call.id) or end_of(turn, call)) for call in calls),
        ]

    def so_far() -> list[Message]:
        known = {**ends, **turn.results}
        calls = [call for call in message.tool_calls if call.id in known]
        return [message, *(result_message(call, known[call.id]) for call in calls)]

    run.set_partial(lambda: list(run.in_own_form(answered())), so_far)
    yield emitted(events_of(message, ends))
    if again and not run.control.is_stopped:
        run.tool_calls -= len(again)  # they are counted again when they start
        decisions = {call.id: True for call in again if _needs_approval(run, call)}
        yield rx.from_iterable(again).pipe(make_run_tools(turn, decisions), to_events(turn))
    messages = answered()
    run.messages += run.in_own_form(messages)
    run.set_partial(list)
    run.finish_reason = CANCELLED
    return messages


def lost_ends(run: Run, started: Iterable[ToolCall], lost: Sequence[Message]) -> dict[str, ToolEnd]:
    """Return how calls of a lost turn ended; those that may run again are not there.

    Args:
        run: The run.
        started: The calls that had started.
        lost: The messages of the turn (`Checkpoint.partial`).
    """
    ended = {result.call_id: result for each in lost[1:] for result in _results(each)}
    return {
        call.id: _end_of_result(ended[call.id]) if call.id in ended else _outcome_unknown(call)
        for call in started
        if call.id in ended or not _may_repeat(run, call)
    }


def _results(message: Message) -> list[ToolResult]:
    return [part for part in message.parts if isinstance(part, ToolResult)]


def _may_repeat(run: Run, call: ToolCall) -> bool:
    return any(tool.name == _name(run, call) and tool.idempotent for tool in run.tools)


def _needs_approval(run: Run, call: ToolCall) -> bool:
    return any(tool.name == _name(run, call) and tool.requires_approval for tool in run.tools)


def _name(run: Run, call: ToolCall) -> str:
    return with_tool_name(call, {tool.name: tool for tool in run.tools}).name


def _end_of_result(result: ToolResult) -> ToolEnd:
    error = ErrorInfo.of(ToolError(result.content)) if result.is_error else None
    return ToolEnd(result.call_id, result.name, result.content, error, parts=result.parts)


def _outcome_unknown(call: ToolCall) -> ToolEnd:
    error = ToolError(
        f"The tool {call.name!r} was started, outcome unknown: the process that ran it was lost "
        "before the call ended. The tool may have done its work, or a part of it."
    )
    return ToolEnd(call.id, call.name, f"Error: {error}", ErrorInfo.of(error))


def events_of(message: Message, ends: Mapping[str, ToolEnd]) -> Iterator[StreamEvent]:
    """Return the events of the calls of a lost turn that do not run again."""
    for call in message.tool_calls:
        end = ends.get(call.id)
        if end is not None:
            yield ToolStart(call.id, call.name, arguments_of(call))
            yield end
