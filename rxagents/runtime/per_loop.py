"""Keep one resource, such as a client session, for each event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Generic, TypeVar

R = TypeVar("R")


class PerLoop(Generic[R]):
    """One resource for each event loop, made when it is first needed.

    The loop itself closes a resource that is still open: an asynchronous generator holds it, and
    a loop finishes its generators before it ends (`asyncio.run` and `rxagents.run` see to it) and
    when the last reference to one is gone.

    Args:
        make: Makes the resource, on the running loop.
        close: Closes the resource.
    """

    def __init__(self, make: Callable[[], R], close: Callable[[R], Awaitable[None]]) -> None:
        self._make = make
        self._close = close
        self._held: dict[asyncio.AbstractEventLoop, tuple[R, AsyncGenerator[None, None]]] = {}

    def __getstate__(self) -> dict[str, object]:
        """Leave the resources out of a copy or a pickle, which makes its own when it needs them."""
        return {**vars(self), "_held": {}}

    def get(self) -> R:
        """Return the running loop's resource; make it if there is none."""
        loop = asyncio.get_running_loop()
        if loop not in self._held:
            for known in tuple(self._held):  # other threads may add and remove entries meanwhile
                if known.is_closed():
                    self._held.pop(known, None)
            resource = self._make()
            self._held[loop] = resource, self._hold(loop, resource)
        return self._held[loop][0]

    async def aclose(self) -> None:
        """Close the running loop's resource, if it has one; the next `get` makes a new one."""
        held = self._held.pop(asyncio.get_running_loop(), None)
        if held is not None:
            await held[1].aclose()

    def _hold(self, loop: asyncio.AbstractEventLoop, resource: R) -> AsyncGenerator[None, None]:
        async def hold() -> AsyncGenerator[None, None]:
            try:
                yield
            finally:
                held = self._held.get(loop)
                if held is not None and held[0] is resource:
                    del self._held[loop]  # else the loop would stay in memory after its end
                await self._close(resource)

        holder = hold()
        try:
            holder.asend(None).send(None)  # run to the yield: now the loop knows the generator
        except StopIteration:
            return holder
        raise AssertionError("the first step of the generator does not wait")
