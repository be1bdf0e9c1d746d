"""Hold what `run_many` knows of one run on a worker, and of one worker."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
from reactivex import abc

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import StreamEvent
from rxagents.core.message_input import to_messages
from rxagents.runtime.checkpoints import is_checkpoint_of_task, take_sink
from rxagents.runtime.many_runs.engine import RunState
from rxagents.runtime.many_runs.links import Link
from rxagents.runtime.many_runs.messages import Order, encode
from rxagents.runtime.many_runs.permits import Permits
from rxagents.runtime.recording import encode_value


class PoolRun:
    """One run, on whichever worker.

    Attributes:
        number: Its number in messages.
        state: Its key, and what is known of it.
        value: Its input, pickled.
        observer: Gets its events.
        has_emitted: Whether the present attempt has emitted.
        member: The worker that has it.
        has_ended: Whether it has ended.
        checkpoint: What another attempt goes on from, as JSON; empty for nothing.
    """

    __slots__ = (
        "_sink", "checkpoint", "has_emitted", "has_ended", "member", "number", "observer", "state",
        "value",
    )  # fmt: skip

    def __init__(
        self, number: int, state: RunState, value: bytes, observer: abc.ObserverBase[StreamEvent]
    ) -> None:
        self.number = number
        self.state = state
        self.value = value
        self.observer = observer
        self.has_emitted = False
        self.member: Member | None = None
        self.has_ended = False
        self.checkpoint = b""
        self._sink = take_sink(self)
        previous = None if self._sink is None else self._sink.take_previous(self._is_own)
        if previous is not None:
            self.checkpoint = encode_value(previous)

    def _is_own(self, checkpoint: Checkpoint) -> bool:
        try:
            task = to_messages(self.state.value)
        except ConfigurationError:
            return True  # the input of a function, which may have made messages of it
        return is_checkpoint_of_task(checkpoint, task)

    @property
    def is_durable(self) -> bool:
        """Whether an event log keeps its checkpoints."""
        return self._sink is not None and self._sink.is_durable

    def save(self, data: bytes, then: Callable[[], None]) -> None:
        """Keep a checkpoint, and call `then` when it is stored."""
        self.checkpoint = data
        if self._sink is not None:
            self._sink.save(msgspec.json.decode(data, type=Checkpoint), then)


class Member:
    """A worker that is ready."""

    def __init__(self, link: Link, permits: Permits) -> None:
        self.link = link
        self.permits = permits
        self.level = 0
        self.runs: dict[int, PoolRun] = {}

    def send(self, order: Order) -> None:
        """Send an order."""
        self.link.send(encode(order))
