"""Limits on what a server may send."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.checks import checked_count


class Limits(Struct, frozen=True, kw_only=True):
    """Limits on what a server may send; a stream that exceeds one raises `LimitExceededError`.

    Attributes:
        event_bytes: Bytes of one line or event. The longest line in the recorded streams has
            462 KB.
        stream_bytes: Bytes of a stream's whole body, after decompression; `None` for no limit.
        error_bytes: Bytes that are read of an error response's body; the rest stays unread.
        json_depth: Levels of nested objects and arrays in one event.

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
