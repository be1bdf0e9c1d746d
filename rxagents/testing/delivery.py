"""How an answer goes over HTTP: its pace, its framing and its ending."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from rxagents.core.errors import ConfigurationError

COMMENT_INTERVAL = 0.01
"""Seconds between comments, where a reply has no interval of its own."""


class Ending(StrEnum):
    """How a server's answer ends."""

    COMPLETE = "complete"
    """As the wire has it, with its end marker."""
    CLOSE = "close"
    """The body ends properly, but nothing says that the answer is whole."""
    STALL = "stall"
    """The connection stays open and silent until the client leaves."""
    COMMENTS = "comments"
    """Comments of the wire go on until the client leaves, one each `interval` (by default 10 ms);
    events do not."""
    ENDLESS = "endless"
    """The last piece repeats until the client leaves."""
    FIN = "fin"
    """The connection is closed (TCP FIN) in the middle of the body."""
    RESET = "reset"
    """The connection is reset (TCP RST) in the middle of the body; what a slow client has not
    taken by then may be lost to it, as TCP has it."""
    BAD_CHUNK = "bad_chunk"
    """A chunk whose size is no number arrives by itself; then the connection stalls."""

    @property
    def ends_body(self) -> bool:
        """Whether the body ends properly; every other ending is a fault of the connection."""
        return self in {Ending.COMPLETE, Ending.CLOSE}


class Framing(StrEnum):
    """How a client learns where the body ends."""

    CHUNKED = "chunked"
    """By the last chunk: `transfer-encoding: chunked`."""
    LENGTH = "length"
    """By `content-length`, which announces more than is sent where the ending is a fault."""
    CLOSE = "close"
    """By the end of the connection: `connection: close`, and neither of the others."""


class Delivery(Struct, frozen=True, kw_only=True):
    """How a reply goes over HTTP.

    Attributes:
        delay: Seconds before the answer begins.
        interval: Seconds between writes, and before a fault.
        write_size: Write at most so many bytes of the body at a time; `None` for piece by piece.
        gzip: Compress the body on the fly, each piece flushed by itself.
        framing: How the client learns where the body ends; `None` for what fits: a stream is
            chunked, a status announces its length if it has one.
        ending: How the answer ends.

    Raises:
        ConfigurationError: These cannot be had together.
    """

    delay: float = 0.0
    interval: float = 0.0
    write_size: int | None = None
    gzip: bool = False
    framing: Framing | None = None
    ending: Ending = Ending.COMPLETE

    def __post_init__(self) -> None:
        """Refuse what cannot be had together."""
        if self.write_size is not None and self.write_size < 1:
            raise ConfigurationError(
                f"write_size must be at least 1, not {self.write_size}; None writes whole pieces."
            )
        if self.ending is Ending.BAD_CHUNK and self.framing not in {None, Framing.CHUNKED}:
            raise ConfigurationError(
                "The ending 'bad_chunk' needs a body in chunks: leave framing out, or give "
                "framing=Framing.CHUNKED."
            )
        endless = self.ending in {Ending.ENDLESS, Ending.COMMENTS}
        if endless and self.framing is Framing.LENGTH:
            raise ConfigurationError(
                f"A body with the ending {self.ending.value!r} has no length to announce: leave "
                "framing out, or give framing=Framing.CHUNKED or Framing.CLOSE."
            )

    def delivery(self) -> dict[str, Any]:
        """Return these settings, for another reply."""
        return {name: getattr(self, name) for name in Delivery.__struct_fields__}
