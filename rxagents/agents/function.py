"""The agent for models that have native tool calls."""

from __future__ import annotations

from collections.abc import Sequence

from reactivex import operators as rx_ops

from rxagents.agents.agent import BaseAgent
from rxagents.agents.finish import PAUSE
from rxagents.agents.last_turn import REQUEST_FOR_LAST_ANSWER, conclude_last, tools_of_last_turn
from rxagents.agents.run import Run
from rxagents.agents.turn import Turn
from rxagents.agents.turns import Events, to_events
from rxagents.agents.waiting import result_message
from rxagents.core.errors import OutputError
from rxagents.core.events import Answer
from rxagents.core.messages import Message
from rxagents.core.settings import SettingsArguments


class FunctionAgent(BaseAgent):
    """An agent that runs the model's tool calls until the model answers without one.

    A tool starts as soon as its call is complete, while the model still writes. If a tool fails or
    is unknown, the model gets the error as the tool's result. Tool results are untrusted text: a
    model may follow instructions in them. A `tool_choice` that requires a call is sent in the first
    turn of a run only, because such a run would never end.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        **options: See `AgentOptions`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    def _turn(self, turn: Turn) -> Events:
        run = turn.run
        settings = _settings_of(turn, self._settings)
        if turn.is_last:
            tools = tools_of_last_turn(run)
            chunks = self.llm.chat_stream(run.messages, tools, **settings)
            return chunks.pipe(rx_ops.do_action(turn.accumulate), to_events(turn))
        chunks = self.llm.chat_stream(run.messages, run.tools, **settings)
        return chunks.pipe(
            rx_ops.do_action(turn.accumulate),
            self._run_tools(run.tools, run.context, turn.refuse),
            to_events(turn),
        )

    @property
    def _last_request(self) -> Message:
        return REQUEST_FOR_LAST_ANSWER

    def _conclude_last(self, turn: Turn) -> Sequence[Answer]:
        response = turn.finish()
        answer = response.content or response.refusal
        message = Message.assistant(answer) if response.tool_calls else response.message
        conclude_last(turn, answer, message)
        return (Answer(answer),)

    def _conclude(self, turn: Turn) -> Sequence[Answer]:
        """Append the model's message and the tools' results; without calls it is the answer.

        A turn that the provider paused is no answer: the next turn goes on with it. An empty turn
        after tools is none either: the model is asked once for its answer.

        Raises:
            OutputError: A call was cut off: it can neither run nor be sent back. Or the response
                ended with a finish reason that makes no answer. Or the answer is empty again.
        """
        run, response = turn.run, turn.finish()
        results: list[Message] = []
        waiting = {call.call_id for call in turn.waiting}
        for call in response.tool_calls:
            end = turn.results.get(call.id)
            if end is not None:
                results.append(result_message(call, end))
            elif call.id not in waiting:
                if response.message.parts:
                    run.messages += (response.message, *results)
                raise OutputError(
                    f"The model's response ended inside its call of {call.name!r} (finish reason "
                    f"{response.finish_reason!r}). Raise max_tokens."
                )
        if waiting:
            run.defer(response.message, results)
            return ()
        if response.message.parts:
            run.messages += (response.message, *results)
        if response.tool_calls or response.finish_reason == PAUSE:
            return ()
        answer = response.content or response.refusal
        if not answer.strip() and run.tool_calls and response.finish_reason != "content_filter":
            if not run.is_asked_for_answer and run.ends_in_last_turn:
                return ()  # the next turn is the last one, which asks for the answer
            run.messages.append(_request_for_answer(run))
            return ()
        run.output = answer
        return (Answer(answer),)


_REQUEST_FOR_ANSWER = Message.user(
    "There was no text after the results of the tools. Write your answer now."
)


def _request_for_answer(run: Run) -> Message:
    """Return the message that asks for the answer, which a run sends once.

    Raises:
        OutputError: It was sent already, or no turn is left for it.
    """
    if run.is_asked_for_answer or run.iterations >= run.limits.iterations:
        is_asked = run.is_asked_for_answer
        when = ", also when it was asked for one" if is_asked else " in the last turn"
        raise OutputError(
            f"The model wrote no answer after its {run.tool_calls} tool calls{when} (finish "
            f"reason {run.finish_reason!r}). The tools have run. Run again, raise max_tokens if "
            "the finish reason is 'length', or use another model."
        )
    run.is_asked_for_answer = True
    return _REQUEST_FOR_ANSWER


def _settings_of(turn: Turn, settings: SettingsArguments) -> SettingsArguments:
    if turn.is_last:
        return {**settings, "tool_choice": "none"}
    requires_call = settings.get("tool_choice") not in {None, "auto", "none"}
    if requires_call and turn.run.iterations > 1:
        return {**settings, "tool_choice": "auto"}
    return settings
