"""Drives one stream: attempts, timers, and what becomes of an answer that is none."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

import msgspec
from msgspec import Struct
from reactivex import Observable
from yarl import URL

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import (
    ProviderError,
    RedirectError,
    ResponseError,
    StreamTimeoutError,
    TotalTimeoutError,
    TruncatedStreamError,
    class_of_status,
)
from rxagents.providers.retry import asked_retry, asked_wait, wait_before_retry
from rxagents.providers.timeouts import Timeouts, Watchdog
from rxagents.runtime.source import Emitter, task_source
from rxagents.transport import Exchange, Transport
from rxagents.wire.errors import parse_error
from rxagents.wire.parser import WireParser

MAX_ERROR_BYTES = 64 * 1024
"""How much of an error's body is read."""

_QUOTED = 500
"""How many characters of a body that is no stream are quoted."""


class Call(Struct, frozen=True):
    """One request to a provider, ready to be sent any number of times.

    Attributes:
        provider: The provider's name.
        url: Where to.
        headers: All of them.
        body: The rendered request.
        parser: Makes the parser of an answer, given the request id.
        transport: What to send it with.
        timeouts: How long it may take.
        max_retries: How often to try again while nothing has been delivered.
        redact: Takes the secrets out of a text that the provider wrote.
    """

    provider: str
    url: URL
    headers: dict[str, str]
    body: bytes
    parser: Callable[[str | None], WireParser]
    transport: Transport
    timeouts: Timeouts
    max_retries: int
    redact: Callable[[str], str]


def chunk_stream(call: Call) -> Observable[StreamChunk]:
    """Return the cold stream of a call's chunks; each subscription sends a request of its own."""
    return task_source(lambda emitter: _Stream(call, emitter).run())


class _Stream:
    """One subscription's worth of attempts."""

    def __init__(self, call: Call, emitter: Emitter[StreamChunk]) -> None:
        self._call = call
        self._emitter = emitter
        self._parser = call.parser(None)
        self._delivered = False

    async def run(self) -> None:
        """Stream the answer; a timeout after the finish reason is no failure."""
        limits = self._call.timeouts
        try:
            async with asyncio.timeout(limits.total):
                await self._attempts()
        except (TimeoutError, StreamTimeoutError) as error:
            if self._parser.complete:
                return
            if isinstance(error, StreamTimeoutError):
                raise
            raise TotalTimeoutError(
                f"The stream from {self._call.provider} took longer than {limits.total} s in all. "
                "Raise Timeouts.total, or set it to None.",
                provider=self._call.provider,
            ) from error

    async def _attempts(self) -> None:
        attempt = 0
        while True:
            try:
                return await self._attempt()
            except ProviderError as error:
                _redact(error, self._call)
                wait = wait_before_retry(error, attempt)
                if self._delivered or wait is None or attempt >= self._call.max_retries:
                    raise
            await asyncio.sleep(wait)
            attempt += 1

    async def _attempt(self) -> None:
        call = self._call
        with Watchdog(call.timeouts, call.provider) as watchdog:
            exchange = await call.transport.post(
                call.url, call.headers, call.body, call.timeouts.connect
            )
            try:
                if exchange.status != 200:
                    raise await _status_error(call, exchange)
                await self._read(exchange, watchdog)
            except BaseException:
                exchange.close()
                raise
            exchange.finish()

    async def _read(self, exchange: Exchange, watchdog: Watchdog) -> None:
        """Read the answer to its end, and emit all that it holds."""
        parser = self._parser = self._call.parser(_request_id(exchange.headers))
        head = b""
        failure: ProviderError | None = None
        at_end = False
        while not (parser.done or at_end):
            try:
                data = await exchange.read()
            except ProviderError as error:
                data, failure = b"", error
            at_end = not data
            if parser.events == 0 and len(head) < MAX_ERROR_BYTES:
                head += data
            await self._take(data, watchdog)
        if parser.complete:
            return
        if parser.events == 0 and head.strip():
            raise _no_stream(self._call, exchange, head)
        raise failure or _truncated(self._call, exchange)

    async def _take(self, data: bytes, watchdog: Watchdog) -> None:
        parser, now = self._parser, time.time()
        events = parser.events
        chunks = parser.feed(data, now) if data else parser.flush(now)
        if parser.events != events:
            watchdog.note_event()
        if chunks:
            self._delivered = self._delivered or any(map(_is_content, chunks))
            watchdog.paused = True
            await self._emitter.emit(chunks)
            watchdog.paused = False
            watchdog.note_event()
        if parser.error is not None:
            raise parser.error


def _is_content(chunk: StreamChunk) -> bool:
    """Whether the user has seen some of the answer, so that sending again would repeat it."""
    return bool(
        chunk.delta or chunk.reasoning or chunk.refusal or chunk.tool_calls or chunk.finish_reason
    )


async def _status_error(call: Call, exchange: Exchange) -> ProviderError:
    body = await exchange.read_head(MAX_ERROR_BYTES)
    kind = class_of_status(exchange.status)
    if exchange.status < 300:
        kind = ResponseError
    if issubclass(kind, RedirectError):
        where = URL(exchange.headers.get("location", "")).host or "another path"
        said = (
            f"redirects to {where}, and redirects are not followed: they would take the key along"
        )
    else:
        said = _said(body) or exchange.reason
    return kind(
        f"{call.provider} answered with status {exchange.status}: {said}"
        + _ADVICE.get(exchange.status, ""),
        provider=call.provider,
        request_id=_request_id(exchange.headers),
        status=exchange.status,
        retryable=asked_retry(exchange.headers),
        retry_after=asked_wait(exchange.headers),
    )


_ADVICE = {
    401: " Check the API key.",
    403: " Check what the API key is allowed to do.",
    404: " Check the model's name and base_url.",
    429: " Slow down, or check the account's quota.",
}


def _said(body: bytes) -> str:
    """Return the provider's sentence, or the beginning of a body that holds none."""
    try:
        return parse_error(msgspec.json.decode(body)).message[:2000]
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "replace").strip()[:_QUOTED]


def _no_stream(call: Call, exchange: Exchange, head: bytes) -> ProviderError:
    kind = exchange.headers.get("content-type", "no content type")
    return ResponseError(
        f"{call.provider} answered with something that is no event stream ({kind}): "
        f"{_said(head)[:_QUOTED]} Check base_url, and that the model can stream.",
        provider=call.provider,
        request_id=_request_id(exchange.headers),
        status=exchange.status,
    )


def _truncated(call: Call, exchange: Exchange) -> ProviderError:
    return TruncatedStreamError(
        f"The stream from {call.provider} ended without a finish reason or end marker. What came "
        "before was delivered; ask again for the rest.",
        provider=call.provider,
        request_id=_request_id(exchange.headers),
        status=exchange.status,
    )


def _redact(error: ProviderError, call: Call) -> None:
    """Take the secrets out of what a server may have echoed."""
    error.args = (call.redact(str(error)),)
    if error.request_id is not None:
        error.request_id = call.redact(error.request_id)


def _request_id(headers: Mapping[str, str]) -> str | None:
    return headers.get("x-request-id") or headers.get("request-id")
