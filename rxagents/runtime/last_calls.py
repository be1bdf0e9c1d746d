"""Wait for the last calls to a server when a process ends.

The threads that make such calls are daemons, so that a server that hangs does not keep a program
from ending. A process that has just queued its last calls, such as the end of its last request,
would end before they are sent: each owner of such a thread registers here. A process that ends with
`os._exit`, which skips `atexit`, calls `wait_for_last_calls` itself.
"""

from __future__ import annotations

import atexit
import time
from typing import Protocol
from weakref import WeakSet

_SECONDS = 1.0
"""How long a process that ends waits, at most."""


class Caller(Protocol):
    """Has a thread that makes calls."""

    def wait_for_last(self, seconds: float) -> None:
        """Wait until the server has answered the last call, or for some seconds."""


_callers: WeakSet[Caller] = WeakSet()


def register(caller: Caller) -> None:
    """Let a process that ends wait for the last call of `caller`."""
    _callers.add(caller)


@atexit.register
def wait_for_last_calls() -> None:
    """Wait for the last calls of all callers, a second at most."""
    end = time.monotonic() + _SECONDS
    for caller in list(_callers):
        caller.wait_for_last(max(0.0, end - time.monotonic()))
