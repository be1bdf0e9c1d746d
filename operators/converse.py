"""Let an agent answer a stream of messages."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, cast, get_args

from reactivex import Observable, abc

from rxagents.core.checks import checked_seconds
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.protocols import Messages
from rxagents.operators._conversing import Conversing, Policy
from rxagents.operators._steering import SteerableAgent, SteerableRun, Steering
from rxagents.runtime.factories import operator_factory
from rxagents.runtime.timed_scope import TimedScope, timed


class ConversingAgent(Protocol):
    """An agent whose runs can be streamed; with `conversation_id`, one with conversations."""

    @property
    def run_stream(self) -> Callable[..., Observable[StreamEvent]]:
        """Called with the task and, if there is one, the id of the conversation."""
        ...


@operator_factory
def converse(
    agent: ConversingAgent | SteerableAgent,
    *,
    policy: Policy = "queue",
    conversation_id: str | None = None,
    quiet: float = 0.5,
) -> Callable[[Observable[Messages]], Observable[StreamEvent]]:
    """Run an agent for each message, one run at a time.

    `policy` says what happens to a message that comes while a run goes on:

    - `"queue"`: it waits until the runs before it have ended.
    - `"supersede"`: the run is disposed, and its request is closed before the next one is sent.
    - `"merge"`: it waits, and all that wait become one task. A burst of messages is joined too: a
      run starts when no message has come for `quiet` seconds.
    - `"steer"`: the next turn of the run sees it. If the run ends before that, it starts the next
      run, with all others that wait.
    - `"ignore"`: it is dropped.

    A `MessageOutcome` event reports the outcome of each message: `queued`, `delivered` when its
    run, or the turn that sees it, starts, `superseded` or `ignored`. A failed run emits its
    `ErrorEvent`, and the next message gets a run all the same; after a task was cancelled from
    outside, the stream fails.

    .. marble::
        --(hi)--------(and?)----------------|
        [ converse(agent, policy="supersede") ]
        --D-----T--T--(SD)----T--T--C-------|
        legend: D = delivered, S = superseded, T = Token, C = Complete

    Emits when: a run of the agent emits, and when the outcome of a message is known.
    Backpressures when: downstream does; then no run starts.
    Completes when: the messages have completed, and the last run has ended.

    Args:
        agent: Any object with `run_stream(task)`. For `"steer"`, an object with `start(task)`,
            which returns an `AgentRun`, or a run of your own with its `events`, `messages`,
            `steer` and `stop`. An `AgentRun` needs a running event loop.
        policy: What happens to a message that comes while a run goes on.
        conversation_id: Passed on as `run_stream(task, conversation_id)`, for an agent with
            conversations.
        quiet: For `"merge"`: seconds without a message that end a burst.

    Returns:
        An operator from messages (a `str`, a `Message`, a role/content dict, or a sequence of
        these) to the events of the runs.

    Raises:
        ConfigurationError: On the call, if an argument has the wrong type or value; in the stream,
            if an item is no message.
        StreamCancelledError: In the stream, if a task of a run was cancelled from outside. The
            source's errors pass, and end the run.

    Example:
        >>> import reactivex as rx, rxagents
        >>> from rxagents import operators as ops
        >>> from rxagents.testing import ScriptedLLM
        >>> agent = rxagents.ConversationalAgent(ScriptedLLM("Hello.", "Bye."))
        >>> events = rx.of("Hi!", "See you.").pipe(ops.converse(agent))
        >>> answers = events.pipe(ops.of_type(rxagents.Answer))
        >>> _ = rxagents.run(answers, lambda answer: print(answer.content))
        Hello.
        Bye.
    """
    if policy not in get_args(Policy):
        raise ConfigurationError(f"policy must be one of {get_args(Policy)}, not {policy!r}.")
    needed = "start" if policy == "steer" else "run_stream"
    has_needed = callable(getattr(agent, needed, None))
    if policy == "steer" and not has_needed:
        raise ConfigurationError(
            f'policy "steer" needs an agent with start(task), such as those of rxagents; '
            f'{type(agent).__name__} has none. Use another policy, such as "queue".'
        )
    if not has_needed:
        raise ConfigurationError(
            f"agent must have run_stream(task); {type(agent).__name__} has none."
        )
    if not isinstance(conversation_id, str | None):
        raise ConfigurationError(
            f"conversation_id must be a str, not {type(conversation_id).__name__}."
        )
    checked_seconds("quiet", quiet)
    ids = () if conversation_id is None else (conversation_id,)

    def make_run(task: Messages) -> Observable[StreamEvent]:
        return cast("ConversingAgent", agent).run_stream(task, *ids)

    def start(task: Messages) -> SteerableRun:
        return cast("SteerableAgent", agent).start(task, *ids)

    def converse_(source: Observable[Messages]) -> Observable[StreamEvent]:
        def subscribe(observer: abc.ObserverBase[StreamEvent], scope: TimedScope) -> None:
            if policy == "steer":
                state: Conversing = Steering(observer, scope, start)
            else:
                state = Conversing(observer, scope, make_run, policy, quiet)
            scope.subscribe(source, state.on_next, observer.on_error, state.on_completed)

        return timed(subscribe)

    return converse_
