"""A handle on one run: its events, its result, and how to stop and steer it."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Generator
from operator import attrgetter
from typing import Any, Generic

from reactivex import abc
from reactivex import operators as rx_ops

from rxagents.agents.control import RunControl
from rxagents.agents.turns import Events
from rxagents.core.checks import checked_count_or_zero
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.message_input import to_messages
from rxagents.core.messages import Message
from rxagents.core.protocols import AgentResult, Messages, OutputT
from rxagents.core.usage import Usage
from rxagents.operators._replay import Replayed
from rxagents.operators.replay_bounded import replay_bounded
from rxagents.runtime.factories import core_of
from rxagents.runtime.loop import run_on_loop, running_loop
from rxagents.runtime.stream import Stream

DEFAULT_REPLAY = 1024
"""How many of the last events a late subscriber gets."""


class AgentRun(Generic[OutputT]):
    """One run of an agent, which `agent.start(task)` starts at once.

    The run goes on without subscribers. While all subscribers are slow, it slows down; one that is
    more than `replay` events behind the others fails with `BackpressureError`. With `replay=0` no
    event is kept or shared: the only subscriber of `events` starts the run, and ends it by leaving.

    Attributes:
        id: The id of the run.
        events: The events of the run. Each subscriber gets the last events first, then the next.
            A subscriber that leaves does not end the run; `stop` does.
    """

    def __init__(self, make_events: Callable[[RunControl], Events], replay: int) -> None:
        self._loop = running_loop()
        self.events: Events
        self._end: asyncio.Future[AgentResult[OutputT]] = self._loop.create_future()
        self._control = RunControl.subscribed(self._on_end)
        self.id = f"run_{uuid.uuid4().hex}"
        events = make_events(self._control)
        if not checked_count_or_zero("replay", replay):
            self.events = _for_one_subscriber(events)
            return
        shared = events.pipe(replay_bounded(replay, when_abandoned="continue"))
        item_of: Callable[[Replayed[StreamEvent]], StreamEvent] = attrgetter("item")
        self.events = shared.pipe(rx_ops.map(item_of))
        # This starts the run, which then goes on without subscribers. It may fail at once.
        self.events.subscribe(on_error=lambda _: None).dispose()

    @property
    def result(self) -> Awaitable[AgentResult[OutputT]]:
        """The result, to be awaited, more than once if need be.

        Raises:
            RxAgentsError: The run failed; the error has its usage, messages and iterations.
        """
        return _Result(self._end)

    @property
    def usage(self) -> Usage | None:
        """The token counts so far, with those that the provider has sent for the present turn."""
        run = self._control.run
        return None if run is None else run.usage_so_far

    @property
    def messages(self) -> tuple[Message, ...]:
        """The conversation so far, with what the present turn has written and called."""
        run = self._control.run
        return () if run is None else run.messages_so_far()

    @property
    def has_ended(self) -> bool:
        """Whether the run has completed or failed."""
        return self._control.has_ended

    def stop(self) -> None:
        """End the run with what there is; its finish reason is `"cancelled"`.

        The request and the running tools are cancelled, and `Complete` follows. Any thread may call
        it, any number of times. A run that waits for another of its conversation ends without a
        request.
        """
        run_on_loop(self._loop, self._control.stop)

    def steer(self, text: Messages, *, now: bool = False) -> bool:
        """Add a message of the user, which the model sees in its next turn.

        If the present turn is the last one, another one follows. Call it on the loop's thread.

        Args:
            text: What the user says.
            now: End the present turn and start the next one at once. What the model has written
                stays as a partial answer. A tool that runs is cancelled, and the model sees that.

        Returns:
            Whether the next turn will see it; `False` if there is none: the last turn has ended, or
            the run was stopped. If the run fails before its next turn, `messages` lacks it.

        Raises:
            ConfigurationError: The message cannot be read.
        """
        messages = to_messages(text)
        control = self._control
        if control.has_ended or control.is_stopped or not control.takes_messages:
            return False
        self._control.steer(messages, now=now)
        return True

    def _on_end(self) -> None:
        if self._end.done():
            return
        control = self._control
        if control.result is not None:
            self._end.set_result(control.result)
        elif control.error is not None:
            self._end.set_exception(control.error)
            self._end.exception()  # a result that nobody awaits is no unhandled error


def _for_one_subscriber(events: Events) -> Events:
    has_subscriber = False

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        nonlocal has_subscriber
        if has_subscriber:
            raise ConfigurationError(
                "The run was started with replay=0, for one subscriber, and has had one. Start it "
                "with replay=1 or more to share its events."
            )
        has_subscriber = True
        subscription: abc.DisposableBase = core_of(events)(observer, scheduler)
        return subscription

    return Stream(subscribe)


class _Result(Awaitable[AgentResult[OutputT]]):
    """The result of a run; who stops waiting for it does not end the run.

    A future is made when it is awaited: asyncio reports the failure of one that nobody awaits.
    """

    def __init__(self, end: asyncio.Future[AgentResult[OutputT]]) -> None:
        self._end = end

    def __await__(self) -> Generator[Any, None, AgentResult[OutputT]]:
        return asyncio.shield(self._end).__await__()
