"""The agent for models without tool calls: thoughts, actions and observations are text."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Any, Unpack

import msgspec

from rxagents.agents.agent import BaseAgent
from rxagents.agents.agent_options import AgentOptions
from rxagents.agents.finish import PAUSE
from rxagents.agents.last_turn import conclude_last
from rxagents.agents.model_stream import model_stream
from rxagents.agents.partial import end_of, marked, started_calls, with_results
from rxagents.agents.react_form import (
    action,
    after_answer_label,
    images_and_files,
    in_text_form,
    observation,
    unlabelled,
    up_to_observation,
)
from rxagents.agents.react_protocol import CORRECTION, CUT, REQUEST_FOR_LAST_ANSWER, protocol
from rxagents.agents.react_steps import ReActStep, steps_of
from rxagents.agents.read_answer import read_answer
from rxagents.agents.resume import defer
from rxagents.agents.run import Run
from rxagents.agents.turn import Turn
from rxagents.agents.turn_events import read_chunks, to_events
from rxagents.agents.turns import Events
from rxagents.agents.typed_turn import TypedTurn
from rxagents.agents.waiting import result_message
from rxagents.core.approval import Decisions
from rxagents.core.errors import OutputError
from rxagents.core.events import (
    Answer,
    Partial,
    Reasoning,
    Reset,
    StreamEvent,
    Thought,
    Token,
    ToolStart,
)
from rxagents.core.finish_reasons import is_whole_text
from rxagents.core.messages import Message, Part, ToolCall, ToolResult
from rxagents.core.output_request import may_correct
from rxagents.core.protocols import OutputT, StreamingLLM
from rxagents.core.response import Response
from rxagents.core.tools import Tool, ToolLike
from rxagents.operators._steps import steps_in
from rxagents.operators.of_type import of_type
from rxagents.parsing.answer_parser import AnswerParts

STOP = "\nObservation:"
"""The stop sequence: the model must not write what comes after it."""


class ReActAgent(BaseAgent[OutputT]):
    """An agent that has the model think, act and observe in plain text until it answers.

    The text is parsed while it arrives: a tool starts at the closing bracket of its action, and
    `Token` events say whether they belong to a thought, an action or the answer. An observation
    that the model makes up is not read. A turn with neither an action nor an answer gets a
    correction as its observation. In a turn that was cut, such as by `max_tokens`, only actions
    that were whole before the cut run.

    `AgentResult.trace` holds a `ReActStep` for each thought or action. Tool results are untrusted
    text: a model may follow instructions in them.

    Args:
        llm: The model.
        tools: `rxagents.tool`s, or functions.
        send_stop: Ask the provider to stop before an observation; `None` asks the models whose
            `takes_stop` is true. The agent stops reading there in any case.
        direct_answer: Whether a whole response without any label is the answer. Its text arrives
            as tokens of a thought, since a label could still come.
        output_type: The type of the answer; see `FunctionAgent`. The JSON is what follows
            "Answer:".
        **options: See `AgentOptions`. The protocol is appended to `system_prompt`.

    Raises:
        ConfigurationError: The model does not stream, or an argument is not usable.
    """

    _answer_label = "Answer: "

    def __init__(
        self,
        llm: StreamingLLM,
        tools: Sequence[ToolLike] = (),
        *,
        send_stop: bool | None = None,
        direct_answer: bool = False,
        output_type: type[OutputT] | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        super().__init__(llm, tools, output_type=output_type, **options)
        self._direct_answer = direct_answer
        takes_stop = getattr(llm, "takes_stop", False) if send_stop is None else send_stop
        if takes_stop:
            given = self._settings.get("stop") or ()
            stops = [given] if isinstance(given, str) else list(given)
            self._settings["stop"] = [*stops, STOP]

    def _prompt_text(
        self, given: str | None, tools: tuple[Tool, ...], parts: AnswerParts | None
    ) -> str:
        """Return the text of the system message, which contains the protocol."""
        before = "" if given is None else given + "\n\n"
        return before + protocol(tools, None if parts is None else parts.output.schema)

    def _turn(self, turn: Turn) -> Events:
        run = turn.run
        chunks = self.llm.chat_stream(run.messages, **self._settings)
        chunks = model_stream(self.llm, chunks, run.messages)
        steps = chunks.pipe(read_chunks(turn, text_as="text"), steps_in(run.tools, texts=True))
        if turn.typed is not None:
            steps = steps.pipe(read_answer(turn, turn.typed))
        if turn.is_last:
            return steps.pipe(
                of_type(Token, Reasoning, Thought, Partial, Answer, Reset), to_events(turn)
            )
        return steps.pipe(to_events(turn, self._run_tools(turn)))

    @property
    def _last_request(self) -> Message:
        return REQUEST_FOR_LAST_ANSWER

    def _conclude_last(self, turn: Turn) -> Sequence[Answer]:
        response = turn.finish()
        answer = self._partial_output(turn) or response.refusal
        if not answer:
            answer = unlabelled(response.content)
            turn.steps.clear()
        last_events = () if turn.answer is not None else (Answer(answer),)
        if turn.typed is not None:
            answer = turn.typed.checked_text(response, turn.run.reached, answer)
            last_events = (Answer(answer),)
            turn.run.value = turn.typed.value[0]
        turn.answer = answer
        turn.run.trace += steps_of(turn, "")
        conclude_last(turn, answer, Message.assistant(_written(turn, response)))
        return last_events

    def _conclude(self, turn: Turn) -> Sequence[StreamEvent]:
        """Append the model's text, and the observation unless the model has answered.

        A refusal is an answer, and so is what a content filter left: the same request would get
        the same response. A turn that the provider paused goes on in the next one.

        Raises:
            OutputError: The response ended with a finish reason that makes no answer.
        """
        run, response = turn.run, turn.finish()
        if response.finish_reason == PAUSE and not turn.calls:
            run.messages.append(response.message)
            return ()
        last_events: tuple[Answer, ...] = ()
        is_refused = bool(response.refusal) or response.finish_reason == "content_filter"
        if is_refused and turn.answer is None and not turn.calls:
            turn.answer = response.refusal
            last_events = (Answer(turn.answer),)
        elif self._direct_answer and _has_no_label(turn, response):
            turn.answer = response.content.strip()
            turn.steps.clear()
            last_events = (Answer(turn.answer),)
        if turn.waiting:
            self._defer(turn, response)
            return ()
        run.messages.append(Message.assistant(_written(turn, response)))
        if turn.typed is not None and turn.answer is not None:
            return self._conclude_typed(turn, turn.typed, response, turn.answer)
        finish = response.finish_reason
        correction = CORRECTION if is_whole_text(finish) else CUT.format(finish=finish)
        run.trace += steps_of(turn, correction)
        run.output = turn.answer
        if turn.answer is None:
            run.messages.append(Message.user(_observed(turn, correction), *_images_and_files(turn)))
        return last_events

    def _conclude_typed(
        self, turn: Turn, typed: TypedTurn, response: Response, answer: str
    ) -> Sequence[StreamEvent]:
        """Take the value of the answer, or ask the model to correct it."""
        run = turn.run
        typed.read(response, answer)
        correction = ""
        if typed.error is not None:
            turn.answer, correction = None, str(typed.error)
            if turn.calls:
                run.messages.append(Message.user(_observed(turn, ""), *_images_and_files(turn)))
        run.trace += steps_of(turn, correction)
        if typed.error is not None:
            return self._correct(turn, typed.error, is_allowed=may_correct(response))
        run.output, run.value = typed.text, typed.value[0]
        return (Answer(typed.text),)

    def _correction(self, error: OutputError) -> Message:
        return Message.user(f'Observation: {error} Go on with a line that begins with "Answer:".')

    def _defer(self, turn: Turn, response: Response) -> None:
        """End the run with the calls that wait."""
        calls = [
            ToolCall(call.call_id, call.name, _arguments(call.arguments)) for call in turn.calls
        ]
        results = [
            result_message(call, turn.results[call.id]) for call in calls if call.id in turn.results
        ]
        turn.run.trace += steps_of(turn, "")
        defer(turn.run, Message.assistant(_written(turn, response), *calls), results)

    def in_own_form(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return calls and results as text of the protocol."""
        return in_text_form(messages)

    def resumed(
        self, run: Run, decisions: Decisions
    ) -> Generator[Events, None, Sequence[tuple[ToolCall, Message]]]:
        """Yield the stage that runs the calls that waited; see `BaseAgent.resumed`.

        The steps of these calls in the trace have no thought: it is in the trace of the run that
        was deferred.
        """
        ended = yield from super().resumed(run, decisions)
        for call, result in ended:
            [part] = result.parts
            if isinstance(part, ToolResult):
                run.trace.append(ReActStep("", call.name, call.parse(), part.content))
        return ended

    def _partial(self, turn: Turn) -> list[Message]:
        text = up_to_observation(turn.response().content)
        if not text:
            return []
        written = marked(Message.assistant(text))
        if not turn.calls:
            return [written]
        ends = [end_of(turn, ToolCall(call.call_id, call.name, "")) for call in turn.calls]
        observed = "\n".join(f"Observation: {end.name}: {end.result}" for end in ends)
        return [written, Message.user(observed, *_images_and_files(turn))]

    def _turn_so_far(self, turn: Turn) -> list[Message]:
        if not (started := started_calls(turn)):
            return self._partial(turn)
        steps = [
            each for each in turn.steps if isinstance(each, Thought) or each.call_id in started
        ]
        calls = [
            ToolCall(each.call_id, each.name, _arguments(each.arguments))
            for each in steps
            if isinstance(each, ToolStart)
        ]
        return with_results(marked(Message.assistant("\n".join(_lines(steps)), *calls)), turn)

    def _partial_output(self, turn: Turn) -> str:
        return turn.answer or after_answer_label(turn.response().content)


def _written(turn: Turn, response: Response) -> str:
    """Return the turn in the protocol's form, without what the model made up after it."""
    if turn.answer is None and not turn.calls:
        return up_to_observation(response.content) or "(nothing)"
    lines = _lines(turn.steps)
    return "\n".join(lines if turn.answer is None else [*lines, f"Answer: {turn.answer}"])


def _lines(steps: Sequence[Thought | ToolStart]) -> list[str]:
    return [
        f"Thought: {step.content}"
        if isinstance(step, Thought)
        else action(step.name, _arguments(step.arguments))
        for step in steps
    ]


def _arguments(arguments: dict[str, Any]) -> str:
    return msgspec.json.encode(arguments).decode()


def _has_no_label(turn: Turn, response: Response) -> bool:
    """Return whether a whole response is nothing but text before a first label."""
    is_thought = len(turn.steps) == 1 and isinstance(turn.steps[0], Thought)
    is_all = is_thought and turn.steps[0].content == response.content.strip()
    return is_all and turn.answer is None and is_whole_text(response.finish_reason)


def _observed(turn: Turn, correction: str) -> str:
    ends = [turn.results[call.call_id] for call in turn.calls]
    return observation([(end.name, end.result) for end in ends] or [("", correction)])


def _images_and_files(turn: Turn) -> Iterator[Part]:
    """Yield the images and files of the turn's results."""
    for call in turn.calls:
        end = turn.results.get(call.call_id)
        if end is not None:
            yield from images_and_files(end.parts)
