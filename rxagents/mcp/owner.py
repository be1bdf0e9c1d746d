"""Hold an asynchronous context manager open in a task of its own.

The context managers of the package `mcp` have cancel scopes of anyio, which must be left in the
task that entered them. A block of the user's may be left in another task than it was entered in
(`AsyncExitStack`, a fixture, the start and the end of a web server). So the owner's task enters,
waits and leaves, and other tasks only ask it to.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AbstractAsyncContextManager
from typing import Final, Generic, TypeVar

T = TypeVar("T")

_log = logging.getLogger("rxagents.mcp")

_CLOSE_SECONDS: Final = 10.0
"""How long leaving may take: the package gives a server's process 4 s to end by itself."""


class Owner(Generic[T]):
    """Enters a context manager, holds it open, and leaves it.

    Args:
        block: The context manager.
    """

    def __init__(self, block: AbstractAsyncContextManager[T]) -> None:
        self._block = block
        self._stop = asyncio.Event()
        self._entered: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._task: asyncio.Task[None] | None = None

    async def start(self, seconds: float | None = None) -> T:
        """Enter the context manager, and return what it gives.

        Args:
            seconds: How long that may take.

        Raises:
            TimeoutError: It took longer.
            Exception: What the context manager raised.
        """
        self._task = asyncio.create_task(self._hold())
        try:
            async with asyncio.timeout(seconds):
                return await self._entered
        except BaseException:
            self._task.cancel()
            await asyncio.wait([self._task])
            raise

    async def aclose(self) -> None:
        """Leave the context manager."""
        task = self._task
        if task is None:
            return
        self._stop.set()
        try:
            await asyncio.wait([task], timeout=_CLOSE_SECONDS)
        finally:
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    async def _hold(self) -> None:
        try:
            async with self._block as value:
                self._entered.set_result(value)
                await self._stop.wait()
        except BaseException as error:
            if self._entered.done():
                # The connection broke, or its end did not go well: calls report it.
                _log.debug("An MCP connection ended: %r", first_of(error))
            elif isinstance(error, asyncio.CancelledError):
                self._entered.cancel()
            else:
                self._entered.set_exception(first_of(error))


def first_of(error: BaseException) -> BaseException:
    """Return the first error that a group of errors has, or the error itself."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
