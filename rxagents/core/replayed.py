"""An item of a shared stream, with its number."""

from __future__ import annotations

from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")


class Replayed(Struct, Generic[T], frozen=True):
    """An item with its number, as `replay_bounded` emits it.

    Attributes:
        id: Counted from 1, and never used again: an event id as server-sent events have it.
        item: The source's item.
    """

    id: int
    item: T
