"""An event loop whose clock is virtual: waiting takes no time, and nothing sleeps."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE_SECONDS = 5.0
"""How long, in real time, other threads may take; then the test is stuck."""


class _Selector(selectors.DefaultSelector):
    """Moves the clock on where others wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0 if timeout is not None else _PATIENCE_SECONDS)
        if not ready and timeout is None:
            raise RuntimeError("Nothing is left that could happen: the test waits for ever.")
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop that jumps to the time of its next timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def run_virtual(work: Coroutine[Any, Any, T], *, debug: bool = False) -> T:
    """Run `work` on a `VirtualLoop`, which starts at 0."""
    with asyncio.Runner(loop_factory=VirtualLoop, debug=debug) as runner:
        return runner.run(work)
