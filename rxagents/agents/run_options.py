"""Read the options of one run: more tools, another system prompt, the user's context."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Generic, Required, TypeAlias, TypedDict, TypeVar

from msgspec import Struct

from rxagents.core.argument_names import check_names
from rxagents.core.errors import ConfigurationError
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.parsing.answer_parser import AnswerParts, answer_parts
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.metering.metering import (
    Metering,
    checked_budget,
    checked_limiter,
    current_metering,
)
from rxagents.runtime.spending.budget import Budget

T = TypeVar("T")

SystemPrompt: TypeAlias = str | Callable[[Any], str]
"""A text, or a function that returns it for the context of a run."""


class RunArguments(TypedDict, total=False):
    """Options of one run.

    Attributes:
        tools: Tools of this run, in addition to the agent's.
        system_prompt: The prompt of this run, in place of the agent's: a text, or a function of
            `context` that returns it.
        context: Any object, which the tools see as `ToolContext.context`. Subscriptions to one
            stream share it.
        limiter: Lets the requests of the run and of its sub-agents wait; see `Limiter`.
        budget: Limits what they use and cost, with all that share it; see `Budget`.
    """

    tools: Sequence[ToolLike]
    system_prompt: SystemPrompt | None
    context: Any
    limiter: RequestLimiter | None
    budget: Budget | None


class TypedRunArguments(RunArguments, Generic[T], total=False):
    """Options of one run with a type of its own.

    Attributes:
        output_type: The type of the run's answer, in place of the agent's.
    """

    output_type: Required[type[T]]


class AnyRunArguments(RunArguments, total=False):
    """Options of one run, as its implementation takes them.

    Attributes:
        output_type: The type of the run's answer; `None` for that of the agent's.
    """

    output_type: type[Any] | None


class RunOptions(Struct, frozen=True):
    """The options of one run, as the run uses them.

    Attributes:
        tools: The tools that the run has in addition to the agent's.
        system_prompt: The prompt's text, or `None` for no prompt.
        context: The user's object.
        parts: The parts and the type of the answer; `None` for a text.
        limiter: The limiter of the run.
        budget: The budget of the run.
    """

    tools: tuple[Tool, ...] = ()
    system_prompt: str | None = None
    context: Any = None
    parts: AnswerParts | None = None
    limiter: RequestLimiter | None = None
    budget: Budget | None = None

    def metering(self, agent: object) -> Metering:
        """Return what the requests of a run are subject to, beside what surrounds the run."""
        limiter, budget = getattr(agent, "limiter", None), getattr(agent, "budget", None)
        metering = current_metering().with_own(limiter, budget)
        return metering.with_own(self.limiter, self.budget, self.context)


def checked_prompt(prompt: SystemPrompt | None) -> SystemPrompt | None:
    """Return `prompt` if it is a text, a function or `None`.

    Raises:
        ConfigurationError: It is something else.
    """
    if prompt is None or isinstance(prompt, str) or callable(prompt):
        return prompt
    raise ConfigurationError(
        f"system_prompt must be a str or a function of the run's context, not "
        f"{type(prompt).__name__}."
    )


def run_options(
    tools: tuple[Tool, ...],
    prompt: SystemPrompt | None,
    parts: AnswerParts | None,
    arguments: AnyRunArguments,
) -> RunOptions:
    """Check the arguments of a run against its agent's tools, and resolve its prompt.

    Raises:
        ConfigurationError: An argument is unknown or not usable, or two tools have one name. What
            a function for the prompt raises passes unchanged.
    """
    check_names("A run of an agent", arguments, AnyRunArguments.__optional_keys__)
    context = arguments.get("context")
    text = checked_prompt(arguments.get("system_prompt"))
    text = prompt if text is None else text
    if text is not None and not isinstance(text, str):
        text = text(context)
        if not isinstance(text, str):
            raise ConfigurationError(
                f"The system_prompt function must return a str, not {type(text).__name__}."
            )
    more = to_tools(arguments.get("tools"))
    to_tools((*tools, *more))  # raises here for a name that the agent's tools have
    output_type = arguments.get("output_type")
    if output_type is not None:
        parts = answer_parts(output_type)
    limiter = checked_limiter(arguments.get("limiter"))
    budget = checked_budget(arguments.get("budget"))
    return RunOptions(more, text, context, parts, limiter, budget)
