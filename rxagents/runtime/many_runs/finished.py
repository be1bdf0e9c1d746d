"""Find out whether an event log has the whole run of a key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future

import msgspec

from rxagents.core.errors import LogGoneError
from rxagents.runtime.event_log.event_log import EventLog
from rxagents.runtime.event_log.log_store import Position, parse_id
from rxagents.runtime.recording import RecordedLine

_PAGE = 1_000
_POLL_SECONDS = 0.5
"""Seconds between two looks at a run that is being written."""

_decode = msgspec.json.Decoder(RecordedLine[msgspec.Raw]).decode


async def is_finished(
    log: EventLog,
    key: str,
    *,
    retry_failed: bool,
    may_wait: Callable[[], bool],
) -> bool:
    """Return whether a run is not to be started again: it has completed, or has failed.

    Args:
        log: The event log.
        key: The key of the run.
        retry_failed: Whether a run that has failed is to be started again.
        may_wait: Called while the run is being written, or its writer was killed and still has the
            lease: returns whether to look again a moment later. If not, the run is not finished.

    Raises:
        StorageError: The store failed.
    """
    after: Position | None = None
    while True:
        try:
            page = log.store.read(key, after, _PAGE)
            if isinstance(page, Future):
                page = await asyncio.wrap_future(page)
        except LogGoneError as gone:
            if not gone.first_id or after is not None:
                return False
            first = parse_id(gone.first_id)  # the beginning is no longer kept
            after = Position(first.attempt, first.seq - 1)
            continue
        if page.state == "live" and may_wait():
            await asyncio.sleep(_POLL_SECONDS)
        elif page.state != "more":
            break
        if page.entries:
            after = Position(*page.entries[-1][:2])
    if page.state != "ended" or not page.entries:
        return False
    end = _decode(page.entries[-1][2])
    return end.completed or (end.error is not None and not retry_failed)
