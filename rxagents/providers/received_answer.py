"""Parse what arrives of one answer, and decide how the answer ended.

Theory of operation. An answer ends in one of four ways: complete, with an error of the parser,
truncated, or with a body that is no stream. The last one blames `base_url` and is not retried, so
it needs a whole body, or a whole line of a wire that consists of lines. A connection or a proxy may
also stop in the middle of the first event, so that no event has arrived. This is a timeout or a
truncation, like one after the first event, and is retried. A proxy can end a chunked body
properly, and a body without a length ends with its connection: so `_is_cut` looks at the bytes
themselves. `_head` keeps the first of them until there is an event.
"""

from __future__ import annotations

import time

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import LimitExceededError, ProviderError, StreamDecodeError
from rxagents.providers.failures import (
    message_or_quote,
    no_stream_error,
    request_id,
    truncated_error,
)
from rxagents.providers.prepared_request import PreparedRequest, RequestContent
from rxagents.runtime.idle_clock import IdleClock
from rxagents.transport import StreamedResponse
from rxagents.wire.errors import decode_body
from rxagents.wire.parser import StreamInfo


class ReceivedAnswer:
    """The part of one answer that has arrived.

    `feed` it all bytes of the body, emit the chunks that it returns, and then call `check`, which
    raises the error that follows them. `check` does nothing unless `at_end` is set, `limit` is
    set, or the parser has an error.

    Args:
        request: What was sent.
        content: The part of it that is dropped when a chunk with content was returned.
        response: The response whose body is fed.
        info: What is known of the answer before its first event.
        clock: Notes each event.

    Attributes:
        delivered: A chunk with text, reasoning, a tool call or a finish reason was returned, so
            that another attempt would repeat it.
        at_end: The body has ended.
        limit: The most bytes that the body may have; `None` for no limit.
        parser: Parses the body.
    """

    __slots__ = ("_clock", "_content", "_head", "_request", "_response", "_size", "at_end",
                 "delivered", "limit", "parser")  # fmt: skip

    def __init__(
        self,
        request: PreparedRequest,
        content: RequestContent,
        response: StreamedResponse,
        info: StreamInfo,
        clock: IdleClock,
    ) -> None:
        self.delivered = False
        self.at_end = False
        self.limit = request.limits.stream_bytes
        self.parser = request.parser(info)
        self._request = request
        self._content = content
        self._response = response
        self._clock = clock
        self._size = 0
        self._head = bytearray()  # bytes would be copied anew for each of many short reads

    @property
    def complete(self) -> bool:
        """Whether the provider sent its end marker or a finish reason."""
        return self.parser.complete

    @property
    def is_over(self) -> bool:
        """Whether nothing more needs to be read."""
        return self.at_end or self.parser.done

    @property
    def stream_error(self) -> ProviderError | None:
        """The error that the provider sent in the stream, or that parsing it raised."""
        return self.parser.error

    def feed(self, data: bytes) -> list[StreamChunk]:
        """Parse the next bytes of the body, `b""` at its end, and return their chunks."""
        parser, now = self.parser, time.time()
        self.at_end = not data
        if self.limit is not None:
            data = self._within(self.limit, data)
        events = parser.events
        chunks = parser.feed(data, now) if data else parser.flush(now)
        if parser.events != events or chunks:
            self._clock.note()
        elif events == 0 and len(self._head) < self._request.limits.error_bytes:
            self._head += data
        if not self.delivered and any(chunk.has_content for chunk in chunks):
            self.delivered = True
            self._content.drop()
        return chunks

    def check(self) -> None:
        """Raise the error that ends the stream after the chunks so far, if there is one.

        Raises:
            ProviderError: The stream holds an error, is longer than `limit`, or has ended and is
                not complete.
        """
        error = self.parser.error
        if error is not None:
            # A wire without framing, such as NDJSON, fails to decode what is no stream at all.
            is_decoding = isinstance(error, StreamDecodeError)
            raise (self.not_a_stream_error() if is_decoding else None) or error
        if self.limit is not None and self._size > self.limit:
            raise LimitExceededError(
                f"The stream from {self._request.provider} is longer than Limits.stream_bytes "
                f"({self.limit} bytes). What came before was delivered; raise the limit.",
                provider=self._request.provider,
                request_id=request_id(self._response.headers),
            )
        if self.is_over and not self.complete:
            failure = self._response.failure
            if failure is None and not self._is_cut():
                failure = self.not_a_stream_error()
            raise failure or truncated_error(self._request, self._response)

    def not_a_stream_error(self) -> ProviderError | None:
        """Return an error that quotes the body, if it holds text and no event so far."""
        head = self._head_text()
        return no_stream_error(self._request, self._response, head) if head else None

    def quote_before_first_event(self) -> str:
        """Return a sentence that quotes the beginning of a body without events; "" if empty."""
        quote = " ".join(message_or_quote(self._head_text()).split())
        return f" What arrived is no whole event: {quote!r}." if quote else ""

    def _head_text(self) -> bytes:
        """Return the body's first bytes, without comments, if there is no event so far."""
        if self.parser.events:
            return b""
        lines = bytes(self._head).removeprefix(_BOM).splitlines()
        return b"\n".join(line for line in lines if line and not line.startswith(b":")).strip()

    def _is_cut(self) -> bool:
        """Return whether the body ends in the middle of its first event."""
        head = self._head_text()
        if head.startswith((b"{", b"[")) and len(self._head) < self._request.limits.error_bytes:
            return isinstance(decode_body(head), str)  # JSON without its end
        starts = any(field.startswith(head) for field in _EVENT_FIELDS)
        return bool(head) and (starts or head.startswith(_EVENT_FIELDS))

    def _within(self, limit: int, data: bytes) -> bytes:
        """Count `data`, and cut off what is over the limit."""
        self._size += len(data)
        over = self._size - limit
        return data[:-over] if over > 0 else data


_BOM = b"\xef\xbb\xbf"

_EVENT_FIELDS = (b"data:", b"event:", b"id:", b"retry:")
"""The fields of a server-sent event."""
