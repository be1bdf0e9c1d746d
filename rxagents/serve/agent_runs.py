"""Start the runs of an agent, stop and steer them, and keep those whose calls wait.

Theory of operation. A run whose calls wait for decisions (`approve="defer"`) has ended. Decisions
start another run from its messages, so the messages of the newest runs are kept. A `Conversation`
keeps such a run in its own store, so only the id of the conversation is kept of its runs. The
resumed run may wait again: it is kept like any other.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple, TypeAlias

from reactivex import Observable

from rxagents.agents.agent_run import AgentRun
from rxagents.agents.conversation import Conversation
from rxagents.agents.run_methods import RunMethods
from rxagents.core.events import StreamEvent
from rxagents.core.messages import Message
from rxagents.core.protocols import Messages
from rxagents.serve.failures import RequestError
from rxagents.serve.kept_request import KeptRequest
from rxagents.serve.run_stream import with_clean_up

MakeAgent: TypeAlias = Callable[[], Any]
"""Returns the agent of a run: an object with `run_stream`, perhaps `start` and `start_resumed`."""


class EndedRun(NamedTuple):
    """The messages and the conversation of an ended run, which decisions need."""

    messages: tuple[Message, ...]
    conversation_id: str | None


class AgentRuns:
    """The runs of an agent that readers join.

    Args:
        make_agent: Returns the agent of a run.
        most: How many runs that have ended are kept for decisions.
    """

    def __init__(self, make_agent: MakeAgent, most: int) -> None:
        self._make_agent = make_agent
        self._most = most
        self._live: dict[str, AgentRun[Any]] = {}
        self._ended: OrderedDict[str, EndedRun] = OrderedDict()

    def prepare(self, run_id: str, request: KeptRequest) -> Callable[[], Observable[StreamEvent]]:
        """Return a function that starts a run.

        Raises:
            RequestError: The agent cannot do it.
            ConfigurationError: The request cannot be read.
        """
        agent, conversation_id = self._make_agent(), request.conversation_id
        stream: Observable[StreamEvent]
        if request.decisions is None:
            arguments = () if conversation_id is None else (conversation_id,)
            stream = agent.run_stream(request.task, *arguments)
            if not callable(getattr(agent, "start", None)):
                return lambda: stream
            make_run = partial(agent.start, request.task, *arguments, **_options(agent))
        elif isinstance(agent, Conversation):
            conversation_id = conversation_id or "default"
            stream = agent.resume_stream(request.decisions, conversation_id)
            at_end = partial(self.set_ended, run_id, EndedRun((), conversation_id))
            return lambda: with_clean_up(stream, at_end)
        elif callable(getattr(agent, "start_resumed", None)):
            agent.resume_stream(request.messages, request.decisions)
            make_run = partial(
                agent.start_resumed, request.messages, request.decisions, **_options(agent)
            )
        else:
            raise RequestError(400, "The agent cannot go on with a run: it has no start_resumed.")
        return lambda: self._live_events(run_id, make_run(), conversation_id)

    def take_ended(self, run_id: str) -> EndedRun:
        """Remove a run that has ended, and return what decisions need of it.

        Raises:
            RequestError: It is not kept.
        """
        ended = self._ended.pop(run_id, None)
        if ended is None:
            raise RequestError(
                404,
                "No run with this id has ended here. Calls wait for decisions when the agent has "
                'approve="defer" and the run has ended with the finish reason "approval".',
            )
        return ended

    def set_ended(self, run_id: str, ended: EndedRun) -> None:
        """Keep a run that has ended for decisions."""
        self._ended[run_id] = ended
        if len(self._ended) > self._most:
            self._ended.popitem(last=False)

    def stop(self, run_id: str) -> bool:
        """End a run with what there is; return whether it goes on here."""
        run = self._live.get(run_id)
        if run is not None:
            run.stop()
        return run is not None

    def stop_all(self) -> None:
        """End all runs with what there is."""
        for run in tuple(self._live.values()):
            run.stop()

    def steer(self, run_id: str, text: Messages, *, now: bool) -> bool:
        """Add a message to a run; return whether its next turn will see it."""
        run = self._live.get(run_id)
        return run is not None and run.steer(text, now=now)

    def _live_events(
        self, run_id: str, run: AgentRun[Any], conversation_id: str | None
    ) -> Observable[StreamEvent]:
        def end() -> None:
            run.stop()  # the log may have left it: it was stopped there, or cannot be written
            del self._live[run_id]
            self.set_ended(run_id, EndedRun(run.messages, conversation_id))

        self._live[run_id] = run
        return with_clean_up(run.events, end)


def _options(agent: object) -> dict[str, Any]:
    """Return how a run is started that has one subscriber, the log."""
    return {"replay": 0} if isinstance(agent, RunMethods | Conversation) else {}
