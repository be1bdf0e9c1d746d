"""From bytes to chunks."""

from __future__ import annotations

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.core.json_depth import is_deeper
from rxagents.parsing.sse import EventFramer, parse_fields
from rxagents.wire.chat_completions.assemble import ChunkAssembler
from rxagents.wire.chat_completions.events import (
    Burst,
    Event,
    decode_event,
    is_plain,
)
from rxagents.wire.errors import decode_error, in_stream_error
from rxagents.wire.parser import AnswerInfo
from rxagents.wire.surrogates import SurrogateJoiner


class ChatCompletionsParser:
    """Parses one stream of chat-completion chunks; a `WireParser`.

    Args:
        info: What is known of the answer already.
    """

    def __init__(self, info: AnswerInfo) -> None:
        self.error: ProviderError | None = None
        self.events = 0
        self.done = False
        self._provider = info.provider
        self._request_id = info.request_id
        self._json_depth = info.limits.json_depth
        self._framer = EventFramer(info.limits.event_bytes)
        self._assembler = ChunkAssembler(info.first_metadata())
        self._plain = False
        self._error_field = b""

    @property
    def complete(self) -> bool:
        """The answer is whole: `[DONE]` came, or every choice gave a finish reason.

        102 streams end without `[DONE]`.
        """
        return self.done or self._assembler.finished

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data` completes."""
        self._assembler.now = timestamp
        self._parse(self._framer.feed(data))
        if self._framer.error is not None and self.error is None:
            self._exceed(str(self._framer.error))
        return self._taken()

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return what the end of the stream completes: an event without its blank line."""
        if self.error is not None or self.done:
            return []
        self._assembler.now = timestamp
        self._parse(self._framer.flush())
        if isinstance(self.error, StreamDecodeError):
            self.error = None  # the event at the end is not broken, but cut off
        if self.error is None and not self.done:
            self._assembler.end(done=False)
            if self._error_field and not self.complete:
                self._fail(self._error_field)
        return self._taken()

    def _taken(self) -> list[StreamChunk]:
        chunks, self._assembler.chunks = self._assembler.chunks, []
        return chunks

    def _parse(self, events: bytes) -> None:
        if not events or self.done or self.error is not None:
            return
        if self._assembler.surrogates is None and self._take_burst(events):
            return
        for block in events.split(b"\n\n"):
            self._take_block(block)
            if self.done or self.error is not None:
                return

    def _take_burst(self, events: bytes) -> bool:
        """Take in many events in one step, if they can be."""
        burst = Burst(events)
        plain = burst.plain() if self._plain else None
        if plain is not None:
            self.events += len(plain)
            self._assembler.take_plain(plain)
            return True
        decoded = burst.any(self._json_depth)
        if decoded is None:
            return False
        for event in decoded:
            self.events += 1
            self._take_event(event)
            if self.error is not None:
                break
        self._plain = self._assembler.named and is_plain(decoded[-1])
        return True

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
            self._assembler.end(done=True)
        elif fields.event == b"error":
            self._fail(payload)
        else:
            self._take_payload(payload)

    def _take_payload(self, payload: bytes) -> None:
        if is_deeper(payload, self._json_depth):
            self._exceed(
                f"{self._provider} sent an event that is nested more than {self._json_depth} "
                "levels deep. If the server means it, raise Limits.json_depth."
            )
            return
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
        if lenient and self._assembler.surrogates is None:
            self._assembler.surrogates = SurrogateJoiner()
        self._take_event(event)

    def _take_event(self, event: Event) -> None:
        if event.error:
            self.error = in_stream_error(event.error, self._provider, self._request_id)
        else:
            self._assembler.take(event)

    def _fail(self, payload: bytes) -> None:
        self.error = in_stream_error(decode_error(payload), self._provider, self._request_id)

    def _exceed(self, message: str) -> None:
        self.error = LimitExceededError(
            message, provider=self._provider, request_id=self._request_id
        )
