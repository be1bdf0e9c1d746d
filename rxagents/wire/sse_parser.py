"""What the parsers of the wires that are event streams share."""

from __future__ import annotations

from abc import abstractmethod

from rxagents.core.errors import LimitExceededError
from rxagents.parsing.sse import EventFields, EventFramer, parse_fields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.framed_parser import FramedParser
from rxagents.wire.parser import AnswerInfo


class SSEParser(FramedParser):
    """Cuts an event stream into events and hands each to the wire.

    Args:
        info: What is known of the answer already.
        builder: Makes the wire's chunks.
    """

    __slots__ = ("_framer",)

    def __init__(self, info: AnswerInfo, builder: ChunkBuilder) -> None:
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
            if payload or fields.error:
                self._take(fields, payload)
