"""The base of all wires' parsers: it frames, decodes, checks limits and stores the error."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from typing import Any, Generic, Protocol, TypeVar, cast

import msgspec
from msgspec import Struct

from rxagents.core.chunks import StreamChunk, set_raw
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.wire.chunk_builder import ChunkBuilder
from rxagents.wire.errors import decode_body, in_stream_error, is_error_body
from rxagents.wire.lenient import decode_leniently
from rxagents.wire.parser import StreamInfo

T = TypeVar("T", bound=Struct)
Frames = TypeVar("Frames")
Frames_co = TypeVar("Frames_co", covariant=True)


class Framer(Protocol[Frames_co]):
    """Cuts a byte stream into frames: `EventFramer` or `LineFramer`."""

    error: LimitExceededError | None

    def feed(self, data: bytes) -> Frames_co:
        """Return the frames that `data` completes."""
        ...

    def flush(self) -> Frames_co:
        """Return the last frame, if it has no end."""
        ...


# Theory of operation
#
# The levels, each with one job: FramedParser (limits, JSON, errors) > SSEParser (server-sent
# events) or OllamaParser (lines) > the wire (one event).
#
# - Parsing never raises on input. The first error is stored in `error`, and nothing is parsed after
#   it. The chunks built before it are still in the builder, so `feed` returns them: the caller
#   delivers them before the error. Text received is never lost to an error in the same read.
# - `done` is set by an end marker; everything after it is ignored, even in the same read.
# - `flush` parses the rest without its line end. If that does not decode, the stream was cut in the
#   middle of an event: no decode error then, since the caller reports a truncated stream.
# - An event that strict decoding refuses is read again by `lenient.py`: one odd field must not end
#   a stream whose text can be read. From then on the builder joins surrogates.
# - Reading text is the path of nearly every event. While `_is_plain`, `_parse_plain` tries to take
#   all frames in one step. If one of them has anything but text, it refuses all of them and changes
#   nothing. A read of many frames is therefore cut: the first two frames, parsed one by one, show
#   whether the next ones may be plain, and refused frames are tried again in halves. Without the
#   cuts, the first and the last read of a stream, which hold its other events, cost five times as
#   much. A cut between frames changes no result: the network could have made it. So each part is
#   parsed only if the part before has neither ended the stream nor failed.
# - Nesting is measured before decoding, because decoding recurses (see `core/json_depth.py`).
# - With `StreamInfo.raw`, frames are parsed one by one, and the chunks that each of them adds to
#   the builder get its data. `_read_frames` is chosen once, so that without it no read pays for the
#   choice. It is a plain function: a bound method would make a reference cycle of every parser.


class FramedParser(ABC, Generic[Frames]):
    """Parses the frames of a stream; a `WireParser`.

    Args:
        info: Describes the response.
        framer: Cuts the stream into frames.
        builder: Builds the wire's chunks.
    """

    __slots__ = ("_builder", "_framer", "_info", "_is_plain", "_read_frames", "done", "error",
                 "events")  # fmt: skip

    # Takes the parser; `Any`, since the method of a subclass takes only that subclass.
    _read_frames: Callable[[Any, Frames], None]

    def __init__(self, info: StreamInfo, framer: Framer[Frames], builder: ChunkBuilder) -> None:
        self.error: ProviderError | None = None
        self.events = 0
        self.done = False
        self._info = info
        self._is_plain = False  # the last frame had text and nothing else
        self._framer = framer
        self._builder = builder
        builder.makes_bursts = info.bursts
        kind = type(self)
        self._read_frames = kind._parse_with_raw if info.raw else kind._parse  # noqa: SLF001 - own

    @property
    @abstractmethod
    def complete(self) -> bool:
        """Whether the provider sent its end marker or a finish reason."""

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data` completes."""
        self._builder.now = timestamp
        self._read_frames(self, self._framer.feed(data))
        if self._framer.error is not None:
            self._set_framing_error()
        return self._builder.drain()

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return the chunks of a last frame without its line end, and those held back."""
        if self.error is not None or self.done:
            return []
        self._builder.now = timestamp
        self._read_frames(self, self._framer.flush())
        if isinstance(self.error, StreamDecodeError):
            self.error = None  # a last frame that does not decode was cut off
        if self.error is None and not self.done:
            self._end()
        return self._builder.drain()

    def _parse(self, frames: Frames) -> None:
        """Parse frames, unless the stream is done or has failed."""
        if not frames or self.done or self.error is not None:
            return
        if self._is_plain:
            if self._parse_plain(frames):
                return
            if parts := self._cut(frames, in_middle=True):
                self._parse(parts[0])
                self._parse(parts[1])
                return
        elif parts := self._cut(frames, in_middle=False):
            self._parse_each(parts[0])
            if self.done or self.error is not None:
                return
            frames = parts[1]
            if self._is_plain:
                self._parse(frames)
                return
        self._parse_each(frames)

    @abstractmethod
    def _parse_plain(self, frames: Frames) -> bool:
        """Parse frames with text only; return whether there was nothing else.

        It is called while `_is_plain`.
        """

    @abstractmethod
    def _parse_each(self, frames: Frames) -> None:
        """Parse frames one by one, until the stream is done or has failed."""

    @abstractmethod
    def _cut(self, frames: Frames, *, in_middle: bool) -> tuple[Frames, Frames] | None:
        """Cut many frames in the middle, or after the second one; return `None` for few."""

    @abstractmethod
    def _single_frames(self, frames: Frames) -> Iterable[tuple[Frames, bytes]]:
        """Return each frame alone, and its data."""

    def _parse_with_raw(self, frames: Frames) -> None:
        """Parse frames, and set `raw` of their chunks; a frame without any makes an empty one."""
        chunks = self._builder.chunks
        for frame, data in self._single_frames(frames):
            if self.done or self.error is not None:
                return
            first = len(chunks)
            self._parse(frame)
            is_end_marker = data.strip() == b"[DONE]"
            if data and len(chunks) == first and self.error is None and not is_end_marker:
                self._builder.emit()
            for chunk in chunks[first:]:
                set_raw(chunk, data)

    @abstractmethod
    def _on_end(self) -> None:
        """Emit the text that is held back: the stream has ended."""

    def _end(self) -> None:
        """Emit all text that is held back."""
        self._on_end()
        self._builder.emit_held()

    def _set_done(self) -> None:
        """End the stream: the provider sent its end marker."""
        self.done = True
        self._end()

    def _decode(self, decoder: msgspec.json.Decoder[T], payload: bytes) -> T | None:
        """Decode an event.

        Returns:
            `None` if it does not decode; `error` is then set.
        """
        if self._is_too_deep(payload):
            return None
        try:
            return decoder.decode(payload)
        except JSON_ERRORS as error:
            return self._decode_leniently(cast("type[T]", decoder.type), payload, error)

    def _decode_leniently(self, kind: type[T], payload: bytes, error: Exception) -> T | None:
        """Decode an event that strict decoding has refused with `error`."""
        try:
            event = decode_leniently(payload, kind)
        except JSON_ERRORS:
            body = decode_body(payload)
            if is_error_body(body):
                self._set_provider_error(body)
            else:
                self._set_decode_error(payload, error)
            return None
        self._builder.start_joining()
        return event

    def _is_too_deep(self, payload: bytes) -> bool:
        depth = self._info.limits.json_depth
        if not is_deeper(payload, depth):
            return False
        self._set_limit_error(
            f"{self._info.provider} sent an event nested more than {depth} levels deep. Raise "
            "Limits.json_depth if such events are expected."
        )
        return True

    def _set_framing_error(self) -> None:
        """Set `error`, unless there is one: the framer stopped at an event over its limit."""
        if self.error is None:
            self._set_limit_error(
                f"{self._info.provider} sent an event of more than "
                f"{self._info.limits.event_bytes} bytes. Raise Limits.event_bytes if such events "
                "are expected."
            )

    def _set_decode_error(self, payload: bytes, error: Exception) -> None:
        self.error = StreamDecodeError(
            f"{self._info.provider} sent an event that cannot be decoded ({error}): "
            f"{payload[:200]!r}. Check that base_url is that of the right API.",
            provider=self._info.provider,
            request_id=self._info.request_id,
        )

    def _set_provider_error(self, error: Any) -> None:
        """Set `error` to an error that the provider sent: its bytes, or its decoded JSON."""
        if isinstance(error, bytes):
            error = decode_body(error)
        self.error = in_stream_error(error, self._info.provider, self._info.request_id)

    def _set_limit_error(self, message: str) -> None:
        self.error = LimitExceededError(
            message, provider=self._info.provider, request_id=self._info.request_id
        )
