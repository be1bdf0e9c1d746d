"""What was measured of a stream."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.usage import Usage


class Measurement(Struct, frozen=True):
    """When a stream's items came; all times in seconds from the subscription.

    Attributes:
        first: When the first item with content came: the time to the first token; `None` if none
            did.
        last: When the last one did.
        end: When the stream ended or was left.
        items: How many items with content came: text, reasoning, fragments of tool calls. Of an
            agent's events these are `Token` and `Reasoning`.
        longest_gap: The longest time between two of them.
        usage: The provider's token counts, `None` if it told none.
        finish_reason: Why the answer ended, as in `StreamChunk`.
    """

    first: float | None = None
    last: float = 0.0
    end: float = 0.0
    items: int = 0
    longest_gap: float = 0.0
    usage: Usage | None = None
    finish_reason: str = ""

    @property
    def mean_gap(self) -> float | None:
        """The mean time between two items; `None` for fewer than two."""
        if self.first is None or self.items < 2:
            return None
        return (self.last - self.first) / (self.items - 1)

    @property
    def items_per_second(self) -> float | None:
        """Items by the time to the last of them; `None` if there is no such time."""
        return self.items / self.last if self.last > 0 else None

    @property
    def tokens_per_second(self) -> float | None:
        """The provider's count of output tokens by the time to the last; `None` if not known."""
        tokens = None if self.usage is None else self.usage.output_tokens
        return None if tokens is None or self.last <= 0 else tokens / self.last
