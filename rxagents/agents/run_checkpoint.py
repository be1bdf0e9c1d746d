"""Make the checkpoint of a run, and find out whether a run may go on from one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rxagents.core.checkpoint import Checkpoint
from rxagents.runtime.checkpoints import is_checkpoint_of_task

if TYPE_CHECKING:
    from rxagents.agents.run import Run


def checkpoint_of(run: Run) -> Checkpoint:
    """Return what another process needs to go on with a run; `restore` reads it."""
    return Checkpoint(
        tuple(run.messages),
        tuple(run.partial_in_checkpoints()),
        run.usage_so_far,
        run.estimated_usage,
        run.iterations,
        run.tool_calls,
        output=run.output,
        finish_reason=run.finish_reason,
        handoffs=run.handoffs,
        start=run.start,
        corrections_left=run.corrections_left,
        is_asked_for_answer=run.is_asked_for_answer,
        steered=run.control.waiting_messages,
        is_stopped=run.control.is_stopped,
    )


def is_checkpoint_of(run: Run, checkpoint: Checkpoint) -> bool:
    """Return whether a checkpoint is that of a run with the task of `run`, which is new."""
    return is_checkpoint_of_task(checkpoint, run.messages[run.start :])
