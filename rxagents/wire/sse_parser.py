"""What the parsers of the wires that are event streams share."""

from __future__ import annotations

from abc import abstractmethod

from rxagents.core.errors import LimitExceededError
from rxagents.parsing.sse import EventFields, EventFramer, parse_fields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.errors import decode_body, is_error_body
from rxagents.wire.framed_parser import FramedParser
from rxagents.wire.parser import StreamInfo


class SSEParser(FramedParser):
    """Cuts an event stream into events and hands each to the wire.

    What all these wires may have is taken in here: `[DONE]`, which ends a stream at once, events
    named `error`, and an error written as plain JSON between the events.

    Args:
        info: What is known of the answer already.
        builder: Makes the wire's chunks.
    """

    __slots__ = ("_framer",)

    def __init__(self, info: StreamInfo, builder: ChunkBuilder) -> None:
        super().__init__(info, builder)
        self._framer = EventFramer(info.limits.event_bytes)

    @abstractmethod
    def _take(self, fields: EventFields, payload: bytes) -> None:
        """Take in one event; `payload` is its data without space around it.

        An event without data is left out, unless it has a field `error`.
        """

    def _take_data(self, data: bytes) -> LimitExceededError | None:
        self._parse(self._framer.feed(data))
        return self._framer.error

    def _take_rest(self) -> None:
        self._parse(self._framer.flush())

    def _parse(self, events: bytes) -> None:
        for block in events.split(b"\n\n"):
            if not block:
                continue
            if self.done or self.error is not None:
                return
            fields = parse_fields(block)
            payload = b"\n".join(fields.data).strip()
            self.events += bool(payload)
            if payload == b"[DONE]":
                self.done = True
                self._end()
            elif payload and fields.event == b"error":
                self._fail(payload)
            elif payload or fields.error:
                self._take(fields, payload)
            elif self.events and block.lstrip().startswith((b"{", b"[")):
                self._take_bare(block)

    def _take_bare(self, block: bytes) -> None:
        """Take in JSON that is no data: Gemini's errors may come so, and proxies' do."""
        body = decode_body(block)
        if is_error_body(body):
            self._fail(body)
