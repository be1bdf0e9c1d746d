"""Assembles tool calls from their fragments."""

from __future__ import annotations

import uuid

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.messages import ToolCall
from rxagents.core.tool_events import ToolArguments


def new_call_id() -> str:
    """Return a new id for a tool call that came without one: results refer to calls by id."""
    return f"call_{uuid.uuid4().hex}"


class _OpenCall:
    __slots__ = ("arguments", "emitted", "id", "name", "sealed")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.sealed = False
        self.emitted = -1  # how many pieces events have carried; -1: there was no event


class ToolCallAssembler:
    """Collects the fragments of one response; linear in their number.

    Fragments of a call after its seal are ignored, since the call may have run by then. A call
    without an id gets one when it is sealed. If two calls have the same id, the later one gets
    another, since results refer to calls by id.
    """

    def __init__(self) -> None:
        self._calls: dict[int, _OpenCall] = {}
        self._ids: set[str] = set()

    def add(self, delta: ToolCallDelta) -> ToolCall | None:
        """Add a fragment; return the call if this fragment seals it."""
        call = self._calls.setdefault(delta.index, _OpenCall())
        if call.sealed:
            return None
        call.sealed = delta.sealed
        if delta.id and not call.id:
            call.id = self._unused(delta.id, delta.index)
        elif delta.sealed and not call.id:
            call.id = self._unused(f"call_{delta.index}", delta.index)
        self._ids.add(call.id)
        call.name = delta.name or call.name
        if delta.arguments:
            call.arguments.append(delta.arguments)
        return _assemble(call.id, call) if delta.sealed else None

    def arguments_event(self, index: int, timestamp: float) -> ToolArguments | None:
        """Return an event with the pieces of a call that no event has carried.

        Pieces wait until the call's id and name are known, at the latest until its seal.

        Returns:
            The event; `None` if there is nothing new, or the call is not known well enough.
        """
        call = self._calls[index]
        pieces = call.arguments
        if call.emitted == len(pieces) or not ((call.id and call.name) or call.sealed):
            return None
        delta = "".join(pieces[max(call.emitted, 0) :])
        call.emitted = len(pieces)
        return ToolArguments(call.id, call.name or _NAMELESS, delta, timestamp)

    def calls(self) -> tuple[ToolCall, ...]:
        """Return all calls so far, sealed or not, in the order in which they started."""
        return tuple(
            _assemble(call.id or self._unused(f"call_{index}", index), call)
            for index, call in sorted(self._calls.items())
        )

    def _unused(self, call_id: str, index: int) -> str:
        """Return `call_id`, with `index` added until no other call has it."""
        while call_id in self._ids:
            call_id = f"{call_id}_{index}"
        return call_id


def _assemble(call_id: str, call: _OpenCall) -> ToolCall:
    """Return the call. An empty name becomes "unknown": providers refuse a call without a name."""
    return ToolCall(call_id, call.name or _NAMELESS, "".join(call.arguments))


_NAMELESS = "unknown"
