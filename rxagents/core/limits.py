"""How much of what a server sends is read."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.checks import checked_count


class Limits(Struct, frozen=True, kw_only=True):
    """How much a server may send; reaching a limit is a `LimitExceededError`, not a large process.

    Attributes:
        event_bytes: One line or event. The longest line seen in recorded streams has 462 KB.
        stream_bytes: The whole body of a stream, after decompression; `None` for no limit.
        error_bytes: How much of an error's body is read; what follows is left unread.
        json_depth: How deeply the objects and arrays of one event may be nested.

    Raises:
        ConfigurationError: A value is not a whole number of 1 or more.
    """

    event_bytes: int = 8 * 1024 * 1024
    stream_bytes: int | None = None
    error_bytes: int = 64 * 1024
    json_depth: int = 128

    def __post_init__(self) -> None:
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if name != "stream_bytes" or value is not None:
                checked_count(f"The limit {name}", value)


DEFAULT_LIMITS = Limits()
