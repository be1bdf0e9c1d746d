"""The limits of one run of an agent."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError

AtLimit: TypeAlias = Literal["error", "answer"]
"""What a run does at its limit: it fails, or asks the model once for its answer, without tools."""


class RunLimits(Struct, frozen=True, kw_only=True):
    """The limits of one run; `None` for no limit.

    Attributes:
        iterations: Turns of the model; a run that uses them up without an answer fails with
            `MaxIterationsError`. The other limits fail it with `RunLimitError`.
        tool_calls: Tool calls of all turns.
        tokens: Tokens of all turns, if the provider sends usage; checked between turns.
        seconds: Time from the run's start to its end, without the time in which it waits for
            another run of its conversation.
        at_limit: `"error"`, or `"answer"` for a last turn without tools at the other limits; the
            limit of time always fails the run.

    Raises:
        ConfigurationError: A value is not usable.
    """

    iterations: int = 10
    tool_calls: int | None = None
    tokens: int | None = None
    seconds: float | None = None
    at_limit: AtLimit = "error"

    def __post_init__(self) -> None:
        checked_count("max_iterations", self.iterations)
        if self.tool_calls is not None:
            checked_count("max_tool_calls", self.tool_calls)
        if self.tokens is not None:
            checked_count("max_total_tokens", self.tokens)
        if self.seconds is not None:
            checked_seconds("max_seconds", self.seconds)
        if self.at_limit not in get_args(AtLimit):
            raise ConfigurationError(
                f'at_limit must be "error" or "answer", not {self.at_limit!r}.'
            )
