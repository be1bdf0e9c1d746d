"""Note that a writer writes nothing more."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from rxagents.runtime.loop import run_on_loop


class ClosedSignal:
    """Calls back once nothing more will be written."""

    __slots__ = ("_callbacks", "_is_set")

    def __init__(self) -> None:
        self._is_set = False
        self._callbacks: list[Callable[[], None]] = []

    def then(self, callback: Callable[[], None]) -> None:
        """Call `callback` once nothing more will be written."""
        if self._is_set:
            callback()
        else:
            self._callbacks.append(callback)

    def set(self) -> None:
        """Note that nothing more will be written."""
        self._is_set = True
        callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()

    async def aclose(self) -> None:
        """Wait until nothing more will be written, after `dispose` or the end."""
        loop, closed = asyncio.get_running_loop(), asyncio.Event()
        self.then(partial(run_on_loop, loop, closed.set))
        await closed.wait()
