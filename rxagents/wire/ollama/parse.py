"""Parses a stream of lines into chunks."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.ndjson import LineFramer
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.framed_parser import FramedParser
from rxagents.wire.ollama.events import (
    Function,
    Line,
    ToolCallObject,
    decoder,
    fields_decoder,
    to_usage,
)
from rxagents.wire.parser import StreamInfo


class OllamaParser(FramedParser[list[bytes]]):
    """Parses one stream of `/api/chat` or `/api/generate`.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_calls", "_chunks")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata())
        super().__init__(info, LineFramer(info.limits.event_bytes), self._chunks)
        self._calls = 0

    @property
    def complete(self) -> bool:
        """Whether a line with `done: true` came."""
        return self.done

    def _on_end(self) -> None:
        """Do nothing: no text is held back."""

    def _parse(self, frames: list[bytes]) -> None:
        for payload in frames:
            if self.done or self.error is not None:
                return
            line = self._decode(decoder, payload)
            if line is None:
                return
            if _is_event(line):
                self.events += 1
                self._on_line(line, payload)
            else:
                problem = "it has none of message, response, done and error"
                self._set_decode_error(payload, ValueError(problem))

    def _on_line(self, line: Line, payload: bytes) -> None:
        if line.error:
            error = {"message": line.error} if isinstance(line.error, str) else line.error
            self._set_provider_error(error)
            return
        if line.model and "model" not in self._chunks.metadata:
            self._chunks.add_metadata(model=line.model)
        message = line.message
        text = (message.content if message else line.response) or ""
        thinking = (message.thinking if message else line.thinking) or ""
        calls = message.tool_calls if message else None
        deltas = tuple(map(self._call, filter(None, calls))) if calls else ()
        if line.done:
            self._on_last_line(line, payload, text, thinking, deltas)
        elif text or thinking or deltas:
            self._chunks.emit(text, reasoning=thinking, tool_calls=deltas)

    def _on_last_line(
        self,
        line: Line,
        payload: bytes,
        text: str,
        thinking: str,
        deltas: tuple[ToolCallDelta, ...],
    ) -> None:
        if line.prompt_eval_count is not None or line.eval_count is not None:
            fields = self._decode(fields_decoder, payload)
            if fields is None:
                return
            self._chunks.usage = to_usage(line, fields)
        self.done = True
        reason = line.done_reason or "stop"
        called = self._calls and reason == "stop"
        self._chunks.emit(
            text,
            finish_reason="tool_calls" if called else reason,
            reasoning=thinking,
            tool_calls=deltas,
            metadata={"finish_reason": reason},
        )

    def _call(self, call: ToolCallObject) -> ToolCallDelta:
        """Return a call, which the wire sends in one piece; older versions send no id."""
        index = self._calls
        self._calls += 1
        call_id = call.id or new_call_id()
        function = call.function or _NO_FUNCTION
        arguments = _text(function.arguments)
        return ToolCallDelta(index, call_id, function.name or "", arguments, sealed=True)


def _is_event(line: Line) -> bool:
    """Return whether this is a line of the stream, and not some other JSON."""
    has_field = line.message is not None or line.response is not None or line.done is not None
    return has_field or bool(line.error)


def _text(arguments: dict[str, Any] | str | None) -> str:
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments or {}).decode()


_NO_FUNCTION = Function()
