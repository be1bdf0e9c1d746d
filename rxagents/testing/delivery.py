"""Define how a reply is sent over HTTP: its pace, its framing and its ending."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from rxagents.core.errors import ConfigurationError

COMMENT_INTERVAL = 0.01
"""Seconds between comments if the reply has no interval."""


class Ending(StrEnum):
    """How a response ends."""

    COMPLETE = "complete"
    """Properly, with the end marker of the wire."""
    CLOSE = "close"
    """The body ends properly, but without the end marker of the wire."""
    STALL = "stall"
    """The connection stays open and silent until the client disconnects."""
    COMMENTS = "comments"
    """No more events; comments of the wire continue until the client disconnects, one each
    `interval` (10 ms by default)."""
    ENDLESS = "endless"
    """The last piece repeats until the client disconnects."""
    FIN = "fin"
    """The connection is closed (TCP FIN) in the middle of the body."""
    RESET = "reset"
    """The connection is reset (TCP RST) in the middle of the body; TCP may drop data that a slow
    client has not read by then."""
    BAD_CHUNK = "bad_chunk"
    """A chunk with an invalid size arrives separately; then the connection stalls."""

    @property
    def ends_body(self) -> bool:
        """Whether the body ends properly; every other ending is a fault of the connection."""
        return self in {Ending.COMPLETE, Ending.CLOSE}


class Framing(StrEnum):
    """How the response marks the end of its body."""

    CHUNKED = "chunked"
    """By the last chunk: `transfer-encoding: chunked`."""
    LENGTH = "length"
    """By `content-length`; if the ending is a fault, it announces more bytes than are sent."""
    CLOSE = "close"
    """By closing the connection: `connection: close`, without the other two."""


class Delivery(Struct, frozen=True, kw_only=True):
    """How a reply is sent over HTTP.

    Attributes:
        delay: Seconds before the response begins.
        interval: Seconds between writes, and before a fault.
        write_size: The largest number of bytes of one write; `None` writes whole pieces.
        gzip: Whether to compress the body on the fly; each piece is flushed separately.
        framing: How the end of the body is marked; `None` for the usual way: a stream is
            chunked, a status has a `content-length` if its length is known.
        ending: How the response ends.

    Raises:
        ConfigurationError: The options exclude each other.
    """

    delay: float = 0.0
    interval: float = 0.0
    write_size: int | None = None
    gzip: bool = False
    framing: Framing | None = None
    ending: Ending = Ending.COMPLETE

    def __post_init__(self) -> None:
        """Check that the options are compatible."""
        if self.write_size is not None and self.write_size < 1:
            raise ConfigurationError(
                f"write_size must be at least 1, not {self.write_size}; None writes whole pieces."
            )
        if self.ending is Ending.BAD_CHUNK and self.framing not in {None, Framing.CHUNKED}:
            raise ConfigurationError(
                f"The ending 'bad_chunk' needs a chunked body, not framing={self.framing}: omit "
                "framing, or pass framing=Framing.CHUNKED."
            )
        endless = self.ending in {Ending.ENDLESS, Ending.COMMENTS}
        if endless and self.framing is Framing.LENGTH:
            raise ConfigurationError(
                f"A body with the ending {self.ending.value!r} has no length for "
                "framing=Framing.LENGTH: omit framing, or pass Framing.CHUNKED or Framing.CLOSE."
            )

    def delivery(self) -> dict[str, Any]:
        """Return the options as keyword arguments for another reply."""
        return {name: getattr(self, name) for name in Delivery.__struct_fields__}
