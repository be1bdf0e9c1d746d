"""Count the tokens of sub-agents in a turn whose tools still run."""

from __future__ import annotations

from msgspec.structs import replace

from rxagents.core.events import ToolEnd
from rxagents.core.usage import Usage, add_usage


class NestedUsage:
    """The tokens of sub-agents whose tools have not ended.

    A tool that ends says what its agents have used in all. A tool that is cancelled says nothing,
    so the turns of its agents that had ended are counted here.

    Attributes:
        counted: Counts of the providers.
        estimated: Estimates, for turns that were ended early.
    """

    def __init__(self) -> None:
        self.counted: Usage | None = None
        self.estimated: Usage | None = None

    def add(self, usage: Usage) -> None:
        """Add the tokens of a turn that has ended."""
        if usage.estimated:
            self.estimated = add_usage(self.estimated, usage)
        else:
            self.counted = add_usage(self.counted, usage)

    def remove(self, end: ToolEnd) -> None:
        """Remove the tokens of a tool that has ended."""
        self.counted = _minus(self.counted, end.usage)
        self.estimated = _minus(self.estimated, end.estimated_usage)


_COUNTS = ("input_tokens", "output_tokens", "total_tokens", "reasoning_tokens", "cached_tokens")


def _minus(total: Usage | None, part: Usage | None) -> Usage | None:
    """Return the difference; `None` if nothing is left."""
    if total is None or part is None:
        return total
    left = {
        name: max(0, count - (getattr(part, name) or 0))
        for name in _COUNTS
        if (count := getattr(total, name)) is not None
    }
    return replace(total, raw={}, **left) if any(left.values()) else None
