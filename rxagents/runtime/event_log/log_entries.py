"""Decode the entries of a page for a reader."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeAlias, TypeVar

import msgspec
from msgspec import Struct, UnsetType

from rxagents.core.errors import StreamDecodeError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.event_log.log_store import Page, Position
from rxagents.runtime.event_log.run_notifier import SharedPage
from rxagents.runtime.recording import ChunkRestorer, RecordedLine, decode_line

T = TypeVar("T")


class LogEntry(Struct, Generic[T], frozen=True, gc=False):
    """An item of a run with its id.

    Attributes:
        id: `"attempt-number"`, such as `"1-15"`: ordered, never used twice in a run, and fit to be
            the id of a server-sent event. The attempt changes where a run was started again.
        item: The item.
    """

    id: str
    item: T


Items: TypeAlias = Callable[[SharedPage, Page], Iterator[T | RecordedLine[Any]]]
"""Returns the items and the end marks of a page; it may keep its work in `SharedPage.encoded`.

It raises `StreamDecodeError` where an entry cannot be read."""

Entries: TypeAlias = Iterator[tuple[int, int, Any]]
"""The position of each entry and its item; in place of the item, the end mark."""


def lines_of(
    entries: Sequence[tuple[int, int, bytes]],
    key: str,
    decoder: msgspec.json.Decoder[RecordedLine[T]],
    restorer: ChunkRestorer,
) -> Iterator[tuple[int, int, RecordedLine[T]]]:
    """Yield the position and the decoded line of each entry.

    Raises:
        StreamDecodeError: An entry cannot be read.
    """
    for attempt, seq, line in entries:
        try:
            recorded = decode_line(line, decoder, restorer)
        except JSON_ERRORS as error:
            raise _unreadable(key, Position(attempt, seq), error) from error
        yield attempt, seq, recorded


def decoded_entries(
    key: str, decoder: msgspec.json.Decoder[RecordedLine[Any]], *, has_events: bool
) -> Callable[[SharedPage, Page], Entries]:
    """Return a function from a page to its entries, for one reader: it may change the items.

    Args:
        key: The key of the run.
        decoder: Decodes the lines.
        has_events: Whether the items are `StreamEvent`s: a `Token` that a writer has handed over is
            not decoded then.
    """
    restorer = ChunkRestorer()

    def decoded(entries: Sequence[tuple[int, int, bytes]]) -> Entries:
        for attempt, seq, line in lines_of(entries, key, decoder, restorer):
            yield attempt, seq, line if isinstance(line.item, UnsetType) else line.item

    def entries(shared: SharedPage, page: Page) -> Entries:
        if not (has_events and shared.tokens):
            yield from decoded(page.entries)
            return
        for entry, token in zip(page.entries, shared.tokens, strict=True):
            if token is None:
                yield from decoded((entry,))
            else:
                yield entry[0], entry[1], token

    return entries


def entries_of(
    key: str, decoder: msgspec.json.Decoder[RecordedLine[Any]], *, has_events: bool
) -> Items[LogEntry[Any]]:
    """Return a function from a page to its items with their ids; see `decoded_entries`."""
    entries = decoded_entries(key, decoder, has_events=has_events)

    def items(shared: SharedPage, page: Page) -> Iterator[LogEntry[Any] | RecordedLine[Any]]:
        for attempt, seq, item in entries(shared, page):
            if isinstance(item, RecordedLine):
                yield item
            else:
                yield LogEntry(f"{attempt}-{seq}", item)

    return items


def _unreadable(key: str, position: Position, error: Exception) -> StreamDecodeError:
    return StreamDecodeError(
        f"The entry {position} of the run {key!r} cannot be read: {error}. Check that `type` is "
        "the type of the run's items."
    )


def decoder_of(item_type: Any) -> msgspec.json.Decoder[RecordedLine[Any]]:
    """Return the decoder of lines with items of a type.

    Raises:
        Exception: msgspec and typing raise many kinds for what is no type.
    """
    return msgspec.json.Decoder(RecordedLine[item_type])
