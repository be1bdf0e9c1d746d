"""An agent for models that call tools by themselves."""

from __future__ import annotations

from collections.abc import Iterator

from reactivex import operators as rx_ops

from rxagents.agents.agent import BaseAgent
from rxagents.agents.run import Turn
from rxagents.agents.turns import Events, to_events
from rxagents.core.errors import OutputError
from rxagents.core.events import Answer
from rxagents.core.messages import Message
from rxagents.core.settings import SettingsArguments


class FunctionAgent(BaseAgent):
    """Lets the model call tools until it answers.

    Each tool starts as soon as its call is whole, while the model goes on to write. A tool that
    fails or is unknown becomes a result that the model sees. What tools return is text that
    others may have written: a model may follow instructions in it. A `tool_choice` that demands a
    call holds for the first turn of a run, which could not end otherwise.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        system_prompt: What the model is told before all else.
        **options: `max_iterations`, `max_tool_calls`, `max_total_tokens`, `max_seconds`,
            `tool_concurrency`, `start_tools`, `approve`, as `AgentOptions` has them, and
            generation settings such as `temperature`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    def _turn(self, turn: Turn) -> Events:
        run = turn.run
        settings = _settings_of(turn, self._settings)
        chunks = self._llm.chat_stream(run.messages, run.tools, **settings)
        return chunks.pipe(
            rx_ops.do_action(turn.accumulate),
            self._run_tools(run.tools),
            to_events(turn, conclude),
        )


def _settings_of(turn: Turn, settings: SettingsArguments) -> SettingsArguments:
    demands_call = settings.get("tool_choice") not in {None, "auto", "none"}
    if demands_call and turn.run.iterations > 1:
        return {**settings, "tool_choice": "auto"}
    return settings


def conclude(turn: Turn) -> Iterator[Answer]:
    """Take over the model's message and the tools' results; without calls it is the answer.

    Raises:
        OutputError: A call was cut off, and can neither run nor be sent back.
    """
    run, response = turn.run, turn.end()
    run.messages.append(response.message)
    for call in response.tool_calls:
        end = turn.results.get(call.id)
        if end is None:
            raise OutputError(
                f"The model's answer ended in the middle of its call of {call.name!r} (finish "
                f"reason {response.finish_reason!r}). Raise max_tokens."
            )
        failed = end.error is not None
        run.messages.append(Message.tool(call.id, end.result, name=call.name, is_error=failed))
    if not response.tool_calls:
        run.output = response.content or response.refusal
        yield Answer(run.output)
