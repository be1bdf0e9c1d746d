"""Reset what a forked process has inherited, such as locks and the note of a running thread.

A fork copies the memory of a process, but only the thread that forks. Objects with a thread of
their own would wait for a thread that is not there, and two processes would share one identity.
Servers fork after they have imported the program (`gunicorn --preload`), and `multiprocessing` does
so by default on Linux before Python 3.14.
"""

from __future__ import annotations

import os
from typing import Protocol
from weakref import WeakSet


class ForkAware(Protocol):
    """Has a thread, or an identity that belongs to one process."""

    def reset_after_fork(self) -> None:
        """Begin anew, in the process that was forked."""


_known: WeakSet[ForkAware] = WeakSet()


def register(each: ForkAware) -> None:
    """Let `each` begin anew in each process that is forked."""
    _known.add(each)


def _reset_all() -> None:
    for each in list(_known):
        each.reset_after_fork()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_reset_all)
