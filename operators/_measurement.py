"""The result of `measure`."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.usage import Usage


class Measurement(Struct, frozen=True):
    """When the items of a stream came; all times are seconds since the subscription.

    Items with content are counted: text, reasoning, fragments of tool calls. Of an agent's events
    these are `Token` and `Reasoning`.

    Attributes:
        first: When the first item with content came (the time to the first token); `None` if none
            came.
        last: When the last item with content came.
        end: When the stream ended or was disposed.
        items: How many items with content came.
        longest_gap: The longest time between two of them.
        usage: The provider's token counts; `None` if it sent none.
        finish_reason: Why the model stopped, as in `StreamChunk`.
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
        """Items by the time of the last one; `None` if that time is 0."""
        return self.items / self.last if self.last > 0 else None

    @property
    def tokens_per_second(self) -> float | None:
        """The provider's output tokens by the time of the last item; `None` if not known."""
        tokens = None if self.usage is None else self.usage.output_tokens
        return None if tokens is None or self.last <= 0 else tokens / self.last
