"""The interface of a wire's parser, and what it needs to know about its response."""

from __future__ import annotations

from typing import Any, Protocol

from msgspec import Struct, field

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import ProviderError
from rxagents.core.limits import DEFAULT_LIMITS, Limits
from rxagents.wire.think_tags import ThinkTags


class StreamInfo(Struct, frozen=True):
    """Describes a response before its first event.

    Attributes:
        provider: The provider's name, for errors.
        request_id: The provider's id for the request, for errors and metadata; `None` if not sent.
        limits: Limits of the response.
        metadata: Further fields for the metadata of every chunk.
        think_tags: The tags around thinking at the beginning of the text; `None` for none.
        raw: Whether chunks keep the bytes of their events.
        bursts: Whether a `TextBurst` may stand for the chunks of several events. With `raw` none
            does, since events are then parsed one by one.
    """

    provider: str = ""
    request_id: str | None = None
    limits: Limits = DEFAULT_LIMITS
    metadata: dict[str, Any] = field(default_factory=dict)
    think_tags: ThinkTags | None = None
    raw: bool = False
    bursts: bool = False

    def first_metadata(self) -> dict[str, Any]:
        """Return the metadata of the first chunk: the request id and `metadata`."""
        request_id = {} if self.request_id is None else {"request_id": self.request_id}
        return {**request_id, **self.metadata}


class WireParser(Protocol):
    """Parses one response; keeps the contract of `rxagents.parsing`, so it never raises on input.

    Attributes:
        error: The error that ends the stream; the chunks before it were returned.
        events: The number of events received, including those without a chunk.
        done: The provider sent its end marker: nothing follows.
        complete: The response is complete: the provider sent its end marker or a finish reason.
    """

    error: ProviderError | None
    events: int
    done: bool

    @property
    def complete(self) -> bool:
        """Whether the provider sent its end marker or a finish reason."""
        ...

    def feed(self, data: bytes, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that `data`, which arrived at `timestamp`, completes."""
        ...

    def flush(self, timestamp: float) -> list[StreamChunk]:
        """Return the chunks that the end of the input completes."""
        ...
