"""Define what connects `run_many` with a worker."""

from __future__ import annotations

from typing import Protocol

from rxagents.core.errors import RxAgentsError


class LinkLostError(RxAgentsError):
    """The worker is gone; the message says how, such as "with exit code 1"."""


class Link(Protocol):
    """A connection with one worker."""

    def send(self, message: bytes) -> None:
        """Send an order; nothing happens if the worker is gone."""
        ...

    async def receive(self) -> bytes:
        """Return the next answer.

        Raises:
            LinkLostError: The worker is gone.
        """
        ...

    async def aclose(self) -> None:
        """End the worker and what it runs."""
        ...


class Workers(Protocol):
    """Starts workers.

    Attributes:
        count: How many there are at a time.
        what: What one of them is, for messages, such as "worker process".
    """

    count: int
    what: str

    def main_data(self) -> bytes:
        """Return what a worker has to know of the main module; see `Setup.main`."""
        ...

    def dumps(self, value: object) -> bytes:
        """Return a value pickled.

        Raises:
            Exception: It cannot be pickled.
        """
        ...

    async def start(self) -> Link:
        """Start a worker.

        Raises:
            Exception: It cannot be started.
        """
        ...
