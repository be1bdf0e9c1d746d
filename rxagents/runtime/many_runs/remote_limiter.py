"""Let requests of a worker wait for the limiter of the process that reads the stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from itertools import count

from rxagents.core.event_base import ErrorInfo
from rxagents.runtime.limiting.protocol import LimitedRequest
from rxagents.runtime.many_runs.messages import (
    Asked,
    Granted,
    Learned,
    Left,
    LimiterAnswer,
    Refused,
    Settled,
)


class PermitRequests:
    """The requests of a worker that wait, and those that run.

    Args:
        send: Sends a message.
    """

    def __init__(self, send: Callable[[LimiterAnswer], None]) -> None:
        self.send = send
        self._numbers = count(1)
        self._waiting: dict[int, asyncio.Future[None]] = {}

    def on_granted(self, order: Granted) -> None:
        """Wake a request."""
        waiter = self._waiting.pop(order.permit, None)
        if waiter is None or waiter.done():
            return
        if order.error is None:
            waiter.set_result(None)
        else:
            waiter.set_exception(order.error.exception())

    async def wait(self, run: int, request: LimitedRequest) -> int:
        """Wait for a permit, and return its number."""
        number = next(self._numbers)
        waiter = self._waiting[number] = asyncio.get_running_loop().create_future()
        self.send(
            Asked(
                number,
                run,
                request.provider,
                request.model,
                request.input_tokens,
                request.output_tokens,
            )
        )
        try:
            await waiter
        except asyncio.CancelledError:
            self._waiting.pop(number, None)
            self.send(Left(number))
            raise
        return number


class RunLimiter:
    """The limiter of one run of a worker."""

    def __init__(self, requests: PermitRequests, run: int) -> None:
        self._requests = requests
        self._run = run

    async def acquire(self, request: LimitedRequest) -> RemotePermit:
        """Wait until the request may be sent."""
        number = await self._requests.wait(self._run, request)
        return RemotePermit(self._requests.send, number)


class RemotePermit:
    """A permit that another process holds."""

    def __init__(self, send: Callable[[LimiterAnswer], None], number: int) -> None:
        self._send = send
        self._number = number

    def learn(self, headers: Mapping[str, str]) -> None:
        """Send the headers of the response that speak of rates."""
        limits = {name: value for name, value in headers.items() if _speaks_of_rates(name.lower())}
        if limits:
            self._send(Learned(self._number, limits))

    def refused(self, retry_after: float | None) -> None:
        """Hold back all requests."""
        self._send(Refused(self._number, retry_after))

    def settle(self, tokens: int | None) -> None:
        """End the request."""
        self._send(Settled(self._number, tokens))

    def give_back(self) -> None:
        """End a request that was not sent."""
        self._send(Left(self._number))


def _speaks_of_rates(name: str) -> bool:
    return "ratelimit" in name or name.startswith("retry-after")


def granted(permit: int, error: BaseException | None = None) -> Granted:
    """Return the order that lets a request go on, or fail."""
    return Granted(permit, None if error is None else ErrorInfo.of(error))
