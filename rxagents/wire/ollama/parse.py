"""Parses a stream of lines into chunks."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.finish_reasons import WHOLE
from rxagents.core.json_text import JSON_ERRORS, encode_json
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.ndjson import JSON_SPACE, LineFramer
from rxagents.wire.bursts import may_be_deeper
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.errors import decode_body, is_error_body
from rxagents.wire.framed_parser import FramedParser
from rxagents.wire.ollama.events import (
    Function,
    Line,
    ToolCallObject,
    decoder,
    plain_decoder,
    to_usage,
)
from rxagents.wire.parser import StreamInfo

_MANY = 10
"""Reads of at least so many lines are cut."""


class OllamaParser(FramedParser[list[bytes]]):
    """Parses one stream of `/api/chat` or `/api/generate`.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_calls", "_chunks", "_unsealed")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata(), info.think_tags)
        super().__init__(info, LineFramer(info.limits.event_bytes), self._chunks)
        self._calls = 0
        self._unsealed: list[int] = []

    @property
    def complete(self) -> bool:
        """Whether a line with `done: true` came."""
        return self.done

    def _on_end(self) -> None:
        """Do nothing: no text is held back."""

    def _parse_each(self, frames: list[bytes]) -> None:
        for frame in frames:
            if self.done or self.error is not None:
                return
            payload = frame.strip(JSON_SPACE)
            if not payload:
                continue
            line = self._decode(decoder, payload)
            if line is None:
                return
            if _is_event(line):
                self.events += 1
                self._on_line(line, payload)
            elif payload == b"null":
                continue
            elif is_error_body(body := decode_body(payload)):
                self._set_provider_error(body)
            else:
                problem = "it has none of message, response, done and error"
                self._set_decode_error(payload, ValueError(problem))

    def _parse_plain(self, frames: list[bytes]) -> bool:
        if len(frames) == 1:  # the calls of this path cost more than they save
            return False
        if may_be_deeper(frames, self._info.limits.json_depth):
            return False
        try:
            # A call for each line, not `decode_lines`: a value may not reach over a line's end.
            plain = list(map(plain_decoder.decode, frames))
        except JSON_ERRORS:
            return False
        texts = [line.message.content for line in plain if not line.done]
        if len(texts) != len(plain):
            return False
        self.events += len(texts)
        self._chunks.emit_texts(texts)
        return True

    def _cut(
        self, frames: list[bytes], *, in_middle: bool
    ) -> tuple[list[bytes], list[bytes]] | None:
        at = len(frames) // 2 if in_middle else 2
        return (frames[:at], frames[at:]) if len(frames) >= _MANY else None

    def _single_frames(self, frames: list[bytes]) -> Iterator[tuple[list[bytes], bytes]]:
        for line in frames:
            yield [line], line.strip(JSON_SPACE)

    def _on_line(self, line: Line, payload: bytes) -> None:
        self._is_plain = False
        if line.error:
            self._set_provider_error(payload)  # newer versions send a status beside the text
            return
        if line.model and "model" not in self._chunks.metadata:
            self._chunks.add_metadata(model=line.model)
        message = line.message
        text = (message.content if message else line.response) or ""
        thinking = (message.thinking if message else line.thinking) or ""
        calls = message.tool_calls if message else None
        deltas = self._calls_in(line, calls) if calls or line.done else ()
        if line.done:
            self._on_last_line(line, payload, text, thinking, deltas)
        elif text or thinking or deltas:
            self._chunks.emit(text, reasoning=thinking, tool_calls=deltas)
            # Later lines repeat the model, and it is not read of them.
            has_text_only = message is not None and not (thinking or deltas)
            self._is_plain = has_text_only and "model" in self._chunks.metadata

    def _on_last_line(
        self,
        line: Line,
        payload: bytes,
        text: str,
        thinking: str,
        deltas: tuple[ToolCallDelta, ...],
    ) -> None:
        if line.prompt_eval_count is not None or line.eval_count is not None:
            self._chunks.usage = to_usage(line, payload)
        reason = line.done_reason or "stop"
        called = self._calls and reason in WHOLE
        self._chunks.emit(
            text,
            finish_reason="tool_calls" if called else reason,
            reasoning=thinking,
            tool_calls=deltas,
            metadata={"finish_reason": reason},
        )
        self._set_done()

    def _calls_in(
        self, line: Line, calls: list[ToolCallObject | None] | None
    ) -> tuple[ToolCallDelta, ...]:
        cut = bool(line.done) and (line.done_reason or "stop") not in WHOLE
        deltas = [self._call(call, cut=cut) for call in calls or () if call is not None]
        if line.done and not cut:
            deltas += [ToolCallDelta(number, sealed=True) for number in self._unsealed]
        return tuple(deltas)

    def _call(self, call: ToolCallObject, *, cut: bool) -> ToolCallDelta:
        """Return a call, which the wire sends in one piece; older versions send no id.

        A call without arguments is sealed by the last line: a cut response may lack them.
        """
        index = self._calls
        self._calls += 1
        call_id = call.id or new_call_id()
        function = call.function or _NO_FUNCTION
        arguments = _text(function.arguments)
        if not function.arguments:
            self._unsealed.append(index)
        sealed = bool(function.arguments) and not cut
        return ToolCallDelta(index, call_id, function.name or "", arguments, sealed=sealed)


def _is_event(line: Line) -> bool:
    """Return whether this is a line of the stream, and not some other JSON."""
    has_field = line.message is not None or line.response is not None or line.done is not None
    return has_field or bool(line.error)


def _text(arguments: dict[str, Any] | str | None) -> str:
    if isinstance(arguments, str):
        return arguments
    return encode_json(arguments or {})


_NO_FUNCTION = Function()
