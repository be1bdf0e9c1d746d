"""The loop over the turns of a run, which may be handed over from one agent to another."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Generator, Sequence
from functools import partial
from typing import ClassVar

from rxagents.agents.direct import answer_directly
from rxagents.agents.handoff import Handoffs, HandoffTool, handoff_in
from rxagents.agents.partial import partial_messages, turn_so_far
from rxagents.agents.run import Run
from rxagents.agents.turn import Turn
from rxagents.agents.turns import Events, emitted
from rxagents.core.errors import AgentError, OutputError
from rxagents.core.events import Handoff, Reset, StreamEvent
from rxagents.core.messages import Message


class TurnLoop(ABC):
    """Runs turn after turn; subclasses define a turn and what its end means."""

    _answer_label: ClassVar[str] = ""

    def turns(self, run: Run) -> Generator[Events, None, Sequence[StreamEvent]]:
        """Yield the events of one turn after the other, until the run has its output.

        Returns:
            The events between the last turn and `Complete`.
        """
        agent: TurnLoop = run.agent or self
        handoffs = Handoffs(run, agent)
        last_events: Sequence[StreamEvent] = ()
        while True:
            last_events, handoff = yield from agent.own_turns(run, last_events)
            if handoff is None:
                return last_events
            agent = handoffs.hand_over(handoff)
            run.control.metering = run.control.metering.with_own(agent.limiter, agent.budget)
            last_events = (*last_events, Handoff(handoff.name))

    def own_turns(
        self, run: Run, last_events: Sequence[StreamEvent]
    ) -> Generator[Events, None, tuple[Sequence[StreamEvent], HandoffTool | None]]:
        """Yield the turns of this agent, until the run has its output or is handed over.

        Args:
            run: The run.
            last_events: The events before the first turn.

        Returns:
            The events after the last turn, and the handoff that the model has called.
        """
        while run.goes_on():
            try:
                run.check_limits()
            except AgentError:
                yield emitted(last_events)
                raise
            if last_events:
                yield emitted(last_events)
                last_events = ()
                continue  # a subscriber may have stopped or steered the run
            turn = run.begin_turn(self._last_request)
            run.set_partial(partial(self._partial, turn), partial(self._turn_so_far, turn))
            yield self._turn(turn)
            last_events = (*self._end_turn(turn), turn.end_event())
            run.control.save()
            handoff = handoff_in(run.tools, turn.call_results)
            if handoff is not None and run.output is None:
                return last_events, handoff
        return last_events, None

    def _end_turn(self, turn: Turn) -> Sequence[StreamEvent]:
        if turn.is_interrupted:
            turn.end_early(self._partial_output(turn))
            return ()
        if turn.typed is not None and turn.typed.error is not None:
            turn.end_early("")
            return self._correct(turn, turn.typed.error, is_allowed=not turn.is_last)
        if turn.is_last:
            try:
                return self._conclude_last(turn)
            except OutputError:
                turn.run.set_partial(partial(self._partial, turn))
                raise
        last_events = self._conclude(turn)
        if last_events or turn.run.output is not None:
            return last_events
        return answer_directly(turn.run, turn.call_results, self._answer_label)

    def _partial(self, turn: Turn) -> list[Message]:
        """Return the messages of a turn that was ended early."""
        return partial_messages(turn)

    def _turn_so_far(self, turn: Turn) -> list[Message]:
        """Return the messages of the turn that runs, for a checkpoint."""
        return turn_so_far(turn)

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
