"""Parses server-sent events as the WHATWG HTML standard, section 9.2, defines them.

`EventFramer` cuts a byte stream into whole events; the provider wires build on it. `SSEDecoder`
decodes these events into `ServerSentEvent`s.
"""

from __future__ import annotations

import re

from msgspec import Struct

from rxagents.core.errors import LimitExceededError
from rxagents.core.limits import DEFAULT_LIMITS

_BOM = b"\xef\xbb\xbf"
_CR, _LF = 0x0D, 0x0A
"""Numbers, since `number in data` is ten times as fast as `bytes_of_length_1 in data`."""

_LONE_CR = re.compile(rb"\r(?!\n)")


class ServerSentEvent(Struct, frozen=True):
    """An event as the standard dispatches it.

    Attributes:
        event: The event type; `"message"` if the stream gives none.
        data: The data lines, joined with LF.
        id: The last event id that the stream has set.
    """

    event: str
    data: str
    id: str = ""


# Theory of operation
#
# A read ends anywhere: inside a field, a BOM or a CRLF. `feed` therefore returns all events that
# are whole by now, as one piece of bytes with LF line ends, and keeps the rest in `_pending`.
#
# - `_pending` is a list, joined once when its event is complete. Joining it at every read would be
#   quadratic in the length of an event that arrives byte by byte.
# - The first test in `feed` serves most reads: nothing is pending, and the read holds whole events
#   with LF. Such a read is returned as it is, not copied. `_at_boundary` is true only if that test
#   needs no other state: no pending bytes, no BOM to wait for, no CR at the end, no error.
# - A blank line may be split over two reads. `_ends_line` notes that the last read ended in LF.
# - A CR counts as a line end at once, or an event could wait for a byte that never comes.
#   `_after_cr` then drops an LF at the start of the next read.


class EventFramer:
    """Cuts a byte stream after each event's blank line, and replaces CR and CRLF with LF.

    Args:
        max_event_bytes: An event longer than this is a `LimitExceededError`.

    Attributes:
        error: The error that ended the framer, or `None`.
    """

    __slots__ = ("_after_cr", "_at_boundary", "_ends_line", "_head", "_limit", "_pending",
                 "_pending_size", "error")  # fmt: skip

    def __init__(self, max_event_bytes: int = DEFAULT_LIMITS.event_bytes) -> None:
        self.error: LimitExceededError | None = None
        self._limit = max_event_bytes
        self._pending: list[bytes] = []
        self._pending_size = 0
        self._ends_line = False
        self._after_cr = False
        self._head: bytes | None = b""
        self._at_boundary = False

    def feed(self, data: bytes) -> bytes:
        """Return the events that `data` completes, joined, each with its blank line."""
        whole = self._at_boundary and data.endswith(b"\n\n")
        if whole and _CR not in data and len(data) <= self._limit:
            return data
        if self.error is not None:
            return b""
        if self._head is not None:
            data = self._strip_bom(data)
        if self._after_cr or _CR in data:
            data = self._normalise(data)
        if not data:
            return b""
        cut = data.rfind(b"\n\n") + 2
        if cut == 1:  # no blank line here, but an LF may follow the LF of the last read
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
        self._at_boundary = cut == len(data) and not self._after_cr and self.error is None
        self._keep(data[cut:])
        return events

    def flush(self) -> bytes:
        """Return the event at the end without its blank line.

        The standard drops such an event, but real servers end their streams with one.
        """
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
        """Replace CR and CRLF with LF; an LF that starts a read after a CR is dropped."""
        if self._after_cr and data:
            data = data.removeprefix(b"\n")
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        if _LONE_CR.search(data) is None:
            return data.replace(b"\r", b"")  # a fifth of the time that replacing CRLF takes
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _keep(self, data: bytes) -> None:
        if not data:
            return
        self._at_boundary = False
        self._pending.append(data)
        # Neither blank lines before an event nor the first LF after it count as its length.
        self._pending_size += len(data) if self._pending_size else len(data.lstrip(b"\n"))
        if self._pending_size - data.endswith(b"\n") > self._limit:
            self._set_error()

    def _within_limit(self, events: bytes) -> bytes:
        end = 0
        for block in events.split(b"\n\n"):
            if len(block.lstrip(b"\n")) > self._limit:
                self._set_error()
                return events[:end]
            end += len(block) + 2
        return events

    def _set_error(self) -> None:
        self._pending = []
        self.error = LimitExceededError(
            f"The stream has an event of more than {self._limit} bytes. Raise max_event_bytes if "
            "such events are expected."
        )


class EventFields(Struct):
    """The fields of one event as bytes.

    `error` is not in the standard; some servers send their errors in a field of that name.
    """

    data: list[bytes]
    event: bytes = b""
    id: bytes | None = None
    retry: bytes = b""
    error: bytes = b""


_RETRY_DIGITS = 4300
"""Python refuses to convert a number with more digits than this."""


def parse_fields(block: bytes) -> EventFields:
    """Parse the lines of one event, which end in LF."""
    if block.startswith(b"event: "):  # `event` and `data`: what most events of most wires have
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
    """Decodes an event stream; invalid UTF-8 is replaced with U+FFFD, as the standard says.

    Args:
        max_event_bytes: An event longer than this is a `LimitExceededError`.

    Attributes:
        error: The error that ended the decoder, or `None`.
        retry: The reconnection time that the stream has set, in milliseconds, or `None`.
    """

    def __init__(self, max_event_bytes: int = DEFAULT_LIMITS.event_bytes) -> None:
        self.retry: int | None = None
        self._framer = EventFramer(max_event_bytes)
        self._last_id = ""

    @property
    def error(self) -> LimitExceededError | None:
        """The error that ended the decoder, or `None`."""
        return self._framer.error

    def feed(self, data: bytes) -> list[ServerSentEvent]:
        """Return the events that `data` completes."""
        return self._decode(self._framer.feed(data))

    def flush(self) -> list[ServerSentEvent]:
        """Return the event at the end of the stream without its blank line, if there is one."""
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
