"""Define lists of tools that change while agents use them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rxagents.core.tools import Tool


class LiveTools(Sequence["Tool"]):
    """A sequence of tools that may change: an agent reads it anew for each run.

    An agent takes it as its `tools`, or among them. A list such as `[*live]` does not change.
    """


def with_live_tools(tools: Iterable[object]) -> Iterator[object]:
    """Yield the items, and in the place of each `LiveTools` the tools that it has now."""
    for item in tools:
        if isinstance(item, LiveTools):
            yield from item
        else:
            yield item
