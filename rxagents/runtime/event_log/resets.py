"""Make the item that voids the attempt before this one."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import RxAgentsError
from rxagents.core.event_base import Event
from rxagents.core.events import Reset
from rxagents.runtime.recording import RecordedLine


def reset_after(end: bytes, item: object, scope: Literal["turn", "run"]) -> Any:
    """Return what stands before the first item of another attempt.

    Args:
        end: The end mark of the attempt before.
        item: The first item.
        scope: What is void: the whole run, or only its last turn, where the run goes on.

    Returns:
        A reset of the item's kind; `None` if the kind has none.
    """
    line = msgspec.json.decode(end, type=RecordedLine[msgspec.Raw])
    error = line.failure or RxAgentsError("The run was started again.")
    if isinstance(item, StreamChunk):
        return StreamChunk.reset(error)
    return Reset.of(error, scope) if isinstance(item, Event) else None
