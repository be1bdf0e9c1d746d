"""From decoded events to chunks."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta, set_content
from rxagents.core.usage import Usage
from rxagents.wire.chat_completions.events import (
    WIRE,
    Choice,
    Delta,
    Event,
    Function,
    PlainEvent,
    split_content,
    to_usage,
)
from rxagents.wire.chat_completions.surrogates import SurrogateJoiner
from rxagents.wire.chat_completions.tool_fragments import ToolFragments
from rxagents.wire.chunk_builder import ChunkBuilder

_FINISH_REASONS = {"function_call": "tool_calls"}
_CUT = {"length", "content_filter"}
"""Finish reasons of answers whose last tool call may lack its end."""


class _ChoiceState:
    """What one choice has said so far."""

    __slots__ = ("finished", "tools")

    def __init__(self) -> None:
        self.tools = ToolFragments()
        self.finished = False


class ChunkAssembler(ChunkBuilder):
    """Keeps what the stream has told so far, and makes the chunks.

    Args:
        metadata: What is known before the first event.

    Attributes:
        unknown: What of id and model is not known yet; all events repeat them.
        surrogates: Set once the stream has cut characters in two.
    """

    __slots__ = ("_answers", "_buffer", "_number", "_reasoning_field", "surrogates", "unknown")

    def __init__(self, metadata: dict[str, Any]) -> None:
        super().__init__(metadata)
        self.unknown = _NAMES
        self.surrogates: SurrogateJoiner | None = None
        self._reasoning_field = ""
        self._number: int | None = None
        self._buffer = TextBuffer()
        self._answers: dict[int, _ChoiceState] = {}

    @property
    def finished(self) -> bool:
        """Whether every choice gave its finish reason."""
        answers = self._answers.values()
        return bool(answers) and all(answer.finished for answer in answers)

    def take_plain(self, events: list[PlainEvent]) -> None:
        """Take in events of text and nothing else: the path that nearly every chunk takes."""
        append, now = self.chunks.append, self.now
        usage, metadata, index = self.usage, self.metadata, self.index
        number, buffer = self._number, self._buffer
        pieces, end = buffer.pieces, buffer.end
        for event in events:
            choice = event.choices[0]
            if choice.index != number:
                buffer.settle(end)
                number = choice.index
                self._answer(number)
                buffer = self.text(number)
                pieces, end = buffer.pieces, buffer.end
                self._number, self._buffer = number, buffer
            text = choice.delta.content
            if not text:
                continue
            chunk = StreamChunk(text, index, number, "", "", "", (), usage, metadata, now)
            pieces.append(text)
            end += len(text)
            set_content(chunk, (buffer, end))
            index += 1
            append(chunk)
        self.index = index
        buffer.settle(end)

    def take(self, event: Event) -> None:
        """Take in an event of any kind."""
        if self.unknown:
            self._learn_names(event)
        usage = None
        if event.usage:
            usage = self.usage = to_usage(event.usage)
        emitted = len(self.chunks)
        for position, choice in enumerate(event.choices or ()):
            if choice is not None:
                self._take_choice(choice, position, usage)
        if usage is not None and len(self.chunks) == emitted:
            self.emit()

    def end(self, *, done: bool) -> None:
        """Hand out what was held back; seal the calls of answers that only `[DONE]` finished."""
        for (number, channel), half in self.surrogates.flush() if self.surrogates else ():
            match channel:
                case "text":
                    self.emit(half, choice=number)
                case "reasoning":
                    self.emit(choice=number, reasoning=half)
                case "refusal":
                    self.emit(choice=number, refusal=half)
        for number, answer in self._answers.items() if done else ():
            sealed = () if answer.finished else tuple(answer.tools.seal())
            if sealed:
                self.emit(choice=number, tool_calls=sealed)

    def _learn_names(self, event: Event) -> None:
        """Note the stream's id and model; Azure's first event (54) has empty ones."""
        self.learn(**{name: getattr(event, name) for name in self.unknown})
        self.unknown = _NAMES.difference(self.metadata)

    def _take_choice(self, choice: Choice, position: int, usage: Usage | None) -> None:
        number = position if choice.index is None else choice.index
        answer = self._answer(number)
        delta = choice.delta or _NOTHING
        finish = choice.finish_reason or ""
        text, thinking = split_content(delta.content) if delta.content else _NO_CONTENT
        if delta.reasoning_content:
            self._learn_reasoning_field("reasoning_content")
        elif delta.reasoning:
            self._learn_reasoning_field("reasoning")
        reasoning = delta.reasoning_content or delta.reasoning or thinking
        refusal = delta.refusal or ""
        if self.surrogates is not None:
            text = self._whole(number, "text", text)
            reasoning = self._whole(number, "reasoning", reasoning)
            refusal = self._whole(number, "refusal", refusal)
        tool_calls: tuple[ToolCallDelta, ...] = ()
        if delta.tool_calls or delta.function_call is not None or finish:
            tool_calls = self._tool_calls(number, answer, delta, finish)
        metadata = None
        if finish or delta.reasoning_details or choice.logprobs:
            metadata = self._metadata(choice, delta, finish)
        if finish:
            answer.finished = True
        if text or reasoning or refusal or tool_calls or metadata or usage is not None:
            self.emit(
                text,
                choice=number,
                finish_reason=_FINISH_REASONS.get(finish, finish),
                reasoning=reasoning,
                refusal=refusal,
                tool_calls=tool_calls,
                metadata=metadata,
            )

    def _metadata(self, choice: Choice, delta: Delta, finish: str) -> dict[str, Any]:
        """Return what only this chunk tells."""
        metadata: dict[str, Any] = {}
        if delta.reasoning_details:
            metadata["provider_data"] = {WIRE: {"reasoning_details": delta.reasoning_details}}
        if choice.logprobs:
            metadata["logprobs"] = choice.logprobs
        if finish:
            metadata["finish_reason"] = finish
        return metadata

    def _answer(self, number: int) -> _ChoiceState:
        answer = self._answers.get(number)
        if answer is None:
            answer = self._answers[number] = _ChoiceState()
        return answer

    def _learn_reasoning_field(self, field: str) -> None:
        """Note in which field the thinking comes: the next turn has to send it back there."""
        if field != self._reasoning_field:
            self._reasoning_field = field
            self.learn(provider_data={WIRE: {"reasoning_field": field}})

    def _tool_calls(
        self, number: int, answer: _ChoiceState, delta: Delta, finish: str
    ) -> tuple[ToolCallDelta, ...]:
        deltas: list[ToolCallDelta] = []
        for call in filter(None, delta.tool_calls or ()):
            function = call.function or _NO_FUNCTION
            arguments = function.arguments
            if isinstance(arguments, str):
                arguments = self._whole(number, f"arguments of call {call.index}", arguments)
            deltas += answer.tools.add(call.index, call.id or "", function.name or "", arguments)
        if delta.function_call is not None:
            function = delta.function_call
            deltas += answer.tools.add(0, "", function.name or "", function.arguments)
        if finish and finish not in _CUT:
            deltas += answer.tools.seal()
        return tuple(deltas)

    def _whole(self, number: int, channel: str, text: str) -> str:
        return text if self.surrogates is None else self.surrogates.join((number, channel), text)


_NAMES = frozenset({"id", "model"})
_NO_CONTENT = ("", "")
_NOTHING = Delta()
_NO_FUNCTION = Function()
