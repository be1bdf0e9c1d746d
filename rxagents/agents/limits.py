"""How much one run of an agent may do."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds


class RunLimits(Struct, frozen=True, kw_only=True):
    """How much one run may do; `None` for no limit.

    Attributes:
        iterations: Turns of the model; reaching it without an answer is a `MaxIterationsError`,
            reaching any of the others a `RunLimitError`.
        tool_calls: Calls of tools, over all turns.
        tokens: Tokens of all turns, as far as the provider tells them; looked at between turns.
        seconds: The whole run, from its beginning to its end; a run that waits for another of its
            conversation has not begun.

    Raises:
        ConfigurationError: A value is not usable.
    """

    iterations: int = 10
    tool_calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        checked_count("max_iterations", self.iterations)
        if self.tool_calls is not None:
            checked_count("max_tool_calls", self.tool_calls)
        if self.tokens is not None:
            checked_count("max_total_tokens", self.tokens)
        if self.seconds is not None:
            checked_seconds("max_seconds", self.seconds)
