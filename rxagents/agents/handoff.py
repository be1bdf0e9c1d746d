"""Hand a run over to another agent, with its conversation.

Theory of operation. A handoff is a tool that only carries an agent. When a turn has ended whose
calls include a handoff, the loop of turns goes on with that agent (`TurnLoop.turns`), on the same
`Run`. So the events, the usage and the control are those of one run, and memory keeps one exchange.

- The run gets the other agent's system prompt, tools and limits; the clock of `max_seconds` starts
  anew. Its type of answer stays.
- `Run` counts the whole run. The limits of an agent hold for its own turns only: they are raised
  by what the others have used. An agent that gets the run again goes on with its own counts, so
  that two agents that hand over to each other come to an end.
- A run that waits for decisions says in its mark which handoffs it has followed, so that `resume`
  of the first agent goes on with the last one.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import reactivex as rx
from msgspec.structs import replace
from reactivex import Observable

from rxagents.agents.limits import Used, raised
from rxagents.agents.prompts import without_prompts
from rxagents.agents.waiting import waiting_calls
from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import ToolCall, ToolResult
from rxagents.core.tool_names import with_tool_name
from rxagents.core.tools import Tool, tool

if TYPE_CHECKING:
    from rxagents.agents.agent import BaseAgent
    from rxagents.agents.run import Run
    from rxagents.agents.turn_loop import TurnLoop


class HandoffTool(Tool, frozen=True, kw_only=True):
    """A tool that hands the run over to an agent.

    Attributes:
        agent: The agent that goes on with the run.
    """

    agent: BaseAgent[Any]


def handoff_tool(agent: BaseAgent[Any], name: str, description: str) -> HandoffTool:
    """Return a tool that hands the run over to an agent, with its conversation.

    When the model calls it, the other calls of the turn end, and then the run goes on with the
    agent: with its model, system prompt, tools and limits, on the same messages. A `Handoff` event
    says so. Of several calls in one turn the first one counts. The answer is that of the run; its
    type (`output_type`) stays that of the first agent.

    Args:
        agent: The agent.
        name: The tool's name.
        description: When to hand over, written for the model that does it.

    Raises:
        ConfigurationError: The name is not usable.
    """

    def hand_over() -> Observable[str]:
        return rx.just("Another agent goes on with the conversation.")

    made = tool(hand_over, name=name, description=description)
    fields = {field: getattr(made, field) for field in made.__struct_fields__}
    return HandoffTool(agent=agent, **fields)


def handoff_in(tools: Iterable[Tool], results: Iterable[ToolResult]) -> HandoffTool | None:
    """Return the first handoff among the calls of a turn that have succeeded."""
    known = {each.name: each for each in tools}
    for result in results:
        called = known.get(with_tool_name(ToolCall(result.call_id, result.name), known).name)
        if isinstance(called, HandoffTool) and not result.is_error:
            return called
    return None


def handoff_named(tools: Iterable[Tool], name: str) -> HandoffTool:
    """Return a handoff that a run has followed before it was deferred.

    Raises:
        ConfigurationError: There is none with this name.
    """
    for each in tools:
        if each.name == name and isinstance(each, HandoffTool):
            return each
    raise ConfigurationError(
        f"The run was handed over with the tool {name!r}, which is no handoff of the agent now. "
        "Resume it with an agent that has the same handoffs."
    )


class Handoffs:
    """The agents of one run, and what each of them has used.

    Args:
        run: The run.
        agent: The agent that has it.
    """

    def __init__(self, run: Run, agent: TurnLoop) -> None:
        self._run = run
        self._agent = agent
        self._by_others = run.used if run.handoffs else Used()
        self._used: dict[TurnLoop, Used] = {}

    def hand_over(self, handoff: HandoffTool) -> BaseAgent[Any]:
        """Let the handoff's agent go on with the run, and return it."""
        run, agent, total = self._run, handoff.agent, self._run.used
        self._used[self._agent] = total.minus(self._by_others)
        self._agent = agent
        self._by_others = total.minus(self._used.get(agent, Used()))
        take_over(run, handoff)
        run.limits = raised(agent.limits, self._by_others)
        return agent


def take_over(run: Run, handoff: HandoffTool) -> None:
    """Give the run the system prompt, the tools and the limits of the handoff's agent."""
    agent = handoff.agent
    options = replace(agent.run_options(context=run.context), parts=run.parts)
    before = without_prompts(run.messages[: run.start])
    exchange = without_prompts(run.messages[run.start :])
    own = agent.new_run(agent.in_own_form(before), None, options)
    run.messages = [*own.messages, *agent.in_own_form(exchange)]
    run.start = len(own.messages)
    run.idle_tools = run.tools or run.idle_tools
    run.tools, run.limits = own.tools, raised(agent.limits, run.used)
    run.control.set_time_limit(agent.limits.seconds)
    run.in_own_form, run.corrections_left = own.in_own_form, own.corrections_left
    run.first_iteration = run.iterations + 1
    run.is_asked_for_answer, run.reached = False, None
    run.handoffs = (*run.handoffs, handoff.name)
    run.agent = agent


def follow_handoffs(run: Run) -> None:
    """Hand a new run, whose messages end with waiting calls, to the agent that made the calls.

    Raises:
        ConfigurationError: The agent does not have a handoff that the run had followed.
    """
    waiting = waiting_calls(run.messages)
    if waiting is None:
        return
    calls = run.messages[len(waiting.before) :]  # they keep their form until they are answered
    run.messages = list(waiting.before)
    for name in waiting.counts.handoffs[len(run.handoffs) :]:
        take_over(run, handoff_named(run.tools, name))
    run.messages += calls
