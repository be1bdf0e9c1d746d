"""What every wire's parser offers to the code that drives it."""

from __future__ import annotations

from typing import Protocol

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ProviderError


class WireParser(Protocol):
    """Parses one answer, and keeps the contract of `rxagents.parsing`: it never raises on input.

    Attributes:
        error: What ended the stream, once the chunks before it were returned.
        events: How many events of the wire have arrived, also those that made no chunk.
        done: The provider has said that nothing follows.
        complete: The answer is whole: the provider said so, or gave a finish reason.
    """

    error: ProviderError | None
    events: int
    done: bool

    @property
    def complete(self) -> bool:
        """Whether the answer is whole."""
        ...

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data`, which arrived at `timestamp`, completes."""
        ...

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return what the end of the input completes."""
        ...
