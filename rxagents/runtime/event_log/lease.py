"""Renew the lease of a run while its stream is silent."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future

from rxagents.core.errors import LeaseError
from rxagents.runtime.event_log.calls import call
from rxagents.runtime.event_log.log_store import RENEW_SECONDS
from rxagents.runtime.reporting import report_harmless
from rxagents.runtime.timed_scope import TimedScope


class Lease:
    """Renews a lease every 5 s unless a write has renewed it.

    Args:
        scope: The subscription, which ends the renewals.
        renew: Asks the store.
        lost: Called with the error when another writer has the run. After other errors the next
            renewal tries again.

    Attributes:
        is_renewed: Whether a write has renewed the lease since the timer was started last.
    """

    __slots__ = ("_lost", "_renew", "_timer", "is_renewed")

    def __init__(
        self,
        scope: TimedScope,
        renew: Callable[[], Future[None] | None],
        lost: Callable[[Exception], None],
    ) -> None:
        self.is_renewed = False
        self._renew = renew
        self._lost = lost
        self._timer = scope.timer(self._on_time)

    def start(self) -> None:
        """Start the timer."""
        self._timer.start(RENEW_SECONDS)

    def stop(self) -> None:
        """Renew no more."""
        self._timer.stop()

    def _on_time(self) -> None:
        self.start()
        if not self.is_renewed:
            call(self._renew, _ignore, self._on_error)
        self.is_renewed = False

    def _on_error(self, error: Exception) -> None:
        if isinstance(error, LeaseError):
            self._lost(error)
        else:
            report_harmless(error, "The lease of a run could not be renewed")


def _ignore(_: object) -> None: ...
