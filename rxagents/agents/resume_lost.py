"""Go on with a run that was resumed with decisions, and whose process was then lost.

Theory of operation. A resumed run first runs the calls that waited; its checkpoints then have the
messages before them and, as `partial`, the calls that have started and the results so far. Another
process gets the same messages and decisions again. What was lost is added to those messages: a call
with a result has it, and one that was started and never ended has "outcome unknown", unless its
tool is idempotent. What still waits is decided as before, since whoever has decided did so once.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import TYPE_CHECKING

from rxagents.agents.go_on import events_of, lost_ends
from rxagents.agents.handoff import follow_handoffs
from rxagents.agents.turns import Events, emitted
from rxagents.agents.waiting import (
    RunCounts,
    marked_as_deferred,
    result_message,
    waiting_calls,
)
from rxagents.core.approval import Decisions
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import Message

if TYPE_CHECKING:
    from rxagents.agents.run import Run


def still_to_decide(
    run: Run, decisions: Decisions, previous: Checkpoint
) -> Generator[Events, None, Decisions | None]:
    """Yield the events of the calls that were lost, and add their results to the run's messages.

    Args:
        run: A new run, whose messages end with the calls that waited.
        decisions: The decisions about these calls.
        previous: The checkpoint of the attempt before.

    Returns:
        The decisions about the calls that still wait; `None` if none does, so that the run goes on
        from the checkpoint.

    Raises:
        ConfigurationError: The checkpoint is that of the run that was deferred.
    """
    check_is_resumed(run.messages, previous)
    follow_handoffs(run)
    waiting = waiting_calls(run.messages)
    lost = previous.partial
    if waiting is None or previous.output is not None:
        return None
    if len(previous.messages) > len(waiting.before):
        return None  # the calls that waited have ended
    if previous.is_stopped:
        return None
    run.control.add_messages(previous.steered)
    if not lost:
        return decisions
    started = {call.id for call in lost[0].tool_calls} - waiting.results.keys()
    ends = lost_ends(run, [call for call in waiting.calls if call.id in started], lost)
    left = [call for call in waiting.calls if call.id not in ends]
    if not left:
        return None
    counts = RunCounts(
        previous.iterations,
        previous.tool_calls - sum(call.id in started for call in left),  # they are counted again
        previous.usage,
        previous.estimated_usage,
        waiting.counts.handoffs,
    )
    results = dict(waiting.results)
    for call in waiting.calls:
        if call.id in ends:
            results[call.id] = result_message(call, ends[call.id])
    calls = waiting.message.tool_calls
    own, run.usage = run.usage, previous.usage
    run.iterations, run.tool_calls = previous.iterations, previous.tool_calls
    run.messages = list(waiting.before)
    run.set_partial(list, lambda: list(lost))  # the same checkpoint, if one is made meanwhile
    yield emitted(events_of(waiting.message, ends))
    run.usage = own  # `resumed` adds the counts in the mark
    run.messages = [
        *waiting.before,
        marked_as_deferred(waiting.message, counts),
        *(results[call.id] for call in calls if call.id in results),
    ]
    return {call.id: decisions[call.id] for call in left}


def check_is_resumed(messages: Sequence[Message], previous: Checkpoint) -> None:
    """Check that a checkpoint is not that of the run that was deferred.

    Raises:
        ConfigurationError: It is.
    """
    if previous.output is not None and len(previous.messages) == len(messages):
        raise ConfigurationError(
            "The log has the run that waits for decisions under this key. Resume it under a key of "
            "its own."
        )
