"""The options of every agent."""

from __future__ import annotations

from rxagents.agents.limits import AtLimit
from rxagents.agents.run_options import SystemPrompt
from rxagents.core.errors import ConfigurationError
from rxagents.core.settings import SettingsArguments
from rxagents.operators.run_tools import StartTools
from rxagents.runtime.limiting.protocol import RequestLimiter
from rxagents.runtime.spending.budget import Budget
from rxagents.runtime.tool_execution.approval import Approval


class AgentOptions(SettingsArguments, total=False):
    """Options of every agent; generation settings, such as `temperature`, go to the model.

    Attributes:
        system_prompt: The first message of every request: a text, or a function that returns it
            for the context of a run. None by default.
        max_iterations: Turns of the model in one run; 10 by default.
        max_tool_calls: Tool calls in one run; no limit by default.
        max_total_tokens: Tokens of one run, checked between turns; no limit by default.
        max_seconds: Seconds that one run may take; no limit by default.
        at_limit: What a run does at the limit of turns, tool calls or tokens: `"error"` to fail
            (the default), or `"answer"` to ask the model once more, without tools, for its answer.
        tool_concurrency: How many tools of a turn may run at a time; 8 by default.
        max_result_length: How many characters of a tool's result the model sees at most, for tools
            that have no limit of their own and do not return directly; no limit by default.
        start_tools: `"at_once"` to start a tool when its call is complete, or `"turn_end"`.
        approve: Decides about the calls of tools that require approval; see `run_tools`. With
            `"defer"` such calls wait: the run ends with them, and `resume` goes on with it.
        approve_timeout: Seconds after which a call without a decision is refused; no limit by
            default. Not with `"defer"`.
        corrections: How many times an answer that does not match the `output_type` goes back to
            the model, with the reason; 2 by default. Each correction is a turn.
        limiter: Lets the requests of all runs wait; see `Limiter`.
        budget: Limits what all runs use and cost together; see `Budget`.
        name: The name of the agent in traces; the name of its class by default.
    """

    system_prompt: SystemPrompt | None
    max_iterations: int
    max_tool_calls: int | None
    max_total_tokens: int | None
    max_seconds: float | None
    at_limit: AtLimit
    tool_concurrency: int
    max_result_length: int | None
    start_tools: StartTools
    approve: Approval | None
    approve_timeout: float | None
    corrections: int
    limiter: RequestLimiter | None
    budget: Budget | None
    name: str | None


def checked_name(name: object, default: str) -> str:
    """Return the name of an agent.

    Raises:
        ConfigurationError: It is not a text of one character or more.
    """
    if name is None:
        return default
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"name must be a text of one character or more, not {name!r}.")
    return name


def not_a_model(agent: str, llm: object) -> ConfigurationError:
    """Return the error for an `llm` that is no model; `agent` is the name of the agent's class."""
    if isinstance(llm, str):
        return ConfigurationError(
            f"llm must be a model, not the str {llm!r}. Write "
            f"{agent}(rxagents.get_model({llm!r}), …)."
        )
    return ConfigurationError(
        f"llm must be a model that streams, with chat_stream; {type(llm).__name__} has none."
    )
