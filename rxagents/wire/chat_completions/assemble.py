"""Assembles chunks from decoded events."""

from __future__ import annotations

from typing import Any

from msgspec.structs import force_setattr

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta
from rxagents.core.finish_reasons import WHOLE
from rxagents.core.json_text import encode_json
from rxagents.core.usage import Usage
from rxagents.wire.chat_completions.choice_state import ChoiceState
from rxagents.wire.chat_completions.events import (
    WIRE,
    Choice,
    Delta,
    Event,
    Function,
    split_content,
    thinking_in,
    to_usage,
)
from rxagents.wire.chat_completions.plain import PlainEvent
from rxagents.wire.chat_completions.tool_fragments import ToolFragments
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.think_tags import ThinkTags

_FINISH_REASONS = {"function_call": "tool_calls"}


class ChunkAssembler(ChunkBuilder):
    """Keeps the state of a stream's choices and builds its chunks.

    Args:
        metadata: The metadata of the first chunk.
        think_tags: The tags around thinking at the beginning of the text; `None` for none.

    Attributes:
        unknown: Those of `id`, `model` and `service_tier` that no event has had yet; later events
            repeat them.
    """

    __slots__ = (
        "_buffer",
        "_choices",
        "_extra",
        "_number",
        "_reasoning_field",
        "_seen",
        "_with_message",
        "unknown",
    )

    def __init__(self, metadata: dict[str, Any], think_tags: ThinkTags | None = None) -> None:
        super().__init__(metadata, think_tags)
        self.unknown = _ALL_NAMES
        self._seen: dict[str, set[str]] = {}
        self._extra: dict[str, Any] | None = None
        self._with_message: tuple[int, ...] = ()
        self._reasoning_field = ""
        self._number: int | None = None
        self._buffer = TextBuffer()
        self._choices: dict[int, ChoiceState] = {}

    @property
    def started(self) -> bool:
        """Whether a choice came."""
        return bool(self._choices)

    @property
    def finished(self) -> bool:
        """Whether every choice has a finish reason."""
        choices = self._choices.values()
        return bool(choices) and all(choice.finished for choice in choices)

    def add_plain(self, events: list[PlainEvent]) -> None:
        """Add events with text and nothing else: the path of nearly every chunk.

        `emit` does the same for one chunk. This loop saves its call and its keyword arguments, and
        reads the attributes and sets the buffer's length once for all events.
        """
        if self.makes_bursts and self._add_burst(events):
            return
        append, now = self.chunks.append, self.now
        usage, metadata, index = self.usage, self.metadata, self.index
        number, buffer = self._number, self._buffer
        pieces, end = buffer.pieces, buffer.end
        for event in events:
            choice = event.choices[0]
            if choice.index != number:
                buffer.set_end(end)
                number = choice.index
                self._choice(number)
                buffer = self.text(number)
                pieces, end = buffer.pieces, buffer.end
                if self.splitter is not None and not end:  # the text may begin with thinking
                    self._number = number = None
                    self.index = index
                    if choice.delta.content:
                        self.emit(choice.delta.content, choice=choice.index)
                    index, end = self.index, buffer.end
                    continue
                self._number, self._buffer = number, buffer
            text = choice.delta.content
            if not text:
                continue
            chunk = StreamChunk(text, index, number, "", "", "", (), usage, metadata, now)
            pieces.append(text)
            end += len(text)
            force_setattr(chunk, "_text", (buffer, end))  # `set_content` takes 10 ns more
            index += 1
            append(chunk)
        self.index = index
        buffer.set_end(end)

    def _add_burst(self, events: list[PlainEvent]) -> bool:
        """Add several events as one chunk, if all are of the same choice as the last chunk.

        Returns:
            Whether they were added.
        """
        number = self._number
        if number is None or len(events) == 1:
            return False
        texts: list[str] = []
        append = texts.append
        for event in events:
            choice = event.choices[0]
            if choice.index != number:
                return False
            append(choice.delta.content)
        self.emit_burst(texts, number)
        return True

    def add(self, event: Event) -> None:
        """Add an event of any kind."""
        if self.unknown:
            self._add_names(event)
        usage = None
        if event.usage:
            usage = self.usage = to_usage(event.usage)
        emitted = len(self.chunks)
        self._extra = self._event_metadata(event)
        for position, choice in enumerate(event.choices or ()):
            if choice is not None:
                self._add_choice(choice, position, usage)
        if (usage is not None or self._extra) and len(self.chunks) == emitted:
            self.emit(metadata=self._extra)

    def _event_metadata(self, event: Event) -> dict[str, Any] | None:
        """Return the metadata that stands beside the choices.

        Hosts repeat the sources in every event, so only those are returned that are new.
        """
        if not (event.citations or event.search_results or event.timings):
            return None
        metadata: dict[str, Any] = {"timings": event.timings} if event.timings else {}
        for name in ("citations", "search_results"):
            seen = self._seen.setdefault(name, set())
            keys = {encode_json(item): item for item in getattr(event, name) or ()}
            new = [item for key, item in keys.items() if key not in seen]
            seen.update(keys)
            if new:
                metadata[name] = new
        return metadata or None

    def end(self, *, done: bool) -> None:
        """Seal the calls of choices that only `[DONE]` has finished, if they are whole."""
        for number, state in self._choices.items() if done else ():
            if state.tools is None or state.finished:
                continue
            if sealed := tuple(state.tools.seal_complete()):
                self.emit(choice=number, tool_calls=sealed)

    def _add_names(self, event: Event) -> None:
        """Add the names to the metadata; in Azure's first event (54) id and model are empty."""
        # In the order of `_NAMES`: that of a set differs from process to process.
        new = {name: getattr(event, name) for name in _NAMES if name in self.unknown}
        self.add_metadata(**new)
        # The one empty set: an empty result of `difference` would take 200 bytes a stream.
        self.unknown = _ALL_NAMES.difference(self.metadata) or frozenset()

    def _add_choice(self, choice: Choice, position: int, usage: Usage | None) -> None:
        number = position if choice.index is None else choice.index
        state = self._choice(number)
        delta = choice.delta or _EMPTY_DELTA
        if choice.message is not None:
            delta = self._from_message(number, delta, choice.message)
        finish = choice.finish_reason or ""
        if choice.usage:
            usage = self.usage = to_usage(choice.usage)
        text, thinking = split_content(delta.content) if delta.content else _NO_CONTENT
        reasoning, field = thinking_in(delta)
        if field:
            self._add_reasoning_field(field)
        reasoning = reasoning or thinking
        refusal = delta.refusal or ""
        tool_calls: tuple[ToolCallDelta, ...] = ()
        if delta.tool_calls or delta.function_call is not None or finish:
            tool_calls = self._tool_calls(state, delta, finish)
        metadata = self._metadata(choice, state, delta, finish)
        if finish:
            state.finished = True
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

    def _from_message(self, number: int, delta: Delta, message: Delta) -> Delta:
        """Return `delta`, or what `message` has beyond the text so far if `delta` is empty.

        Some hosts send the text so far beside the deltas, others only in `message`.
        """
        if delta.content or thinking_in(delta)[0] or delta.tool_calls or delta.function_call:
            return delta
        length = self.received_length(number)
        if not length and number not in self._with_message:
            self._with_message += (number,)
            return message
        text, _ = split_content(message.content)
        if len(text) >= length and text.startswith(self.received_text(number)):
            return Delta(content=text[length:])
        return Delta(content=text) if number in self._with_message else delta

    def _metadata(
        self, choice: Choice, state: ChoiceState, delta: Delta, finish: str
    ) -> dict[str, Any] | None:
        """Return the metadata of this chunk only."""
        stored: dict[str, Any] = {}
        if delta.reasoning_details:
            stored["reasoning_details"] = delta.reasoning_details
        if state.signed:
            stored["extra_content"], state.signed = list(state.signed), ()
        fields = {
            "provider_data": {WIRE: stored} if stored else None,
            "logprobs": choice.logprobs,
            "images": delta.images,
            "annotations": delta.annotations,
            "audio": [delta.audio] if delta.audio else None,
            "finish_reason": finish,
        }
        metadata = {name: value for name, value in fields.items() if value}
        if self._extra:
            metadata, self._extra = {**self._extra, **metadata}, None
        return metadata or None

    def _choice(self, number: int) -> ChoiceState:
        state = self._choices.get(number)
        if state is None:
            state = self._choices[number] = ChoiceState()
        return state

    def _add_reasoning_field(self, field: str) -> None:
        """Store in which field thinking comes: the next request sends it back in the same field."""
        if field != self._reasoning_field:
            self._reasoning_field = field
            self.add_metadata(provider_data={WIRE: {"reasoning_field": field}})

    def _tool_calls(
        self, state: ChoiceState, delta: Delta, finish: str
    ) -> tuple[ToolCallDelta, ...]:
        deltas: list[ToolCallDelta] = []
        if delta.tool_calls or delta.function_call is not None:
            tools = state.tools = state.tools or ToolFragments()
        elif state.tools is None:
            return ()
        else:
            tools = state.tools
        for call in filter(None, delta.tool_calls or ()):
            function = call.function or _NO_FUNCTION
            name = function.name or ""
            deltas += tools.add(call.index, call.id or "", name, function.arguments)
            state.call = deltas[-1].index if deltas else state.call
            if call.extra_content:
                signed = {"call": state.call, "extra_content": call.extra_content}
                state.signed += (signed,)
        if delta.function_call is not None:
            function = delta.function_call
            deltas += tools.add(0, "", function.name or "", function.arguments)
        if _FINISH_REASONS.get(finish, finish) in WHOLE:
            deltas += tools.seal()
        return tuple(deltas)


_NAMES = ("id", "model", "service_tier")
_ALL_NAMES = frozenset(_NAMES)
_NO_CONTENT = ("", "")
_EMPTY_DELTA = Delta()
_NO_FUNCTION = Function()
