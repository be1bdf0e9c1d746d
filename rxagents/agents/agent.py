"""The base of the agents: a model, tools, limits, and a run as a stream or as one value."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import ClassVar, Unpack, cast

from reactivex import Observable

from rxagents.agents.agent_options import AgentOptions, not_a_model
from rxagents.agents.control import RunControl
from rxagents.agents.direct import answer_directly, results_in
from rxagents.agents.limits import RunLimits
from rxagents.agents.partial import partial_messages
from rxagents.agents.prompts import system_prompt, with_prompt
from rxagents.agents.resume import RunTools, resumed
from rxagents.agents.run import Run
from rxagents.agents.run_methods import RunMethods
from rxagents.agents.run_options import (
    RunArguments,
    RunOptions,
    checked_prompt,
    run_options,
)
from rxagents.agents.turn import Turn
from rxagents.agents.turns import Events, emitted, run_stages
from rxagents.agents.waiting import waiting_calls
from rxagents.core.approval import Decisions
from rxagents.core.argument_names import check_names, names_taken_by
from rxagents.core.checks import checked_count_or_zero
from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import AgentError, OutputError
from rxagents.core.events import Reset, StreamEvent
from rxagents.core.messages import Message, ToolCall
from rxagents.core.protocols import OutputT, StreamingLLM
from rxagents.core.settings import Settings, SettingsArguments
from rxagents.core.tools import Tool, ToolLike, to_tools
from rxagents.core.usage import Usage
from rxagents.operators.run_tools import StartTools, run_tools
from rxagents.operators.scan_steps import Step
from rxagents.parsing.answer_parser import AnswerParts, answer_parts


class BaseAgent(RunMethods[OutputT]):
    """An agent whose turns are defined by its subclass.

    `FunctionAgent` documents the arguments.

    Attributes:
        llm: The model.
        limits: The limits of each run.
    """

    _answer_label: ClassVar[str] = ""

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
        self._tools = to_tools(tools)
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
        self._run_tools(())  # the same for the options of tools

    @property
    def tools(self) -> tuple[Tool, ...]:
        """The tools of runs that start from now on."""
        return self._tools

    def add_tool(self, tool: ToolLike) -> None:
        """Add a tool for later runs.

        Raises:
            ConfigurationError: `tool` is not usable, or its name is taken.
        """
        self._tools = to_tools([*self._tools, tool])

    def _events(
        self,
        messages: Sequence[Message],
        options: RunOptions,
        control: RunControl,
        decisions: Decisions | None = None,
    ) -> Events:
        run = self.new_run(messages, options=options)
        run.begin(control)

        def stages() -> Iterator[Events]:
            if decisions is not None:
                yield from self.resumed(run, decisions)
            last_events = yield from self.turns(run)
            control.complete(run.result())
            yield emitted((*last_events, run.complete()))

        return run_stages(stages(), self.limits.seconds, control)

    def run_options(self, **options: Unpack[RunArguments]) -> RunOptions:
        """Read the options of one run, which `new_run` takes.

        Raises:
            ConfigurationError: An option is not usable.
        """
        return run_options(self._tools, self._system_prompt, self._parts, options)

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
        tools = to_tools((*self._tools, *options.tools)) if options.tools else self._tools
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
            operator = self._run_tools(run.tools, run.context, turn.refuse, decisions)
            return cast("RunTools", operator)

        waiting = waiting_calls(run.messages)
        ended = yield from resumed(run, decisions, make_run_tools, self.in_own_form)
        if waiting is not None and not run.control.is_stopped:
            results = {call.id: result for call, result in ended}
            messages = waiting.answered(lambda call: results[call.id])
            events = answer_directly(run, results_in(messages), self._answer_label)
            if events:
                yield emitted(events)
        return ended

    def turns(self, run: Run) -> Generator[Events, None, Sequence[StreamEvent]]:
        """Yield the events of one turn after the other, until the run has its output.

        Returns:
            The events between the last turn and `Complete`.
        """
        last_events: Sequence[StreamEvent] = ()
        while run.goes_on():
            try:
                turn = run.begin_turn(self._last_request)
            except AgentError:
                yield emitted(last_events)
                raise
            turn.events_before = last_events
            run.partial_messages = partial(self._partial, turn)
            yield self._turn(turn)
            last_events = (*self._end_turn(turn), turn.end_event())
            run.control.save()
        return last_events

    def _end_turn(self, turn: Turn) -> Sequence[StreamEvent]:
        if turn.is_interrupted:
            turn.end_early(self._partial_output(turn))
            return ()
        if turn.typed is not None and turn.typed.error is not None:
            turn.end_early("")
            return self._correct(turn, turn.typed.error, is_allowed=not turn.is_last)
        if turn.is_last:
            return self._conclude_last(turn)
        last_events = self._conclude(turn)
        if last_events or turn.run.output is not None:
            return last_events
        return answer_directly(turn.run, turn.call_results, self._answer_label)

    def _partial(self, turn: Turn) -> list[Message]:
        """Return the messages of a turn that was ended early."""
        return partial_messages(turn)

    def _partial_output(self, turn: Turn) -> str:
        """Return the answer as far as the model has written it."""
        return turn.written() or turn.response().refusal

    def _correct(
        self, turn: Turn, error: OutputError, *, is_allowed: bool
    ) -> Sequence[StreamEvent]:
        """Ask the model to correct its answer; return the events to emit.

        Raises:
            OutputError: `error`, if no correction or no turn is left.
        """
        run = turn.run
        has_turns = run.iterations < run.limits.iterations or run.ends_in_last_turn
        if not (is_allowed and has_turns and run.corrections_left):
            raise error
        run.corrections_left -= 1
        run.messages.append(self._correction(error))
        return (Reset.of(error),)

    def _correction(self, error: OutputError) -> Message:
        """Return the message that asks the model to correct its answer."""
        return Message.user(str(error))

    def _run_tools(
        self,
        tools: tuple[Tool, ...],
        context: object = None,
        refuse: Callable[[ToolCall], str | None] | None = None,
        decisions: Decisions | None = None,
    ) -> Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]:
        """Return `run_tools` with this agent's options; events replace the calls.

        With `decisions`, these are all decisions, and no time limit holds for them.
        """
        operator = run_tools(
            tools,
            concurrency=self._concurrency,
            start=self._start_tools,
            max_result_length=self._max_result_length,
            approve=self._approve if decisions is None else decisions,
            approve_timeout=self._approve_timeout if decisions is None else None,
            context=context,
            refuse=refuse,
        )
        return cast(
            "Callable[[Observable[StreamChunk | Step]], Observable[StreamChunk | StreamEvent]]",
            operator,
        )

    @abstractmethod
    def _turn(self, turn: Turn) -> Events:
        """Return the events of one turn, from its request to the end of its tools."""

    @property
    @abstractmethod
    def _last_request(self) -> Message:
        """The message that asks for the answer in a last turn, at a limit."""

    @abstractmethod
    def _conclude_last(self, turn: Turn) -> Sequence[StreamEvent]:
        """Add a last turn, at a limit, to its run; return the events to emit."""

    @abstractmethod
    def _conclude(self, turn: Turn) -> Sequence[StreamEvent]:
        """Add a finished turn to its run; return the events to emit if it was the last turn."""
