"""Server-sent events, after the WHATWG HTML standard, section 9.2 "Server-sent events".

`EventFramer` cuts bytes into whole events and is what the provider wires build on;
`SSEDecoder` makes `ServerSentEvent`s of them.
"""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.errors import LimitExceededError
from rxagents.core.limits import DEFAULT_LIMITS

_BOM = b"\xef\xbb\xbf"
_CR, _LF = 0x0D, 0x0A
"""As numbers: bytes are searched for one ten times as fast as for bytes of length 1."""


class ServerSentEvent(Struct, frozen=True):
    """An event as the standard dispatches it.

    Attributes:
        event: The event type; `"message"` where the stream names none.
        data: The data lines, joined with LF.
        id: The last event id the stream has set.
    """

    event: str
    data: str
    id: str = ""


class EventFramer:
    """Cuts a byte stream after each event's blank line, and makes every line end in LF.

    Args:
        max_event_bytes: An event longer than this is a `LimitExceededError`.
    """

    __slots__ = ("_after_cr", "_between", "_ends_line", "_head", "_limit", "_pending",
                 "_pending_size", "error")  # fmt: skip

    def __init__(self, max_event_bytes: int = DEFAULT_LIMITS.event_bytes) -> None:
        self.error: LimitExceededError | None = None
        self._limit = max_event_bytes
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._ends_line = False
        self._after_cr = False
        self._head: bytes | None = b""
        self._between = False

    def feed(self, data: bytes) -> bytes:
        """Return the events that `data` completes, each with its blank line, in one piece."""
        whole = self._between and data.endswith(b"\n\n")
        if whole and _CR not in data and len(data) <= self._limit:
            return data  # as most reads: whole events, after whole events
        if self.error is not None:
            return b""
        if self._head is not None:
            data = self._strip_bom(data)
        if self._after_cr or _CR in data:
            data = self._normalise(data)
        if not data:
            return b""
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:  # no blank line, but a line end may meet the one before it
            cut = 1 if self._ends_line and data.startswith(b"\n") else 0
        self._ends_line = data.endswith(b"\n")
        if not cut:
            self._keep(data)
            return b""
        if self._pending:
            self._pending.append(data[:cut])
            events = b"".join(self._pending)
        else:
            events = data[:cut]
        if len(events) > self._limit:
            events = self._within_limit(events)
        self._pending, self._pending_size = [], 0
        self._between = cut == len(data) and not self._after_cr and self.error is None
        self._keep(data[cut:])
        return events

    def flush(self) -> bytes:
        """Return what no blank line closed: the standard drops it, real servers end with it."""
        if self._head:
            self._keep(self._head)
        rest, self._pending, self._head = b"".join(self._pending), [], None
        return b"" if self.error is not None else rest

    def _strip_bom(self, data: bytes) -> bytes:
        head = (self._head or b"") + data
        if len(head) < len(_BOM) and _BOM.startswith(head):
            self._head = head
            return b""
        self._head = None
        return head.removeprefix(_BOM)

    def _normalise(self, data: bytes) -> bytes:
        """Make every line end an LF; a CR counts at once, and an LF right after it no more."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._between = False
        self._pending.append(data)
        # Blank lines before an event, and the first half of the one after it, do not count.
        self._pending_size += len(data) if self._pending_size else len(data.lstrip(b"\n"))
        if self._pending_size - data.endswith(b"\n") > self._limit:
            self._fail()

    def _within_limit(self, events: bytes) -> bytes:
        end = 0
        for block in events.split(b"\n\n"):
            if len(block.lstrip(b"\n")) > self._limit:
                self._fail()
                return events[:end]
            end += len(block) + 2
        return events

    def _fail(self) -> None:
        self._pending = []
        self.error = LimitExceededError(
            f"An event of the stream is longer than {self._limit} bytes. If the server means it, "
            "raise the limit."
        )


class EventFields(Struct):
    """The fields of one event, before they are text."""

    data: list[bytes]
    event: bytes = b""
    id: bytes | None = None
    retry: bytes = b""
    error: bytes = b""


_RETRY_DIGITS = 4300
"""Python reads no number with more digits than this."""


def parse_fields(block: bytes) -> EventFields:
    """Read the lines of one event, which are LF-terminated.

    `error` is no field of the standard: some servers write their errors so.
    """
    if block.startswith(b"event: "):  # an event of two lines, as many wires have
        name, _, data = block.partition(b"\ndata: ")
        if data and _LF not in data and _LF not in name:
            return EventFields([data], name[7:])
    fields = EventFields([])
    for line in block.split(b"\n"):
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            fields.data.append(value)
        elif name == b"event":
            fields.event = value
        elif name == b"id" and b"\0" not in value:
            fields.id = value
        elif name == b"retry" and value.isdigit() and len(value) <= _RETRY_DIGITS:
            fields.retry = value
        elif name == b"error":
            fields.error = value
    return fields


class SSEDecoder:
    """Decodes an event stream; invalid UTF-8 is replaced, as the standard says.

    Args:
        max_event_bytes: An event longer than this is a `LimitExceededError`.

    Attributes:
        error: What ended the decoder, or `None`.
        retry: The reconnection time the stream has set, in milliseconds, or `None`.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_LIMITS.event_bytes) -> None:
        self.retry: int | None = None
        self._framer = EventFramer(max_event_bytes)
        self._last_id = ""

    @property
    def error(self) -> LimitExceededError | None:
        """What ended the decoder."""
        return self._framer.error

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes."""
        return self._decode(self._framer.feed(data))

    def flush(self) -> list[ServerSentEvent]:
        """Return the event at the end of the stream that lacks its blank line, if there is one."""
        return self._decode(self._framer.flush())

    def _decode(self, blocks: bytes) -> list[ServerSentEvent]:
        events = []
        for block in blocks.split(b"\n\n"):
            if not block:
                continue
            fields = parse_fields(block)
            if fields.id is not None:
                self._last_id = _text(fields.id)
            if fields.retry:
                self.retry = int(fields.retry)
            if fields.data:
                data = _text(b"\n".join(fields.data))
                events.append(
                    ServerSentEvent(_text(fields.event) or "message", data, self._last_id)
                )
        return events


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
