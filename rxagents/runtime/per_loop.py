"""Resources of which each running loop has its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

R = TypeVar("R")


class PerLoop(Generic[R]):
    """One resource for each running loop, made when it is first asked for.

    Args:
        make: Makes the resource, on the running loop.
        close: Closes it.
    """

    def __init__(self, make: Callable[[], R], close: Callable[[R], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._resources: dict[asyncio.AbstractEventLoop, R] = {}
        _all.add(self)

    def get(self) -> R:
        """Return the running loop's resource."""
        loop = asyncio.get_running_loop()
        if loop not in self._resources:
            for closed in [loop for loop in self._resources if loop.is_closed()]:
                del self._resources[closed]
            self._resources[loop] = self._make()
        return self._resources[loop]

    async def aclose(self) -> None:
        """Close the running loop's resource, if there is one; the next `get` makes a new one."""
        resource = self._resources.pop(asyncio.get_running_loop(), None)
        if resource is not None:
            await self._close(resource)


_all: WeakSet[PerLoop[Any]] = WeakSet()


async def close_all() -> None:
    """Close every resource of the running loop."""
    for resources in tuple(_all):
        await resources.aclose()
