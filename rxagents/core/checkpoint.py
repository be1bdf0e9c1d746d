"""Define a checkpoint: what a run has done so far, for a process that finds it unfinished."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rxagents.core.messages import Message
from rxagents.core.usage import Usage


class Checkpoint(Struct, frozen=True):
    """The state of an agent's run, after each turn and each tool.

    Attributes:
        messages: The messages of all turns that have ended, oldest first, with their
            `provider_data`.
        partial: The messages of the turn that runs: the model's message with the calls that have
            started, and the results of those that have ended.
        usage: The token counts that the provider has sent; `None` if it sent none.
        estimated_usage: Estimated counts of the turns that were ended early.
        iterations: The number of turns that have started.
        tool_calls: The number of tool calls that have started.
        request: What the run was asked, if the log was given it (`EventLog.start`): JSON values.
        after: The id of the last entry of the run before the checkpoint; empty if there is none.
            The event that reports the turn or the tool comes after it.
        output: The text of the answer, if the run has it.
        finish_reason: The finish reason of the last turn that has ended.
        handoffs: The names of the handoffs that the run has followed.
        start: The index of the first message of the run's own exchange, in a conversation.
        corrections_left: How many times a wrong answer may still go back to the model; `None` if
            that is not known.
        is_asked_for_answer: Whether the model was asked for its answer after an empty turn.
        steered: Messages from outside that no turn has seen yet (`AgentRun.steer`).
        is_stopped: Whether the run was asked to end (`AgentRun.stop`).
    """

    messages: tuple[Message, ...]
    partial: tuple[Message, ...] = ()
    usage: Usage | None = None
    estimated_usage: Usage | None = None
    iterations: int = 0
    tool_calls: int = 0
    request: Any = None  # whatever the program that started the run has to know
    after: str = ""
    output: str | None = None
    finish_reason: str = ""
    handoffs: tuple[str, ...] = ()
    start: int = 0
    corrections_left: int | None = None
    is_asked_for_answer: bool = False
    steered: tuple[Message, ...] = ()
    is_stopped: bool = False
