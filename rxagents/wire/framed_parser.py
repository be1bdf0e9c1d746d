"""What the parsers of all wires share: chunks made, errors held, limits kept."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, TypeVar

import msgspec

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.errors import decode_body, in_stream_error
from rxagents.wire.parser import StreamInfo

T = TypeVar("T")


class FramedParser(ABC):
    """Cuts a stream into frames and hands each to the wire; a `WireParser`.

    Args:
        info: What is known of the answer already.
        builder: Makes the wire's chunks.
    """

    __slots__ = ("_builder", "_info", "done", "error", "events")

    def __init__(self, info: StreamInfo, builder: ChunkBuilder) -> None:
        self.error: ProviderError | None = None
        self.events = 0
        self.done = False
        self._info = info
        self._builder = builder

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the answer is whole: the provider said so, or gave a finish reason."""

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data` completes."""
        self._builder.now = timestamp
        exceeded = self._take_data(data)
        if exceeded is not None and self.error is None:
            self._exceed(str(exceeded))
        return self._builder.drain()

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return what the end of the stream completes: a frame without its end."""
        if self.error is not None or self.done:
            return []
        self._builder.now = timestamp
        self._take_rest()
        if isinstance(self.error, StreamDecodeError):
            self.error = None  # the frame at the end is not broken, but cut off
        if self.error is None and not self.done:
            self._end()
        return self._builder.drain()

    @abstractmethod
    def _take_data(self, data: bytes) -> LimitExceededError | None:
        """Take in the frames that `data` completes; return what is wrong with the framing."""

    @abstractmethod
    def _take_rest(self) -> None:
        """Take in the frame at the end, which nothing closed."""

    @abstractmethod
    def _end(self) -> None:
        """Take in the end of a stream that did not announce it."""

    def _decode(self, decoder: msgspec.json.Decoder[T], payload: bytes) -> T | None:
        """Decode an event; on failure note the error, unless it is not ours to read.

        Returns:
            `None` where there is nothing to take in.
        """
        if self._is_too_deep(payload):
            return None
        try:
            return decoder.decode(payload)
        except JSON_ERRORS as error:
            if not self._is_unknown(payload):
                self._fail_to_decode(payload, error)
            return None

    def _is_unknown(self, payload: bytes) -> bool:
        """Whether an event that cannot be read is of a kind that is passed over anyway."""
        return False

    def _is_too_deep(self, payload: bytes) -> bool:
        depth = self._info.limits.json_depth
        if not is_deeper(payload, depth):
            return False
        self._exceed(
            f"{self._info.provider} sent an event that is nested more than {depth} levels deep. "
            "If the server means it, raise Limits.json_depth."
        )
        return True

    def _fail_to_decode(self, payload: bytes, error: Exception) -> None:
        self.error = StreamDecodeError(
            f"{self._info.provider} sent an event that cannot be read ({error}): "
            f"{payload[:200]!r}. Check that base_url is that of the right API.",
            provider=self._info.provider,
            request_id=self._info.request_id,
        )

    def _fail(self, error: Any) -> None:
        """Note an error that the provider sent in the stream: bytes, or decoded JSON."""
        if isinstance(error, bytes):
            error = decode_body(error)
        self.error = in_stream_error(error, self._info.provider, self._info.request_id)

    def _exceed(self, message: str) -> None:
        self.error = LimitExceededError(
            message, provider=self._info.provider, request_id=self._info.request_id
        )
