"""End a run at its limit with a last turn, which asks the model for its answer without tools.

Theory of operation. With `at_limit="answer"` a run at its limit of turns, tool calls or tokens goes
on for one turn: `Run.begin_turn` appends the request for the answer and marks the turn as the last.

- The last turn runs no tool, whatever the model calls. A model that calls tools all the same, and
  writes no text, fails the run: it would have no answer in the next turn either.
- The request still has the tools if the conversation has calls, with `tool_choice` "none":
  Anthropic's API refuses calls in the messages of a request without tools. "none" is valid on every
  wire; Ollama's sends no tools for it.
- A call over `max_tool_calls` is refused (`Turn.refuse`), so that the calls within the limit end.
  A sub-agent's call cannot be refused: the turn ends early, with the calls that run.
"""

from __future__ import annotations

from typing import Final

from rxagents.agents.finish import LIMIT
from rxagents.agents.run import Run
from rxagents.agents.turn import Turn
from rxagents.core.errors import OutputError
from rxagents.core.messages import Message
from rxagents.core.tools import Tool

REQUEST_FOR_LAST_ANSWER: Final = Message.user(
    "All steps for this task are used, so no tool can be called for it any more. Write your answer "
    "now, from what you know so far, and say what is missing in it."
)
"""The message that asks a model with tool calls for its answer."""


def tools_of_last_turn(run: Run) -> tuple[Tool, ...]:
    """Return the tools that the request of a last turn needs, which must not be called."""
    return (run.tools or run.idle_tools) if _has_calls(run) else ()


def idle_tools(run: Run) -> tuple[Tool, ...]:
    """Return the tools of earlier agents, if the messages have calls; they must not be called."""
    return run.idle_tools if _has_calls(run) else ()


def _has_calls(run: Run) -> bool:
    return any(message.tool_calls for message in run.messages)


def conclude_last(turn: Turn, answer: str, message: Message) -> None:
    """Add the answer of a last turn to its run.

    Args:
        turn: The turn, which has finished.
        answer: What the model has answered.
        message: The model's message, without calls.

    Raises:
        OutputError: The model has written no answer.
    """
    run = turn.run
    is_filtered = run.finish_reason == "content_filter"
    if not answer.strip() and not is_filtered:
        raise OutputError(
            f"The model wrote no answer in the last turn, which asked for it without tools. The "
            f'last turn was due to at_limit="answer": {run.reached}'
        ) from run.reached
    run.messages.append(message)
    run.output = answer
    if not is_filtered:
        run.finish_reason = LIMIT
