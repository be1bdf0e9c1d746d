"""From bytes to chunks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import structs

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta, set_content
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.core.usage import Usage
from rxagents.parsing.sse import MAX_EVENT_BYTES, EventFramer, parse_fields
from rxagents.wire.chat_completions.events import (
    JSON_ERRORS,
    WIRE,
    Choice,
    Delta,
    Event,
    Function,
    NamedEvent,
    decode_burst,
    decode_event,
    split_content,
    to_usage,
)
from rxagents.wire.errors import in_stream_error
from rxagents.wire.surrogates import SurrogateJoiner
from rxagents.wire.tool_fragments import ToolFragments

_FINISH_REASONS = {"function_call": "tool_calls"}
_CUT = {"length", "content_filter"}
"""Finish reasons of answers whose last tool call may lack its end."""


class _Answer:
    """What one choice has said so far."""

    __slots__ = ("finished", "text", "tools")

    def __init__(self) -> None:
        self.text = TextBuffer()
        self.tools = ToolFragments()
        self.finished = False


class ChatCompletionsParser:
    """Parses one stream of chat-completion chunks; a `WireParser`.

    Args:
        provider: The provider's name, for errors.
        request_id: The provider's id for the request, for errors and metadata.
        max_event_bytes: An event longer than this is a `LimitExceededError`.
    """

    def __init__(
        self,
        provider: str = "openai",
        request_id: str | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self.error: ProviderError | None = None
        self.events = 0
        self.done = False
        self._provider = provider
        self._request_id = request_id
        self._framer = EventFramer(max_event_bytes)
        self._answers: dict[int, _Answer] = {}
        self._usage: Usage | None = None
        self._metadata: dict[str, Any] = {"request_id": request_id} if request_id else {}
        self._named = False
        self._surrogates: SurrogateJoiner | None = None
        self._error_field = b""
        self._index = 0
        self._chunks: list[StreamChunk] = []
        self._now = 0.0

    @property
    def complete(self) -> bool:
        """The answer is whole: `[DONE]` came, or every choice gave a finish reason.

        102 streams end without `[DONE]`.
        """
        answers = self._answers.values()
        return self.done or (bool(answers) and all(answer.finished for answer in answers))

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data` completes."""
        self._now = timestamp
        self._parse(self._framer.feed(data))
        if self._framer.error is not None and self.error is None:
            self.error = LimitExceededError(
                str(self._framer.error), provider=self._provider, request_id=self._request_id
            )
        return self._taken()

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return what the end of the stream completes: an event without its blank line."""
        self._now = timestamp
        self._parse(self._framer.flush())
        if self.error is None and not self.done:
            self._end()
            if self._error_field and not self.complete:
                self._fail(self._error_field)
        return self._taken()

    def _taken(self) -> list[StreamChunk]:
        chunks, self._chunks = self._chunks, []
        return chunks

    def _parse(self, events: bytes) -> None:
        if not events or self.done or self.error is not None:
            return
        burst = None
        if self._surrogates is None:
            burst = decode_burst(events, named=self._named)
        if burst is not None:
            self.events += len(burst)
            self._take_burst(burst)
            return
        for block in events.split(b"\n\n"):
            self._take_block(block)
            if self.done or self.error is not None:
                return

    def _take_burst(self, events: Sequence[Event]) -> None:
        """Take in events; the common one, which adds text and nothing else, in place."""
        append, answers, now = self._chunks.append, self._answers, self._now
        for event in events:
            choices = event.choices
            if (
                not choices
                or len(choices) != 1
                or event.usage is not None
                or event.error is not None
                or not self._named
            ):
                self._take_event(event)
                if self.error is not None:
                    return
                continue
            choice = choices[0]
            delta = choice.delta
            if (
                delta is None
                or type(text := delta.content) is not str
                or not text
                or choice.finish_reason is not None
                or delta.tool_calls is not None
                or delta.reasoning_content is not None
                or delta.reasoning is not None
                or delta.refusal is not None
                or delta.function_call is not None
                or delta.reasoning_details is not None
                or choice.logprobs is not None
                or (number := choice.index) is None
                or (answer := answers.get(number)) is None
            ):
                self._take_choice(choice, 0, None)
                continue
            index = self._index
            chunk = StreamChunk(
                text, index, number, "", "", "", (), self._usage, self._metadata, now
            )
            pieces = answer.text.pieces
            pieces.append(text)
            set_content(chunk, (answer.text, len(pieces)))
            self._index = index + 1
            append(chunk)

    def _take_block(self, block: bytes) -> None:
        """Take in one event of any kind."""
        fields = parse_fields(block)
        self._error_field = fields.error or self._error_field
        payload = b"\n".join(fields.data).strip()
        if not payload:
            return
        self.events += 1
        if payload == b"[DONE]":
            self.done = True
            self._end()
        elif fields.event == b"error":
            self._fail(payload)
        else:
            self._take_payload(payload)

    def _take_payload(self, payload: bytes) -> None:
        try:
            event, lenient = decode_event(payload)
        except ValueError as error:
            self.error = StreamDecodeError(
                f"{self._provider} sent an event that cannot be read ({error}): "
                f"{payload[:200]!r}. Check that base_url is that of a chat-completions API.",
                provider=self._provider,
                request_id=self._request_id,
            )
            return
        if lenient and self._surrogates is None:
            self._surrogates = SurrogateJoiner()
        self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if event.error:
            self.error = in_stream_error(event.error, self._provider, self._request_id)
            return
        if not self._named and isinstance(event, NamedEvent):
            self._learn_names(event)
        usage = None
        if event.usage:
            usage = self._usage = to_usage(event.usage)
        emitted = len(self._chunks)
        for position, choice in enumerate(event.choices or ()):
            self._take_choice(choice, position, usage)
        if usage is not None and len(self._chunks) == emitted:
            self._emit(StreamChunk())

    def _learn_names(self, event: NamedEvent) -> None:
        """Note the stream's id and model; Azure's first event (54) has empty ones."""
        told = {"id": event.id, "model": event.model}
        self._metadata = {**self._metadata, **{key: text for key, text in told.items() if text}}
        self._named = "id" in self._metadata and "model" in self._metadata

    def _take_choice(self, choice: Choice, position: int, usage: Usage | None) -> None:
        number = position if choice.index is None else choice.index
        answer = self._answers.setdefault(number, _Answer())
        delta = choice.delta or _NOTHING
        text, thinking = split_content(delta.content)
        finish = choice.finish_reason or ""
        chunk = StreamChunk(
            delta=self._whole(number, "delta", text),
            choice=number,
            finish_reason=_FINISH_REASONS.get(finish, finish),
            reasoning=self._reasoning(number, delta, thinking),
            refusal=self._whole(number, "refusal", delta.refusal or ""),
            tool_calls=self._tool_calls(number, answer, delta, finish),
        )
        metadata: dict[str, Any] = {}
        if delta.reasoning_details:
            metadata["provider_data"] = {WIRE: {"reasoning_details": delta.reasoning_details}}
        if choice.logprobs:
            metadata["logprobs"] = choice.logprobs
        if finish:
            answer.finished = True
            self._metadata = {**self._metadata, "finish_reason": finish}
        if usage is not None or metadata or chunk != StreamChunk(choice=number):
            self._emit(chunk, metadata)

    def _emit(self, chunk: StreamChunk, metadata: dict[str, Any] | None = None) -> None:
        """Give `chunk` its place in the stream and hand it out."""
        answer = self._answers.setdefault(chunk.choice, _Answer())
        placed = StreamChunk(
            chunk.delta,
            self._index,
            chunk.choice,
            chunk.finish_reason,
            chunk.reasoning,
            chunk.refusal,
            chunk.tool_calls,
            self._usage,
            {**self._metadata, **metadata} if metadata else self._metadata,
            self._now,
        )
        answer.text.pieces.append(chunk.delta)
        set_content(placed, (answer.text, len(answer.text.pieces)))
        self._index += 1
        self._chunks.append(placed)

    def _reasoning(self, number: int, delta: Delta, thinking: str) -> str:
        text = delta.reasoning_content or delta.reasoning
        if text:
            field = "reasoning_content" if delta.reasoning_content else "reasoning"
            noted = {WIRE: {"reasoning_field": field}}
            if self._metadata.get("provider_data") != noted:
                self._metadata = {**self._metadata, "provider_data": noted}
        return self._whole(number, "reasoning", text or thinking)

    def _tool_calls(
        self, number: int, answer: _Answer, delta: Delta, finish: str
    ) -> tuple[ToolCallDelta, ...]:
        deltas: list[ToolCallDelta] = []
        for call in delta.tool_calls or ():
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
        return text if self._surrogates is None else self._surrogates.join((number, channel), text)

    def _end(self) -> None:
        """Hand out what was held back; seal the calls of answers that `[DONE]` finished."""
        for (number, channel), text in self._surrogates.flush() if self._surrogates else ():
            if channel in StreamChunk.__struct_fields__:
                self._emit(structs.replace(StreamChunk(choice=number), **{channel: text}))
        if not self.done:
            return
        for number, answer in self._answers.items():
            sealed = () if answer.finished else tuple(answer.tools.seal())
            if sealed:
                self._emit(StreamChunk(choice=number, tool_calls=sealed))

    def _fail(self, payload: bytes) -> None:
        try:
            error: object = msgspec.json.decode(payload)
        except JSON_ERRORS:
            error = payload.decode("utf-8", "replace")
        self.error = in_stream_error(error, self._provider, self._request_id)


_NOTHING = Delta()
_NO_FUNCTION = Function()
