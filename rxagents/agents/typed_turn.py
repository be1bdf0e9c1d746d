"""Hold the structured answer of one turn, for runs with an `output_type`."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError, OutputError
from rxagents.core.messages import Message, ToolCall
from rxagents.core.output_request import (
    ANSWER_TOOL,
    NOT_RUN,
    OutputRequest,
    answer_text,
)
from rxagents.core.response import Response
from rxagents.parsing.answer_parser import AnswerParser, AnswerParts

_ACCEPTED = "The answer was accepted."
"""The result of the call that is the answer: providers refuse a call without a result."""

_TOO_EARLY = "Error: Other calls had not ended. Answer again with their results."


class TypedTurn:
    """The structured answer of one turn.

    Args:
        parts: The parts of the answer, and its type.

    Attributes:
        request: How the model was asked; `None` in a text protocol.
        value: A list with the value; empty while there is none.
        text: The JSON text of the answer; empty while there is none.
        error: Why the answer was refused; `None` if it was not.
    """

    def __init__(self, parts: AnswerParts) -> None:
        self.request: OutputRequest[Any] | None = None
        self._parts = parts
        self.restart()

    def restart(self) -> None:
        """Forget what was read: the model's stream starts again."""
        self._parser = AnswerParser(self._parts)
        self._answer_index = -1
        self._other_answers: set[int] = set()
        self.value: list[Any] = []
        self.text = ""
        self.error: OutputError | None = None
        self._has_calls = False
        self._has_result = False
        self._is_too_early = False

    def take(self, text: str) -> Any:
        """Read the next piece of the answer; return the partial object, or `UNSET` if none is due.

        A part that was refused sets `error`.
        """
        partial = self._parser.take(text)
        is_text = self._answer_index < 0
        if self._parser.error is not None and not (is_text and self._has_calls):
            self.error = self._parser.error  # text beside calls is no answer
            self._remember_form()
        return partial

    def without_answer(self, chunk: StreamChunk) -> tuple[StreamChunk | None, str]:
        """Split a chunk into the rest, `None` if there is none, and the text of the answer."""
        if not chunk.tool_calls:
            is_text = self.request is None or self.request.mode != "tool"
            return chunk, chunk.delta if is_text else ""
        others, text = [], ""
        for delta in chunk.tool_calls:
            if self.request is not None and self.request.is_answer(delta.name):
                if self._answer_index < 0:
                    self._answer_index = delta.index
                elif delta.index != self._answer_index:
                    self._other_answers.add(delta.index)
            if delta.index == self._answer_index:
                text += delta.arguments
            elif delta.index not in self._other_answers:
                others.append(delta)
        if len(others) == len(chunk.tool_calls):
            self._has_calls = True
            return chunk, ""
        rest = replace(chunk, tool_calls=tuple(others))
        return (rest if others or rest.has_content else None), text

    def read(
        self, response: Response, answer: str | None = None, *, has_waiting: bool = False
    ) -> None:
        """Read the answer of a whole response, if it has one: `value`, or `error`.

        Args:
            response: The response.
            answer: What a text protocol has found to be the answer.
            has_waiting: Whether other calls wait for approval: the answer comes after them.
        """
        self._remember_form()
        self._is_too_early = has_waiting
        if has_waiting:
            return
        try:
            text = answer_text(response, answer) if answer is not None else self._text_of(response)
            if text is not None:
                self.value = [self._parts.output.convert(text)]
                self.text = text
        except OutputError as error:
            self.error = error

    def checked_text(
        self, response: Response, reached: AgentError | None, answer: str | None = None
    ) -> str:
        """Read the answer of a last turn; return its JSON text.

        Args:
            response: The response.
            reached: The limit that led to the last turn.
            answer: What a text protocol has found to be the answer.

        Raises:
            OutputError: There is none, or it does not match the type.
        """
        self.read(response, answer)
        if self.error is not None:
            raise self.error
        if not self.value:
            raise OutputError(
                "The model called tools in the last turn, which asked for its answer without "
                f'them. The last turn was due to at_limit="answer": {reached}'
            ) from reached
        return self.text

    def is_answer(self, call: ToolCall) -> bool:
        """Return whether a call is the answer."""
        return self.request is not None and self.request.is_answer(call.name)

    def result_of(self, call: ToolCall) -> Message:
        """Return the result of a call that is the answer; of several calls, the first one is."""
        is_first, self._has_result = not self._has_result, True
        text = _ACCEPTED if self.error is None else str(self.error)
        if not is_first or self._is_too_early:
            text = NOT_RUN if not is_first else _TOO_EARLY
        failed = not is_first or self._is_too_early or self.error is not None
        return Message.tool(call.id, text, name=ANSWER_TOOL, is_error=failed)

    def _remember_form(self) -> None:
        """Let later requests begin with the form of this one: the host has accepted it."""
        if self.request is not None:
            self.request.remember()

    def _text_of(self, response: Response) -> str | None:
        return None if self.request is None else self.request.answer_text(response)
