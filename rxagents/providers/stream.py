"""Stream one request: its attempts, their timeouts, and the retries between them.

Theory of operation. A subscription runs `_Stream.run` as one task. An attempt is: send the
request, look at the status, read the response to its end. What ends an attempt is a
`ProviderError`, and `_wait_before_next` decides whether another attempt follows:

- never once a chunk with content was delivered: the subscriber would get it twice;
- never after an error inside of the stream, except that the provider is overloaded or limits the
  rate: any other such error is about this request;
- at once, and once a stream, after a stale connection: the server had closed a kept connection
  before it read the request, which is no failure of the provider and costs no retry;
- else up to `max_retries` times, if the error is retryable, after the wait of `retry.py`.

Every failed attempt is kept without its traceback in `_failed`. The subscriber gets them in the
last error's `failed_attempts`, or in the metadata of the chunks that came in the end.

Two clocks run. `Watchdog` limits one attempt (`Timeouts.first`, `Timeouts.idle`), and
`asyncio.timeout` the whole stream (`Timeouts.total`). A timeout after the finish reason ends a
complete answer: the stream completes. If the first event never came but other text did, the error
quotes that text.

A key that a function returns is asked for at each attempt, while `Timeouts.first` runs. The request
of the attempt holds it, so that errors are redacted with the key that was sent.

The body of the request and its messages are dropped once a chunk with content was delivered, for no
attempt follows then. The rest of the request stays, for errors.

With a limiter or a budget, an attempt is metered (`runtime/metering`): it waits before it is sent,
so that no timeout but `Timeouts.total` runs, and settles however it ends.

`text` and `collect` subscribe to another stream of the same request, which `by_read` makes: the
parser makes one `TextBurst` for many chunks, and `items_of` turns it into what the operator emits.
A listener and a metered attempt count chunks, so they get them: with a listener `by_read` returns
`None`, and the parser of a metered attempt makes no bursts.

What must not change: chunks are emitted inside of `AnswerReader.read`, under as few `await`s as
there are here, since every emission pays for each of them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

from msgspec import structs
from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import (
    ConfigurationError,
    FirstEventTimeoutError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    StreamTimeoutError,
    TotalTimeoutError,
)
from rxagents.core.events import ErrorInfo
from rxagents.providers.answer_reader import AnswerReader
from rxagents.providers.api_key import authorized
from rxagents.providers.failures import redact, request_id, status_error
from rxagents.providers.http_log import HttpLog
from rxagents.providers.metered_answer import MeteredAnswer
from rxagents.providers.prepared_request import PreparedRequest, RequestContent
from rxagents.providers.received_answer import ReceivedAnswer
from rxagents.providers.redaction import without_frames
from rxagents.providers.retry import wait_before_retry
from rxagents.providers.timeouts import Watchdog
from rxagents.runtime.idle_clock import IdleClock
from rxagents.runtime.listening import ModelCall, current_listener, listened
from rxagents.runtime.metering.attempt import Attempt, Metered
from rxagents.runtime.source import Emitter, task_source
from rxagents.transport import StaleConnectionError
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest

T = TypeVar("T")

_CONGESTION = (RateLimitError, OverloadedError)
"""The only errors inside of a stream after which the same request is sent again."""


def chunk_stream(
    request: PreparedRequest, chat: ChatRequest, *, is_completion: bool = False
) -> Observable[StreamChunk]:
    """Return the cold stream of the answer's chunks; each subscription sends the request anew.

    Args:
        request: The request.
        chat: What it was rendered from.
        is_completion: Whether it has a text to be continued, and no conversation.
    """

    def describe() -> ModelCall:
        return ModelCall(
            request.provider,
            chat.model,
            chat.messages,
            chat.tools,
            chat.settings,
            request.url.host or "",
            request.url.port,
            is_completion,
        )

    def make(call: ModelCall | None) -> Observable[StreamChunk]:
        return task_source(lambda emitter: _Stream(request, emitter, call).run())

    def by_read(items_of: Callable[[list[StreamChunk]], Iterable[T]]) -> Observable[T] | None:
        if current_listener() is not None:
            return None
        return task_source(lambda emitter: _Stream(request, emitter, None, items_of).run())

    stream = listened(make, describe)
    stream.by_read = by_read
    stream.request_key = partial(_request_key, request)
    return stream


def _request_key(request: PreparedRequest) -> str:
    """Return a text that only requests with the same URL and body have."""
    url = str(request.url.with_query(None).with_user(None))
    head = f"{request.provider} {url} {request.raw}\n".encode()
    return hashlib.sha256(head + (request.body or b"")).hexdigest()


class _Stream:
    """The attempts of one subscription."""

    __slots__ = ("_attempt", "_call", "_content", "_emitter", "_failed", "_items_of", "_log",
                 "_prepared", "_received", "_request")  # fmt: skip

    def __init__(
        self,
        request: PreparedRequest,
        emitter: Emitter[Any],
        call: ModelCall | None,
        items_of: Callable[[list[StreamChunk]], Iterable[Any]] | None = None,
    ) -> None:
        self._content = RequestContent(request)
        self._prepared = request = structs.replace(request, body=None, metered=None)
        self._request = request  # of the current attempt, with its key
        self._call = call  # for a listener; `None` if there is none
        self._emitter = emitter
        self._items_of = items_of  # `None` to emit the chunks themselves
        self._log = HttpLog(request)
        self._attempt: Attempt | None = None
        self._received: ReceivedAnswer | None = None  # of the current attempt
        self._failed: tuple[ProviderError, ...] = ()

    async def run(self) -> None:
        """Make attempts until one streams a complete answer, or none is left."""
        request = self._request
        try:
            async with asyncio.timeout(request.timeouts.total):
                while True:
                    try:
                        async with Metered(self._content.metered) as self._attempt:
                            gate = self._emitter.gate
                            with Watchdog(request.timeouts, request.provider, gate) as watchdog:
                                reader = await self._send(watchdog.clock)
                                await reader.read()
                                self._log.on_complete()
                                return
                    except ProviderError as error:
                        if isinstance(error, StreamTimeoutError) and self._is_complete():
                            return
                        wait = self._wait_after(error)
                    await asyncio.sleep(wait)
        except TimeoutError as timeout:
            without_frames(timeout)
            if not self._is_complete():
                late = self._total_timeout_error()
                self._log.on_failure(late, None)
                raise late from None
        except ConfigurationError as error:
            raise without_frames(error) from None

    async def _send(self, clock: IdleClock) -> AnswerReader:
        """Send the request, and return what reads its response."""
        attempt, self._received = self._attempt, None
        request = self._request = self._prepared
        body = self._content.body
        self._log.on_request(body)
        if request.key_function is not None:
            request = self._request = self._log.request = await authorized(request)
        response = await request.transport.send(
            request.url, request.headers, body, request.timeouts.connect
        )
        self._log.on_response(response)
        if attempt is not None:
            attempt.responded(response.headers, is_refused=response.status != 200)
        if response.status != 200:
            clock.stop()  # `read_head` has a limit of its own
            try:
                raise await status_error(request, response)
            finally:
                response.close()
        failed = tuple(map(ErrorInfo.of, self._failed))
        info = StreamInfo(
            request.provider,
            request_id(response.headers),
            request.limits,
            {"failed_attempts": failed} if failed else {},
            request.think_tags,
            request.raw,
            bursts=self._items_of is not None and attempt is None,
        )
        if attempt is None:
            self._received = ReceivedAnswer(request, self._content, response, info, clock)
        else:
            self._received = MeteredAnswer(request, self._content, response, info, clock, attempt)
        return AnswerReader(response, self._received, self._emitter, clock, self._items_of)

    def _is_complete(self) -> bool:
        return self._received is not None and self._received.complete

    def _wait_after(self, error: ProviderError) -> float:
        """Return the seconds to wait before the next attempt; raise if there is none."""
        if isinstance(error, FirstEventTimeoutError) and self._received is not None:
            error.args = (f"{error}{self._received.quote_before_first_event()}",)
        redact(error, self._request)
        wait = self._wait_before_next(error)
        self._log.on_failure(error, wait)
        if wait is None:
            error.failed_attempts = self._failed
            raise error
        if self._call is not None:
            self._call.on_retry(error, wait)
        self._failed += (error.with_traceback(None),)
        return wait

    def _wait_before_next(self, error: ProviderError) -> float | None:
        received = self._received
        if received is not None:
            in_stream = received.stream_error is error
            if received.delivered or (in_stream and not isinstance(error, _CONGESTION)):
                return None
        stale = sum(isinstance(failed, StaleConnectionError) for failed in self._failed)
        if isinstance(error, StaleConnectionError) and not stale:
            return 0.0
        attempt = len(self._failed) - stale
        return wait_before_retry(error, attempt) if attempt < self._request.max_retries else None

    def _total_timeout_error(self) -> TotalTimeoutError:
        error = TotalTimeoutError(
            f"The stream from {self._request.provider} took longer than "
            f"{self._request.timeouts.total} s in all. Raise Timeouts.total, or set it to None.",
            provider=self._request.provider,
        )
        error.failed_attempts = self._failed
        return error
