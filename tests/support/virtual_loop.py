"""An event loop with a virtual clock: it jumps to its next timer, so that no test sleeps."""

from __future__ import annotations

import asyncio
import selectors
from typing import Any

_THREAD_SECONDS = 5.0
"""How long, in real time, the loop waits for other threads before it fails as stuck."""


class _Selector(selectors.DefaultSelector):
    """Moves the clock forward where a real selector would wait."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[Any]:
        ready = super().select(0 if timeout is not None else _THREAD_SECONDS)
        if not ready and timeout is None:
            raise RuntimeError(
                "The test waits for ever: no timer is left, and no other thread called the loop "
                f"within {_THREAD_SECONDS} s."
            )
        if not ready and timeout is not None and timeout > 0:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """A loop whose clock starts at 0 and jumps to the time of its next timer."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def hold(self, seconds: float) -> None:
        """Move the clock forward as if a callback had blocked the loop."""
        self._virtual.now += seconds

    @property
    def timers(self) -> list[asyncio.TimerHandle]:
        """The timers that are neither due nor cancelled."""
        scheduled: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]  # asyncio's own
        return [timer for timer in scheduled if not timer.cancelled()]


def virtual_loop() -> VirtualLoop:
    """Return the running loop, which must be virtual."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    return loop
