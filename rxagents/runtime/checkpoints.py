"""Let an agent's run find the event log that keeps its stream.

Theory of operation. Checkpoints go against the stream: the agent makes them, and the writer that
subscribed to its stream keeps them. They are no items, since every operator between the two would
see them. So a writer puts a `CheckpointSink` in a context variable while it subscribes, and a run
takes it when it is subscribed to. A run that is queued, and starts in the context of another one,
has taken its own before.

- One run has the sink at a time. An agent's tools may be agents, which are subscribed to inside the
  same context: their state is no part of a checkpoint, since the outer run starts the tool again.
- A durable stream goes on from the checkpoint of the attempt before (`previous`), which the first
  run that takes the sink gets. Its tools start when the checkpoint with their start is stored:
  `save` calls `then` for that. Without it a tool could run twice: once before a crash that left no
  trace of it, and once when the model calls it again.
- Timers and pooled connections keep the context variables of their creation. `close` drops what the
  sink refers to, so that they do not keep the subscriber.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Literal, Protocol

import msgspec
from msgspec.structs import replace

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.messages import Message
from rxagents.runtime.recording import encode_value


class Ending(Protocol):
    """A run, which ends some time."""

    @property
    def has_ended(self) -> bool:
        """Whether it has ended."""


class CheckpointSink:
    """Takes the checkpoints of one run at a time.

    Args:
        save: Keeps a checkpoint.

    Attributes:
        request: What the run was asked; each checkpoint gets it. `None` for nothing.
        is_durable: Whether the run goes on after a crash.
        previous: The checkpoint of the attempt before, until a run goes on from it.
        is_continued: Whether a run goes on from the attempt before.
    """

    def __init__(self, save: Callable[[Checkpoint, Callable[[], None]], None]) -> None:
        self.request: Any = None  # whatever the program that started the run has to know
        self.is_durable = False
        self.previous: Checkpoint | None = None
        self.is_continued = False
        self._save = save
        self._run: Ending | None = None

    def begin(self) -> None:
        """Keep the request, if there is one, before the run has a checkpoint of its own."""
        if self.request is not None:
            self.save(self.previous or Checkpoint(()))

    def save(self, checkpoint: Checkpoint, then: Callable[[], None] = lambda: None) -> None:
        """Keep a checkpoint, and call `then` when it is stored."""
        if self.request is not None:
            checkpoint = replace(checkpoint, request=self.request)
        self._save(checkpoint, then)

    def take_previous(
        self, is_own: Callable[[Checkpoint], bool] = lambda _: True
    ) -> Checkpoint | None:
        """Return the checkpoint to go on from, once; `None` if there is none.

        Args:
            is_own: Whether a checkpoint is that of the run.
        """
        previous, self.previous = self.previous, None
        if previous is None or not previous.messages or not is_own(previous):
            return None
        self.is_continued = True
        return previous

    @property
    def reset_scope(self) -> Literal["turn", "run"]:
        """Which events of the attempt before are void."""
        return "turn" if self.is_continued else "run"

    def close(self) -> None:
        """Keep no more checkpoints."""
        self._save = _ignore
        self._run = self.request = self.previous = None

    def take(self, run: Ending) -> bool:
        """Reserve the sink for a run; return whether no other has it."""
        if self._run is not None and not self._run.has_ended:
            return False
        self._run = run
        return True

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Give this sink to the run that is subscribed to inside the block."""
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)


def is_checkpoint_of_task(checkpoint: Checkpoint, task: Sequence[Message]) -> bool:
    """Return whether a checkpoint is that of a run with these messages of the user."""
    asked = _texts(msgspec.json.decode(encode_value(task), type=list[Message]))
    return _texts(checkpoint.messages[checkpoint.start :])[: len(asked)] == asked


def _texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages if message.role == "user"]


_current: ContextVar[CheckpointSink | None] = ContextVar("rxagents_checkpoints", default=None)


def take_sink(run: Ending) -> CheckpointSink | None:
    """Return the sink of the stream that is being subscribed to, if `run` may have it."""
    sink = _current.get()
    return sink if sink is not None and sink.take(run) else None


def _ignore(_: Checkpoint, __: object) -> None: ...
