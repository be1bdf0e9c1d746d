"""The base of the parsers whose wire is a stream of server-sent events."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

from rxagents.parsing.sse import EventFields, EventFramer, parse_fields
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.errors import decode_body, is_error_body
from rxagents.wire.framed_parser import FramedParser
from rxagents.wire.parser import StreamInfo

_MANY = 2048
"""Reads of at least so many bytes are cut; these are some ten events."""


class SSEParser(FramedParser[bytes]):
    """Parses what these wires have in common, and passes every other event to the wire.

    In common are `[DONE]`, which ends the stream at once, events of the type `error`, and errors
    sent as plain JSON between the events.

    Args:
        info: Describes the response.
        builder: Builds the wire's chunks.
    """

    __slots__ = ()

    def __init__(self, info: StreamInfo, builder: ChunkBuilder) -> None:
        super().__init__(info, EventFramer(info.limits.event_bytes), builder)

    @abstractmethod
    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        """Parse one event.

        Args:
            fields: The event. Events without data are skipped, unless they have an `error` field.
            payload: Its data, without white space around it.
        """

    def _parse_each(self, frames: bytes) -> None:
        for block in frames.split(b"\n\n"):
            if not block:
                continue
            if self.done or self.error is not None:
                return
            fields = parse_fields(block)
            payload = b"\n".join(fields.data).strip()
            self.events += bool(payload)
            if payload == b"[DONE]":
                self._set_done()
            elif payload and fields.event == b"error":
                self._set_provider_error(payload)
            elif payload or fields.error:
                self._on_event(fields, payload)
            elif self.events and block.lstrip().startswith((b"{", b"[")):
                self._on_unknown(block)  # JSON outside of `data`: Gemini and proxies

    def _cut(self, frames: bytes, *, in_middle: bool) -> tuple[bytes, bytes] | None:
        if len(frames) < _MANY:
            return None
        if in_middle:
            end = frames.find(b"\n\n", len(frames) // 2)
        else:
            end = frames.find(b"\n\n", frames.find(b"\n\n", 0, _MANY) + 2, _MANY)
        # `flush` has a last event without its blank line.
        return (frames[: end + 2], frames[end + 2 :]) if 0 < end < len(frames) - 2 else None

    def _single_frames(self, frames: bytes) -> Iterator[tuple[bytes, bytes]]:
        for block in frames.split(b"\n\n"):
            yield block, b"\n".join(parse_fields(block).data)

    def _on_unknown(self, payload: bytes) -> None:
        """Parse JSON that is no event of the wire: some hosts send errors like this."""
        body = decode_body(payload)
        if is_error_body(body):
            self._set_provider_error(body)
