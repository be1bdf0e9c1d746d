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
from rxagents.providers.answer import Answer
from rxagents.providers.call import Call
from rxagents.providers.failures import redact, request_id, status_error
from rxagents.providers.retry import wait_before_retry
from rxagents.providers.timeouts import Watchdog
from rxagents.runtime.source import Emitter, task_source
from rxagents.transport import Exchange, StaleConnectionError
from rxagents.wire.parser import AnswerInfo


def chunk_stream(call: Call) -> Observable[StreamChunk]:
    """Return the cold stream of a call's chunks; each subscription sends a request of its own."""
    return task_source(lambda emitter: _Stream(call, emitter).run())


class _Stream:
    """One subscription's worth of attempts."""

    def __init__(self, call: Call, emitter: Emitter[StreamChunk]) -> None:
        self._call = call
        self._emitter = emitter
        self._answer: Answer | None = None
        self._failed: list[ProviderError] = []

    async def run(self) -> None:
        """Stream the answer; a timeout after the finish reason is no failure."""
        limits = self._call.timeouts
        try:
            try:
                async with asyncio.timeout(limits.total):
                    await self._attempts()
            except TimeoutError:
                raise TotalTimeoutError(
                    f"The stream from {self._call.provider} took longer than {limits.total} s in "
                    "all. Raise Timeouts.total, or set it to None.",
                    provider=self._call.provider,
                ) from None
        except ProviderError as error:
            complete = self._answer is not None and self._answer.complete
            if complete and isinstance(error, StreamTimeoutError):
                return
            error.failed_attempts = tuple(self._failed)
            raise

    async def _attempts(self) -> None:
        while True:
            try:
                return await self._attempt()
            except ProviderError as error:
                redact(error, self._call)
                wait = self._wait_before_next(error)
                if wait is None:
                    raise
                self._failed.append(error.with_traceback(None))
            await asyncio.sleep(wait)

    def _wait_before_next(self, error: ProviderError) -> float | None:
        """Return the seconds to wait before the next attempt; `None` for no other attempt."""
        answer = self._answer
        if answer is not None and answer.delivered:
            return None
        if answer is not None and answer.told is error and not isinstance(error, _CONGESTION):
            return None
        failed = len(self._failed)
        stale = sum(isinstance(before, StaleConnectionError) for before in self._failed)
        if isinstance(error, StaleConnectionError) and not stale:
            return 0.0
        if failed - stale >= self._call.max_retries:
            return None
        return wait_before_retry(error, failed - stale)

    async def _attempt(self) -> None:
        call = self._call
        self._answer = None
        try:
            with Watchdog(call.timeouts, call.provider) as watchdog:
                exchange = await call.transport.post(
                    call.url, call.headers, call.body, call.timeouts.connect
                )
                try:
                    await self._read(exchange, watchdog)
                except BaseException:
                    exchange.close()
                    raise
                exchange.finish()
        except FirstEventTimeoutError:
            instead = None if self._answer is None else self._answer.instead()
            if instead is None:
                raise
            raise instead from None

    async def _read(self, exchange: Exchange, watchdog: Watchdog) -> None:
        if exchange.status != 200:
            watchdog.paused = True
            raise await status_error(self._call, exchange)
        info = self._info(exchange)
        self._answer = Answer(self._call, exchange, info, self._emitter, watchdog)
        await self._answer.read()

    def _info(self, exchange: Exchange) -> AnswerInfo:
        failed = tuple(map(ErrorInfo.of, self._failed))
        return AnswerInfo(
            self._call.provider,
            request_id(exchange.headers),
            self._call.limits,
            {"failed_attempts": failed} if failed else {},
        )


_CONGESTION = (RateLimitError, OverloadedError)
"""The only errors inside of a stream after which the same request is sent again."""
