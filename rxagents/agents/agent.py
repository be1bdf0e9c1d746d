"""The base of the agents: a model, tools, limits, and a run as a stream or as one value."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Unpack, cast

from reactivex import Observable

from rxagents.agents.agent_options import AgentOptions, checked_name, not_a_model
from rxagents.agents.control import RunControl
from rxagents.agents.direct import answer_directly, results_in
from rxagents.agents.finish import CANCELLED
from rxagents.agents.go_on import end_lost_turn, restore
from rxagents.agents.handoff import follow_handoffs, handoff_in, handoff_tool, take_over
from rxagents.agents.limits import RunLimits
from rxagents.agents.own_tools import OwnTools
from rxagents.agents.prompts import system_prompt, with_prompt
from rxagents.agents.resume import RunTools, resumed
from rxagents.agents.resume_lost import still_to_decide
from rxagents.agents.run import Run
from rxagents.agents.run_methods import RunMethods
from rxagents.agents.run_options import (
    AnyRunArguments,
    RunOptions,
    checked_prompt,
    run_options,
)
from rxagents.agents.turn import Turn
from rxagents.agents.turn_loop import TurnLoop
from rxagents.agents.turns import Events, emitted, run_stages
from rxagents.agents.waiting import waiting_calls
from rxagents.core.approval import Decisions
from rxagents.core.argument_names import check_names, names_taken_by
from rxagents.core.checkpoint import Checkpoint
from rxagents.core.checks import checked_count_or_zero
from rxagents.core.chunks import StreamChunk
from rxagents.core.events import Answer, Handoff, StreamEvent, TurnEnd
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import OutputT, StreamingLLM
from rxagents.core.settings import Settings, SettingsArguments
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.core.usage import Usage
from rxagents.operators._steps import Step
from rxagents.operators.run_tools import StartTools, run_tools
from rxagents.parsing.answer_parser import AnswerParts, answer_parts
from rxagents.runtime.metering.metering import checked_budget, checked_limiter


class BaseAgent(RunMethods[OutputT], TurnLoop):
    """An agent whose turns are defined by its subclass.

    `FunctionAgent` documents the arguments.

    Attributes:
        llm: The model.
        limits: The limits of each run.
        limiter: The limiter of all runs.
        budget: The budget of all runs.
        name: The name of the agent in traces.
    """

    def __init__(
        self,
        llm: StreamingLLM,
        tools: Sequence[ToolLike] = (),
        *,
        output_type: type[OutputT] | None = None,
        **options: Unpack[AgentOptions],
    ) -> None:
        own = type(self).__name__
        if not callable(getattr(llm, "chat_stream", None)):
            raise not_a_model(own, llm)
        if not AgentOptions.__optional_keys__.issuperset(options):
            check_names(own, options, names_taken_by(type(self), AgentOptions.__optional_keys__))
        prompt = checked_prompt(options.pop("system_prompt", None))
        self.llm = llm
        self.limits = RunLimits(
            iterations=options.pop("max_iterations", 10),
            tool_calls=options.pop("max_tool_calls", None),
            tokens=options.pop("max_total_tokens", None),
            seconds=options.pop("max_seconds", None),
            at_limit=options.pop("at_limit", "error"),
        )
        self.limiter = checked_limiter(options.pop("limiter", None))
        self.budget = checked_budget(options.pop("budget", None))
        self.name = checked_name(options.pop("name", None), own)
        self._tools = OwnTools(tools)
        self._parts = answer_parts(output_type)
        self._corrections = checked_count_or_zero("corrections", options.pop("corrections", 2))
        self._system_prompt = prompt
        self._concurrency = options.pop("tool_concurrency", 8)
        self._max_result_length = options.pop("max_result_length", None)
        self._start_tools: StartTools = options.pop("start_tools", "at_once")
        self._approve = options.pop("approve", None)
        self._approve_timeout = options.pop("approve_timeout", None)
        self._settings = cast("SettingsArguments", options)
        Settings().override(**self._settings)  # raises here for a setting that no run could use
        self._run_tools(None)  # the same for the options of tools

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of runs that start from now on."""
        return self._tools.now()

    def add_tool(self, tool: ToolLike) -> None:
        """Add a tool for later runs.

        Raises:
            ConfigurationError: `tool` is not usable, or its name is taken.
        """
        self._tools.add(tool)

    def _events(
        self,
        messages: Sequence[Message],
        options: RunOptions,
        control: RunControl,
        decisions: Decisions | None = None,
    ) -> Events:
        run = self.new_run(messages, options=options)
        run.begin(control)
        control.metering = options.metering(self)
        control.agent_name = self.name

        def stages() -> Iterator[Events]:
            previous, left = control.take_previous(run), decisions
            if previous is not None and decisions is not None:
                left = yield from still_to_decide(run, decisions, previous)
            if left is not None:
                yield from self.resumed(run, left)
            elif previous is not None:
                yield from self.gone_on(run, previous)
            last_events = yield from self.turns(run)
            control.complete(run.result())
            yield emitted((*last_events, run.complete()))

        return run_stages(stages(), self.limits.seconds, control)

    def _restored(
        self, messages: Sequence[Message], options: RunOptions, checkpoint: Checkpoint
    ) -> Run:
        run = self.new_run(messages, options=options)
        restore(run, checkpoint)
        return run

    def as_handoff(self, name: str, description: str) -> Tool:
        """Return a tool that hands a run over to this agent; see `handoff_tool`."""
        return handoff_tool(self, name, description)

    def run_options(self, **options: Unpack[AnyRunArguments]) -> RunOptions:
        """Read the options of one run, which `new_run` takes.

        Raises:
            ConfigurationError: An option is not usable.
        """
        return run_options(self.tools, self._system_prompt, self._parts, options)

    def new_run(
        self,
        messages: Sequence[Message],
        usage: Usage | None = None,
        options: RunOptions | None = None,
    ) -> Run:
        """Return the state of a new run.

        Args:
            messages: What the run starts from. System prompts of earlier runs in it, of this agent
                or of another, are replaced by this agent's own, if it has one.
            usage: Tokens that were used to make `messages`; they count for the run's limit.
            options: The options of the run; the agent's own by default.
        """
        options = options or self.run_options()
        tools = to_tools((*self.tools, *options.tools)) if options.tools else self.tools
        text = self._prompt_text(options.system_prompt, tools, options.parts)
        prompt = None if text is None else system_prompt(text)
        sent = with_prompt(prompt, messages)
        run = Run(
            sent, tools, self.limits, usage, options.context, options.parts, self._corrections
        )
        run.in_own_form = self.in_own_form
        return run

    def _prompt_text(
        self, given: str | None, tools: tuple[Tool, ...], parts: AnswerParts | None
    ) -> str | None:
        """Return the text of the system message, made of the prompt that was given."""
        return given

    def in_own_form(self, messages: Sequence[Message]) -> Sequence[Message]:
        """Return calls and results in the form that this agent's model reads."""
        return messages

    def resumed(
        self, run: Run, decisions: Decisions
    ) -> Generator[Events, None, Sequence[tuple[ToolCall, Message]]]:
        """Yield the stage that runs the calls that waited, and add their results to `run`.

        Returns:
            The calls with their results.

        Raises:
            ConfigurationError: The decisions do not match the calls.
        """

        def make_run_tools(turn: Turn) -> RunTools:
            return cast("RunTools", self._run_tools(turn, decisions))

        follow_handoffs(run)
        if run.agent is not None and run.agent is not self:
            return (yield from run.agent.resumed(run, decisions))
        waiting = waiting_calls(run.messages)
        ended = yield from resumed(run, decisions, make_run_tools, self.in_own_form)
        if waiting is not None and not run.control.is_stopped:
            results = {call.id: result for call, result in ended}
            yield from self._ended_calls(run, waiting.answered(lambda call: results[call.id]))
        return ended

    def gone_on(self, run: Run, checkpoint: Checkpoint) -> Generator[Events, None, None]:
        """Yield the stages that bring a new run to the end of the turn that was lost.

        Raises:
            ConfigurationError: The checkpoint is that of another task, or a handoff is missing.
        """
        restore(run, checkpoint)
        yield from (run.agent or self).ended_lost_turn(run, checkpoint.partial)

    def ended_lost_turn(self, run: Run, lost: Sequence[Message]) -> Generator[Events, None, None]:
        """Yield the stages that end the turn that was lost; see `end_lost_turn`."""

        def make_run_tools(turn: Turn, decisions: Decisions) -> RunTools:
            return cast("RunTools", self._run_tools(turn, decisions))

        if run.output is not None:
            if run.output and not run.pending:
                yield emitted((Answer(run.output),))
            return
        messages = yield from end_lost_turn(run, lost, make_run_tools)
        if messages:
            number = run.iterations
            if not run.control.is_stopped:
                yield from self._ended_calls(run, messages)
            run.control.save()
            yield emitted((TurnEnd(number, CANCELLED),))

    def _ended_calls(self, run: Run, messages: Sequence[Message]) -> Generator[Events, None, None]:
        """End or hand over the run if the results of calls say so.

        Args:
            run: The run.
            messages: The model's message with the calls, and the results.
        """
        results = list(results_in(messages))
        events = answer_directly(run, results, self._answer_label)
        handoff = handoff_in(run.tools, results)
        if handoff is not None and run.output is None:
            take_over(run, handoff)
            events = (Handoff(handoff.name),)
        if events:
            yield emitted(events)

    def _run_tools(
        self, turn: Turn | None, decisions: Decisions | None = None
    ) -> Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]:
        """Return `run_tools` with this agent's options; events replace the calls.

        Args:
            turn: The turn whose calls run; `None` to check the options.
            decisions: Decisions that were made before; with them nobody is asked.
        """
        run = None if turn is None else turn.run
        operator = run_tools(
            () if run is None else run.tools,
            concurrency=self._concurrency,
            start=self._start_tools,
            max_result_length=self._max_result_length,
            approve=self._approve if decisions is None else decisions,
            approve_timeout=self._approve_timeout,
            context=None if run is None else run.context,
            refuse=None if turn is None else turn.refuse,
            before_start=None if run is None else run.control.before_tool,
        )
        return cast(
            "Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]",
            operator,
        )
