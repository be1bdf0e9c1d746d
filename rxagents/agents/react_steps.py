"""Keep the steps of a `ReActAgent`'s run for its trace."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from rxagents.agents.turn import Turn
from rxagents.core.events import ToolStart


class ReActStep(Struct, frozen=True):
    """One step of a run.

    Attributes:
        thought: The model's thought; may be empty.
        action: The name of the tool that the model called; empty for none.
        arguments: The arguments of the call.
        observation: The tool's result, or the correction that the model got; may be empty.
    """

    thought: str = ""
    action: str = ""
    arguments: dict[str, object] = {}
    observation: str = ""


def steps_of(turn: Turn, correction: str) -> Iterator[ReActStep]:
    """Yield the steps of a turn; `correction` is the observation of one without a call."""
    thought = ""
    for step in turn.steps:
        if isinstance(step, ToolStart):
            end = turn.results.get(step.call_id)
            yield ReActStep(thought, step.name, step.arguments, end.result if end else "")
            thought = ""
        else:
            thought = f"{thought}\n{step.content}" if thought else step.content
    is_corrected = turn.answer is None and not turn.calls
    if thought or is_corrected:
        yield ReActStep(thought, observation=correction if is_corrected else "")
