"""Replay a cassette with one fault."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable

from msgspec import Struct

from rxagents.core.errors import ProtocolError, TruncatedStreamError
from rxagents.testing.cassettes.cassette import Cassette
from rxagents.testing.cassettes.replayed_response import Replay, ReplayedResponse, replayed
from rxagents.testing.cassettes.secrets import Secrets
from rxagents.testing.fault_runs.fault import Fault, FaultKind
from rxagents.testing.wires import wire_of
from rxagents.transport import HttpRequest, StreamedResponse
from rxagents.transport.interception import Send
from rxagents.wire.parser import StreamInfo
from rxagents.wire.think_tags import DEFAULT_TAGS

_EVENT = re.compile(rb".*?(?:\r?\n\r?\n|\r\r|\Z)", re.DOTALL)
_LINE = re.compile(rb"[^\n]*\n?")

_FAULTS_OF_THE_WIRE = {FaultKind.CUT, FaultKind.STALL, FaultKind.ERROR}


class Read(Struct, frozen=True):
    """A read of a response.

    Attributes:
        request: The number of the request, from 1.
        event: The number of the event, from 0; the number of events at the end.
        items: How many items had been delivered before.
    """

    request: int
    event: int
    items: int


class FaultyCassette:
    """A session that replays a cassette, each event in a read of its own, with one fault.

    Args:
        cassette: What to replay; it is not changed.
        fault: The fault; `None` for none.
        delivered: Returns how many items the subscriber has got.
        dispose: Called after the event of a `dispose` was read.

    Attributes:
        reads: The reads, in order.
        responses: The responses, in the order of their requests.
        sizes: How many events the response to each request has.
        text: The text of all that was read, in the order of reading.
        is_concurrent: Whether two responses were read at the same time.
        was_complete: Whether the response with the fault was complete before it: a provider may
            send token counts after its finish reason, and a stream may complete without them.
    """

    def __init__(
        self,
        cassette: Cassette,
        fault: Fault | None,
        delivered: Callable[[], int],
        dispose: Callable[[], None],
    ) -> None:
        self.reads: list[Read] = []
        self.responses: list[ReplayedResponse] = []
        self.sizes: list[int] = []
        self.text = ""
        self.is_concurrent = False
        self.was_complete = False
        self._cassette = cassette.rewound()
        self._fault = fault
        self._delivered = delivered
        self._dispose = dispose

    async def intercept(self, request: HttpRequest, send: Send) -> StreamedResponse:
        """Answer a request."""
        self.sizes.append(0)
        number = len(self.sizes)
        recorded = Secrets.of(request).request(request)
        exchange = self._cassette.take(recorded)
        replay = Replay.of(exchange, is_timed=True)
        is_lines = "ndjson" in replay.headers.get("content-type", "")
        replay.pieces = _events(replay.pieces, _LINE if is_lines else _EVENT)
        self.sizes[number - 1] = len(replay.pieces)
        fault = self._fault
        if fault is not None and fault.request == number and fault.kind in _FAULTS_OF_THE_WIRE:
            _break(replay, fault)
            self._cassette.give_back(recorded)  # for a retry, which finds no fault
        on_read = self._listener(request, number, replay.status)
        response = await replayed(replay, request.provider, on_read)
        self.is_concurrent |= any(not other.is_closed for other in self.responses)
        self.responses.append(response)
        return response

    def _listener(self, request: HttpRequest, number: int, status: int) -> Callable[[bytes], None]:
        info = StreamInfo(think_tags=DEFAULT_TAGS)
        parser = wire_of(request.url.path).parser(info) if status == 200 else None
        event = 0

        def on_read(data: bytes) -> None:
            nonlocal event
            self.reads.append(Read(number, event, self._delivered()))
            if data:
                event += 1
            if parser is not None:
                chunks = parser.feed(data, 0.0) if data else parser.flush(0.0)
                self.text += "".join(chunk.delta for chunk in chunks)
            fault = self._fault
            if parser is not None and fault is not None and fault.request == number:
                self.was_complete = parser.complete
            place = (FaultKind.DISPOSE, number, event)
            if fault is not None and (fault.kind, fault.request, fault.place) == place:
                # In the next turn, when the pipe has got the event, and may hold it back.
                asyncio.get_running_loop().call_soon(self._dispose)

        return on_read


def _events(
    pieces: list[tuple[float, bytes]], pattern: re.Pattern[bytes]
) -> list[tuple[float, bytes]]:
    """Cut a body after each event; an event comes when its last piece did."""
    ends: list[tuple[int, float]] = []
    size = 0
    for at, piece in pieces:
        size += len(piece)
        ends.append((size, at))
    body = b"".join(piece for _, piece in pieces)
    events: list[tuple[float, bytes]] = []
    position = number = 0
    for match in pattern.finditer(body):
        if event := match[0]:
            position += len(event)
            while ends[number][0] < position:
                number += 1
            events.append((ends[number][1], event))
    return events


def _break(replay: Replay, fault: Fault) -> None:
    """Put the fault into a replay."""
    rest = replay.pieces[fault.place :]
    replay.pieces = replay.pieces[: fault.place]
    if fault.is_inside and rest:
        at, event = rest[0]
        replay.pieces.append((at, event[: len(event) // 2]))
    if rest or math.isinf(replay.end_at):
        replay.end_at = rest[0][0] if rest else replay.head_at
    match fault.kind:
        case FaultKind.STALL:
            replay.end_at = math.inf
        case FaultKind.CUT:
            replay.failure = TruncatedStreamError("The connection was cut by every_fault.")
        case _:
            replay.failure = ProtocolError("The body was broken by every_fault.", retryable=False)
