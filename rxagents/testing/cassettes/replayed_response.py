"""Replay one answer, on the clock of the running loop."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Callable, Mapping

from msgspec import Struct
from multidict import CIMultiDict

from rxagents.core.errors import ProviderError, RxAgentsError, TruncatedStreamError
from rxagents.testing.cassettes.exchange import Exchange

_HEAD_SECONDS = 5.0
"""How long to wait for the body of an error, as for a real one."""


class Replay(Struct):
    """What to replay, with times in seconds since the request.

    Attributes:
        status: The HTTP status.
        reason: The reason phrase.
        headers: The headers.
        head_at: When the head comes; infinite for never.
        pieces: The pieces of the body, each with its time.
        end_at: When the body ends; infinite if it falls silent.
        failure: Why it ends, or why there is no head; `None` if it is complete.
    """

    status: int
    reason: str
    headers: dict[str, str]
    head_at: float
    pieces: list[tuple[float, bytes]]
    end_at: float
    failure: RxAgentsError | None

    @classmethod
    def of(cls, exchange: Exchange, *, is_timed: bool) -> Replay:
        """Return the replay of an exchange: with its times, or as fast as it is read."""
        head_at, head = exchange.head or (math.inf if exchange.was_disposed else 0.0, None)
        failure, end_at = exchange.failure, exchange.end_time
        if exchange.was_disposed:
            end_at = math.inf  # the server may have been silent until then
            if not is_timed:
                end_at = head_at = 0.0
                failure = TruncatedStreamError(
                    "The cassette has no more of this answer: the stream was disposed when it was "
                    "recorded. Record it again.",
                    retryable=False,
                )
        return cls(
            head.status if head else 0,
            head.reason if head else "",
            head.headers if head else {},
            head_at if is_timed else 0.0,
            [(at if is_timed else 0.0, piece) for at, piece in exchange.pieces],
            end_at if is_timed or math.isinf(end_at) else 0.0,
            failure,
        )


class ReplayedResponse:
    """A response that was recorded.

    Each piece arrives in a turn of the loop of its own, as packets do, at its time or at once.

    Args:
        replay: What to replay.
        provider: The provider's name, for errors.
        start: The loop's time of the request.
        on_read: Called with each piece that is read, and with `b""` at the end.

    Attributes:
        status: The HTTP status.
        reason: The reason phrase.
        headers: The headers.
        failure: Why the body ended; `None` if it is complete, or has not ended yet.
        is_closed: Whether the client ended the response.
    """

    def __init__(
        self,
        replay: Replay,
        provider: str,
        start: float,
        on_read: Callable[[bytes], None] | None = None,
    ) -> None:
        self.status = replay.status
        self.reason = replay.reason
        self.headers: Mapping[str, str] = CIMultiDict(replay.headers)
        self.failure: ProviderError | None = None
        self.is_closed = False
        self._replay = replay
        self._provider = provider
        self._start = start
        self._on_read = on_read
        self._coming = deque(replay.pieces)
        self._arrived: deque[bytes] = deque()
        self._has_ended = False
        self._on_data: Callable[[], object] | None = None
        self._arrival = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.Handle | None = None
        self._schedule()

    async def read(self) -> bytes:
        """Return the next bytes as soon as there are any; `b""` at the end."""
        while (data := self.read_nowait()) is None:
            self._arrival.clear()
            await self._arrival.wait()
        return data

    def read_nowait(self) -> bytes | None:
        """Return the next bytes; `None` if none are there yet."""
        if self._arrived:
            data = self._arrived.popleft()
        elif self._has_ended:
            data, failure = b"", self._replay.failure
            if isinstance(failure, ProviderError):
                failure.provider = failure.provider or self._provider
                self.failure = failure
        else:
            return None
        if self._on_read is not None:
            self._on_read(data)
        return data

    def listen(self, on_data: Callable[[], object]) -> bool:
        """Call `on_data` when bytes arrive, and at the end."""
        self._on_data = on_data
        return True

    async def read_head(self, limit: int) -> bytes:
        """Return at most `limit` bytes of the body."""
        head = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_HEAD_SECONDS):
                while len(head) < limit and (data := await self.read()):
                    head += data
        return head[:limit]

    def finish(self) -> None:
        """End the response."""
        self.close()

    def close(self) -> None:
        """End the response."""
        self.is_closed = True
        self._on_data = None
        if self._timer is not None:
            self._timer.cancel()

    def _schedule(self) -> None:
        """Wait for the next piece, or for the end."""
        at = self._coming[0][0] if self._coming else self._replay.end_at
        if at == 0:
            self._timer = self._loop.call_soon(self._arrive)
        elif math.isfinite(at):
            self._timer = self._loop.call_at(self._start + at, self._arrive)

    def _arrive(self) -> None:
        if self._coming:
            self._arrived.append(self._coming.popleft()[1])
            self._schedule()
        else:
            self._has_ended = True
        self._arrival.set()
        if self._on_data is not None:
            self._on_data()


async def replayed(
    replay: Replay, provider: str, on_read: Callable[[bytes], None] | None = None
) -> ReplayedResponse:
    """Wait for the head of a replay, and return its response.

    Raises:
        RxAgentsError: There is no head, but an error.
    """
    start = asyncio.get_running_loop().time()
    if math.isinf(replay.head_at):
        await asyncio.get_running_loop().create_future()
    await asyncio.sleep(replay.head_at if replay.status else min(replay.end_at, 1e9))
    if not replay.status and replay.failure is not None:
        if isinstance(replay.failure, ProviderError):
            replay.failure.provider = replay.failure.provider or provider
        raise replay.failure
    return ReplayedResponse(replay, provider, start, on_read)
