"""The limits of one run of an agent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TypeAlias, get_args

from msgspec import Struct
from msgspec.structs import asdict, replace

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError, MaxIterationsError

AtLimit: TypeAlias = Literal["error", "answer"]
"""`"error"` fails the run at its limit; `"answer"` asks the model for its answer, without tools."""


_SHOWN = 80
"""The number of characters of the model's text in an error's message."""


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


def no_answer(turns: int, last_text: str, *, has_acted: bool) -> MaxIterationsError:
    """Return the error of a run that has no answer after its last turn.

    Args:
        turns: The number of turns.
        last_text: The text of the last response; may be empty.
        has_acted: Whether a tool has been called.
    """
    message = f"The run has no answer after its {turns} turns"
    if has_acted or not last_text:
        message += ". Raise max_iterations, or give the model an easier task or better tools."
    else:
        message += (
            ": no turn had an action or an answer. The last text begins with "
            f"{last_text[:_SHOWN]!r}; last_text has all of it. Use a model that keeps to the form, "
            "or direct_answer=True of ReActAgent for answers without a label."
        )
    return MaxIterationsError(message, last_text=last_text)


class Used(Struct, frozen=True):
    """The counts of one agent, or of a whole run, for its limits.

    Attributes:
        iterations: The number of turns.
        tool_calls: The number of tool calls.
        tokens: The number of tokens.
    """

    iterations: int = 0
    tool_calls: int = 0
    tokens: int = 0

    def minus(self, other: Used) -> Used:
        """Return the difference."""
        return Used(
            self.iterations - other.iterations,
            self.tool_calls - other.tool_calls,
            self.tokens - other.tokens,
        )


def raised(limits: RunLimits, used: Used) -> RunLimits:
    """Return limits for the whole run, such that an agent's own hold after what others used."""
    raised: Mapping[str, int] = {
        name: limit + count
        for name, count in asdict(used).items()
        if (limit := getattr(limits, name)) is not None
    }
    return replace(limits, **raised)
