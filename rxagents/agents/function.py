"""The agent for models that have native tool calls."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from rxagents.agents.agent import BaseAgent
from rxagents.agents.finish import PAUSE
from rxagents.agents.last_turn import (
    REQUEST_FOR_LAST_ANSWER,
    conclude_last,
    idle_tools,
    tools_of_last_turn,
)
from rxagents.agents.model_stream import model_stream
from rxagents.agents.read_answer import ask_for_answer, read_answer
from rxagents.agents.resume import defer
from rxagents.agents.run import Run
from rxagents.agents.turn import Turn
from rxagents.agents.turn_events import read_chunks, to_events
from rxagents.agents.turns import Events
from rxagents.agents.typed_turn import TypedTurn
from rxagents.agents.waiting import result_message
from rxagents.core.errors import OutputError
from rxagents.core.events import Answer, StreamEvent
from rxagents.core.messages import Message
from rxagents.core.output_request import may_correct
from rxagents.core.protocols import OutputT
from rxagents.core.response import Response
from rxagents.core.settings import SettingsArguments


class FunctionAgent(BaseAgent[OutputT]):
    """An agent that runs the model's tool calls until the model answers without one.

    A tool starts as soon as its call is complete, while the model still writes. If a tool fails or
    is unknown, the model gets the error as the tool's result. Tool results are untrusted text: a
    model may follow instructions in them. A `tool_choice` that requires a call is sent in the first
    turn of a run only, because such a run would never end.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        output_type: The type of the answer, such as a Struct, a dataclass or a pydantic model;
            `AgentResult.output` is a value of it. By default the answer is a text. An answer that
            does not match goes back to the model, `corrections` times at most; then the run fails
            with `OutputError`.
        **options: See `AgentOptions`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    def _turn(self, turn: Turn) -> Events:
        run = turn.run
        settings = _settings_of(turn, self._settings)
        if turn.typed is not None:
            return self._typed_turn(turn, turn.typed, settings)
        if turn.is_last:
            tools = tools_of_last_turn(run)
            chunks = self.llm.chat_stream(run.messages, tools, **settings)
            chunks = model_stream(self.llm, chunks, run.messages, tools)
            return chunks.pipe(read_chunks(turn, text_as="token"), to_events(turn))
        tools = run.tools or idle_tools(run)
        chunks = self.llm.chat_stream(run.messages, tools, **settings)
        chunks = model_stream(self.llm, chunks, run.messages, tools)
        return chunks.pipe(
            read_chunks(turn, text_as="token"), to_events(turn, self._run_tools(turn))
        )

    def _typed_turn(self, turn: Turn, typed: TypedTurn, settings: SettingsArguments) -> Events:
        run = turn.run
        tools = tools_of_last_turn(run) if turn.is_last else run.tools or idle_tools(run)
        chunks = ask_for_answer(self.llm, turn, typed, tools, settings).pipe(
            read_chunks(turn), read_answer(turn, typed)
        )
        if turn.is_last:
            return chunks.pipe(to_events(turn))
        return chunks.pipe(to_events(turn, self._run_tools(turn)))

    @property
    def _last_request(self) -> Message:
        return REQUEST_FOR_LAST_ANSWER

    def _conclude_last(self, turn: Turn) -> Sequence[Answer]:
        response = turn.finish()
        answer = response.content or response.refusal
        if turn.typed is not None:
            answer = turn.typed.checked_text(response, turn.run.reached)
            turn.run.value = turn.typed.value[0]
        message = Message.assistant(answer) if response.tool_calls else response.message
        conclude_last(turn, answer, message)
        return (Answer(answer),)

    def _conclude(self, turn: Turn) -> Sequence[StreamEvent]:
        """Append the model's message and the tools' results; without calls it is the answer.

        A turn that the provider paused is no answer: the next turn goes on with it. An empty turn
        after tools is none either: the model is asked once for its answer.

        Raises:
            OutputError: A call was cut off: it can neither run nor be sent back. Or the response
                ended with a finish reason that makes no answer. Or the answer is empty again.
        """
        run, response, typed = turn.run, turn.finish(), turn.typed
        results: list[Message] = []
        waiting = {call.call_id for call in turn.waiting}
        if typed is not None and response.finish_reason != PAUSE:
            typed.read(response, has_waiting=bool(waiting))
        for call in response.tool_calls:
            end = turn.results.get(call.id)
            if typed is not None and typed.is_answer(call):
                results.append(typed.result_of(call))
            elif end is not None:
                results.append(result_message(call, end))
            elif call.id not in waiting:
                if turn.calls:
                    run.messages += self._partial(turn)  # the cut call can have no result
                else:
                    run.set_partial(partial(self._partial, turn))
                raise OutputError(
                    f"The model's response ended inside its call of {call.name!r} (finish reason "
                    f"{response.finish_reason!r}). Raise max_tokens."
                )
        if waiting:
            defer(run, response.message, results)
            return ()
        if response.message.parts:
            run.messages += (response.message, *results)
        if typed is not None and (typed.error is not None or typed.value):
            return self._conclude_typed(turn, typed, response)
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

    def _conclude_typed(
        self, turn: Turn, typed: TypedTurn, response: Response
    ) -> Sequence[StreamEvent]:
        """Take the value of the answer, or ask the model to correct it."""
        if typed.error is not None:
            is_allowed = may_correct(response)
            return self._correct(turn, typed.error, is_allowed=is_allowed)
        turn.run.output, turn.run.value = typed.text, typed.value[0]
        return (Answer(typed.text),)


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
    run = turn.run
    if turn.is_last or (not run.tools and idle_tools(run)):
        return {**settings, "tool_choice": "none"}
    requires_call = settings.get("tool_choice") not in {None, "auto", "none"}
    if requires_call and run.iterations > run.first_iteration:
        return {**settings, "tool_choice": "auto"}
    return settings
