"""Define the messages between `run_many` and its workers, as MessagePack.

An order goes to a worker, an answer comes back. Runs and permits have numbers: a key may be long,
and the key of a run that is started again is that of another attempt.
"""

from __future__ import annotations

from typing import TypeAlias

import msgspec
from msgspec import Struct

from rxagents.core.event_base import ErrorInfo
from rxagents.core.events import StreamEvent
from rxagents.runtime.spending.cost import Cost


class Setup(Struct, tag="setup", array_like=True):
    """The first order.

    Attributes:
        factory: The factory of `run_many`, pickled.
        main: What the worker has to know of the main module to unpickle; empty for nothing.
        counts: Whether to count what requests use and cost.
        has_limiter: Whether requests wait for the limiter of `run_many`.
    """

    factory: bytes
    main: bytes
    counts: bool
    has_limiter: bool


class Start(Struct, tag="start", array_like=True):
    """Start a run.

    Attributes:
        run: Its number.
        value: Its input, pickled.
        is_durable: Whether to send checkpoints.
        checkpoint: What it goes on from, as JSON; empty for nothing.
    """

    run: int
    value: bytes
    is_durable: bool
    checkpoint: bytes


class Stop(Struct, tag="stop", array_like=True):
    """Dispose a run, and send nothing more of it."""

    run: int


class Credit(Struct, tag="credit", array_like=True):
    """The subscriber has taken so many events."""

    events: int


class Granted(Struct, tag="granted", array_like=True):
    """A request may be sent, or cannot be."""

    permit: int
    error: ErrorInfo | None


class Stored(Struct, tag="stored", array_like=True):
    """A checkpoint is stored."""

    number: int


Order: TypeAlias = Setup | Start | Stop | Credit | Granted | Stored


class Ready(Struct, tag="ready", array_like=True):
    """The worker has unpickled the factory, or has failed to."""

    error: ErrorInfo | None


class Ended(Struct, array_like=True):
    """A run has ended."""

    run: int
    error: ErrorInfo | None
    cost: Cost | None


class Batch(Struct, tag="batch", array_like=True):
    """Events of all runs in the order in which they came, and then the runs that have ended."""

    events: list[tuple[int, StreamEvent]]
    ended: list[Ended]


class JsonEvent(Struct, tag="json", array_like=True):
    """An event that MessagePack does not hold, such as one with an integer of more than 64 bits."""

    run: int
    data: bytes


class Checkpointed(Struct, tag="checkpoint", array_like=True):
    """What a run has done so far, as JSON: after the events of the batches before."""

    run: int
    number: int
    data: bytes


class Asked(Struct, tag="asked", array_like=True):
    """A request wants to be sent; see `LimitedRequest`."""

    permit: int
    run: int
    provider: str
    model: str
    input_tokens: int
    output_tokens: int


class Left(Struct, tag="left", array_like=True):
    """A request no longer waits, or was not sent."""

    permit: int


class Learned(Struct, tag="learned", array_like=True):
    """The headers of a response."""

    permit: int
    headers: dict[str, str]


class Refused(Struct, tag="refused", array_like=True):
    """The provider has refused a request because of its rate."""

    permit: int
    retry_after: float | None


class Settled(Struct, tag="settled", array_like=True):
    """A request has ended."""

    permit: int
    tokens: int | None


LimiterAnswer: TypeAlias = Asked | Left | Learned | Refused | Settled
Answer: TypeAlias = Ready | Batch | JsonEvent | Checkpointed | LimiterAnswer

encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode
decode_event = msgspec.json.Decoder(StreamEvent).decode
