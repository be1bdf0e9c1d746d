"""Drives one stream: its attempts, and the time that they may take."""

from __future__ import annotations

import asyncio

from reactivex import Observable

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import (
    FirstEventTimeoutError,
    OverloadedError,
    ProviderError,
    RateLimitError,
    StreamTimeoutError,
    TotalTimeoutError,
)
from rxagents.core.events import ErrorInfo
from rxagents.providers.answer_reader import AnswerReader
from rxagents.providers.failures import redact, request_id, status_error
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.retry import wait_before_retry
from rxagents.providers.timeouts import Watchdog
from rxagents.runtime.source import Emitter, task_source
from rxagents.transport import StaleConnectionError
from rxagents.wire.parser import StreamInfo

_CONGESTION = (RateLimitError, OverloadedError)
"""The only errors inside of a stream after which the same request is sent again."""


def chunk_stream(call: PreparedRequest) -> Observable[StreamChunk]:
    """Return the cold stream of a call's chunks; each subscription sends a request of its own."""
    return task_source(lambda emitter: _Stream(call, emitter).run())


class _Stream:
    """One subscription's worth of attempts."""

    __slots__ = ("_answer", "_call", "_emitter", "_failed")

    def __init__(self, call: PreparedRequest, emitter: Emitter[StreamChunk]) -> None:
        self._call = call
        self._emitter = emitter
        self._answer: AnswerReader | None = None
        self._failed: tuple[ProviderError, ...] = ()

    async def run(self) -> None:
        """Stream the answer; a timeout after the finish reason is no failure."""
        call = self._call
        try:
            async with asyncio.timeout(call.timeouts.total):
                while True:
                    try:
                        with Watchdog(call.timeouts, call.provider) as watchdog:
                            answer = await self._ask(watchdog)
                            # Every chunk comes through here, and pays for every await around it.
                            return await answer.read()
                    except ProviderError as error:
                        if isinstance(error, StreamTimeoutError) and self._is_complete():
                            return None
                        wait = self._wait_after(error)
                    await asyncio.sleep(wait)
        except TimeoutError:
            if not self._is_complete():
                raise self._too_long() from None

    async def _ask(self, watchdog: Watchdog) -> AnswerReader:
        """Send the request and return its answer, to be read."""
        call = self._call
        self._answer = None
        exchange = await call.transport.send(
            call.url, call.headers, call.body, call.timeouts.connect
        )
        if exchange.status != 200:
            watchdog.paused = True
            try:
                raise await status_error(call, exchange)
            finally:
                exchange.close()
        failed = tuple(map(ErrorInfo.of, self._failed))
        info = StreamInfo(
            call.provider,
            request_id(exchange.headers),
            call.limits,
            {"failed_attempts": failed} if failed else {},
        )
        self._answer = AnswerReader(call, exchange, info, self._emitter, watchdog)
        return self._answer

    def _is_complete(self) -> bool:
        return self._answer is not None and self._answer.complete

    def _wait_after(self, error: ProviderError) -> float:
        """Return the seconds to wait before the next attempt; raise where there is none."""
        if isinstance(error, FirstEventTimeoutError) and self._answer is not None:
            error = self._answer.instead() or error
        redact(error, self._call)
        wait = self._wait_before_next(error)
        if wait is None:
            error.failed_attempts = self._failed
            raise error
        self._failed += (error.with_traceback(None),)
        return wait

    def _wait_before_next(self, error: ProviderError) -> float | None:
        answer = self._answer
        if answer is not None and answer.delivered:
            return None
        if answer is not None and answer.told is error and not isinstance(error, _CONGESTION):
            return None
        stale = sum(isinstance(failed, StaleConnectionError) for failed in self._failed)
        if isinstance(error, StaleConnectionError) and not stale:
            return 0.0
        attempt = len(self._failed) - stale
        return wait_before_retry(error, attempt) if attempt < self._call.max_retries else None

    def _too_long(self) -> TotalTimeoutError:
        error = TotalTimeoutError(
            f"The stream from {self._call.provider} took longer than {self._call.timeouts.total} s "
            "in all. Raise Timeouts.total, or set it to None.",
            provider=self._call.provider,
        )
        error.failed_attempts = self._failed
        return error
