"""Define the file of a cassette: one line of JSON for each part of an exchange.

The lines have the form of those that `operators.record` writes (`RecordedLine`): `at` is the time
in seconds since the request, and `item` one of the parts below. An exchange starts with its request
and ends with `completed`, an `error`, or `stopped` if the client disposed the stream. Exchanges are
in the order of their requests, also where they were answered at the same time.
"""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Any, TypeAlias

import msgspec
from msgspec import UNSET, Struct

from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.recording import ChunkRestorer, RecordedLine, decode_line, encode_value


class RecordedRequest(Struct, frozen=True, tag="request", tag_field="type"):
    """A request, without its headers and without secrets.

    Attributes:
        method: `"POST"` or `"GET"`.
        url: The full URL.
        body: The decoded JSON of a POST.
    """

    method: str
    url: str
    body: Any = None


class RecordedHead(Struct, frozen=True, tag="response", tag_field="type", omit_defaults=True):
    """The head of a response: its status, and the headers that matter to a client."""

    status: int
    reason: str = ""
    headers: dict[str, str] = {}


class RecordedData(Struct, frozen=True, tag="data", tag_field="type", omit_defaults=True):
    """The bytes of one read; as base64 where they are no UTF-8, as in the middle of a character."""

    text: str = ""
    base64: str = ""

    @classmethod
    def of(cls, data: bytes) -> RecordedData:
        """Make the part that holds `data`."""
        try:
            return cls(data.decode())
        except UnicodeDecodeError:
            return cls(base64=b64encode(data).decode())

    @property
    def data(self) -> bytes:
        """The bytes."""
        return b64decode(self.base64) if self.base64 else self.text.encode()


Part: TypeAlias = RecordedRequest | RecordedHead | RecordedData
Line: TypeAlias = RecordedLine[Part]


class Exchange(Struct):
    """One request with its answer.

    Attributes:
        request: The request.
        head: The head of the response, with its time; `None` if there was none.
        pieces: The body as it was read: each piece with its time.
        end: The last line; `None` until the exchange is over.
    """

    request: RecordedRequest
    head: tuple[float, RecordedHead] | None = None
    pieces: list[tuple[float, bytes]] = msgspec.field(default_factory=list)
    end: Line | None = None

    @property
    def failure(self) -> RxAgentsError | None:
        """The error that the exchange ended with."""
        return None if self.end is None or self.end.error is None else self.end.failure

    @property
    def was_disposed(self) -> bool:
        """Whether the client ended the exchange, so that nobody knows what would have followed."""
        return self.end is not None and bool(self.end.stopped)

    @property
    def end_time(self) -> float:
        """The time of the end, in seconds since the request."""
        return 0.0 if self.end is None else self.end.at

    def lines(self) -> list[Line]:
        """Return the lines of the exchange, once it is over."""
        assert self.end is not None, "only a whole exchange is written"
        head = [] if self.head is None else [RecordedLine[Part](*self.head)]
        data = [RecordedLine[Part](at, RecordedData.of(piece)) for at, piece in self.pieces]
        return [RecordedLine[Part](0.0, self.request), *head, *data, self.end]


def write_exchanges(path: Path, exchanges: list[Exchange]) -> None:
    """Replace the file: at any moment it holds whole exchanges, the old ones or the new ones.

    Raises:
        OSError: The file cannot be written.
    """
    lines = [line for exchange in exchanges for line in exchange.lines()]
    new = path.with_name(f"{path.name}.{os.getpid()}.new")
    try:
        with new.open("wb") as file:
            file.writelines(encode_value(line) + b"\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise


def read_exchanges(path: Path) -> list[Exchange]:
    """Read the file.

    Raises:
        ConfigurationError: It does not exist, or is no cassette.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ConfigurationError(
            f"The cassette {path} cannot be read ({error}). Record it with mode='record', or with "
            "mode='once', which records a cassette that does not exist."
        ) from error
    decoder, restorer = msgspec.json.Decoder(Line), ChunkRestorer()
    exchanges: list[Exchange] = []
    for number, text in enumerate(lines, start=1):
        try:
            _add(exchanges, decode_line(text, decoder, restorer))
        except JSON_ERRORS as error:
            raise ConfigurationError(
                f"Line {number} of the cassette {path} cannot be read: {error}. Check that a "
                "Cassette wrote the file."
            ) from error
    if exchanges and exchanges[-1].end is None:
        raise ConfigurationError(f"The cassette {path} has no end: its last lines are missing.")
    return exchanges


def _add(exchanges: list[Exchange], line: Line) -> None:
    part = line.item
    is_open = bool(exchanges) and exchanges[-1].end is None
    if isinstance(part, RecordedRequest) is is_open:
        raise ValueError("a request must stand after the end of the one before, and nowhere else")
    match part:
        case RecordedRequest():
            exchanges.append(Exchange(part))
        case RecordedHead():
            exchanges[-1].head = line.at, part
        case RecordedData():
            exchanges[-1].pieces.append((line.at, part.data))
        case _:
            assert part is UNSET
            exchanges[-1].end = line
