"""Decode the checkpoint of a run."""

from __future__ import annotations

import msgspec
from msgspec.structs import replace

from rxagents.core.checkpoint import Checkpoint
from rxagents.core.errors import StorageError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.runtime.event_log.log_store import Position, Saved


def read_checkpoint(key: str, saved: Saved | None) -> Checkpoint | None:
    """Decode the checkpoint of a run; `None` if it has none.

    Raises:
        StorageError: It cannot be read.
    """
    if saved is None:
        return None
    try:
        checkpoint = msgspec.json.decode(saved.data, type=Checkpoint)
    except JSON_ERRORS as error:
        raise StorageError(
            f"The checkpoint of the run {key!r} cannot be read: {error}. Use the version of "
            "rxagents that wrote it."
        ) from error
    after = str(Position(saved.attempt, saved.seq)) if saved.seq else ""
    return replace(checkpoint, after=after)
