"""From bytes to chunks."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.errors import LimitExceededError
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


class OllamaParser(FramedParser):
    """Parses one stream of `/api/chat` or `/api/generate`.

    Args:
        info: What is known of the answer already.
    """

    __slots__ = ("_calls", "_chunks", "_framer")

    def __init__(self, info: StreamInfo) -> None:
        self._chunks = ChunkBuilder(info.first_metadata())
        super().__init__(info, self._chunks)
        self._framer = LineFramer(info.limits.event_bytes)
        self._calls = 0

    @property
    def complete(self) -> bool:
        """The answer is whole: a line said `done`."""
        return self.done

    def _take_data(self, data: bytes) -> LimitExceededError | None:
        self._parse(self._framer.feed(data))
        return self._framer.error

    def _take_rest(self) -> None:
        self._parse(self._framer.flush())

    def _end(self) -> None:
        """Nothing is held back."""

    def _parse(self, lines: list[bytes]) -> None:
        for payload in lines:
            if self.done or self.error is not None:
                return
            line = self._decode(decoder, payload)
            if line is None:
                return
            if _is_event(line):
                self.events += 1
                self._take(line, payload)
            else:
                self._fail_to_decode(payload, ValueError("it is no part of an answer"))

    def _take(self, line: Line, payload: bytes) -> None:
        if line.error:
            self._fail({"message": line.error} if isinstance(line.error, str) else line.error)
            return
        if line.model and "model" not in self._chunks.metadata:
            self._chunks.learn(model=line.model)
        message = line.message
        text = (message.content if message else line.response) or ""
        thinking = (message.thinking if message else line.thinking) or ""
        calls = message.tool_calls if message else None
        deltas = tuple(map(self._call, filter(None, calls))) if calls else ()
        if line.done:
            self._finish(line, payload, text, thinking, deltas)
        elif text or thinking or deltas:
            self._chunks.emit(text, reasoning=thinking, tool_calls=deltas)

    def _finish(
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
        """Return a call, which is always whole; older versions send no id: it gets one."""
        index = self._calls
        self._calls += 1
        call_id = call.id or new_call_id()
        function = call.function or _NO_FUNCTION
        arguments = _text(function.arguments)
        return ToolCallDelta(index, call_id, function.name or "", arguments, sealed=True)


def _is_event(line: Line) -> bool:
    """Whether this is a line of the stream, and not of something else that is JSON."""
    told = line.message is not None or line.response is not None or line.done is not None
    return told or bool(line.error)


def _text(arguments: dict[str, Any] | str | None) -> str:
    if isinstance(arguments, str):
        return arguments
    return msgspec.json.encode(arguments or {}).decode()


_NO_FUNCTION = Function()
