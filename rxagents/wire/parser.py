"""What every wire's parser offers to the code that drives it."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct, field

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ProviderError
from rxagents.core.limits import DEFAULT_LIMITS, Limits


class StreamInfo(Struct, frozen=True):
    """What is known of an answer before its first event.

    Attributes:
        provider: The provider's name, for errors.
        request_id: The provider's id for the request, for errors and metadata; `None` if not sent.
        limits: How much the answer may hold.
        metadata: What else the chunks' metadata tell.
    """

    provider: str = ""
    request_id: str | None = None
    limits: Limits = DEFAULT_LIMITS
    metadata: dict[str, Any] = field(default_factory=dict)

    def first_metadata(self) -> dict[str, Any]:
        """Return what the chunks' metadata tell from the first on."""
        known = {} if self.request_id is None else {"request_id": self.request_id}
        return {**known, **self.metadata}


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
