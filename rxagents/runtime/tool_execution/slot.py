"""Count the tools that run at a time, including those that nobody waits for any more."""

from __future__ import annotations

from collections.abc import Callable


class Slot:
    """The place of one call among the calls that may run at a time.

    The call holds it, and so does the task or thread that runs its function: a thread cannot be
    stopped, and goes on after the call has timed out or was dropped. All calls come from the
    loop's thread.

    Args:
        on_free: Called once, when nobody holds the slot any more.
    """

    __slots__ = ("_holders", "_on_free")

    def __init__(self, on_free: Callable[[], None]) -> None:
        self._holders = 1  # the call
        self._on_free = on_free

    def hold(self) -> None:
        """Add a holder."""
        self._holders += 1

    def release(self) -> None:
        """Remove a holder; each one calls it once."""
        self._holders -= 1
        if self._holders == 0:
            self._on_free()
