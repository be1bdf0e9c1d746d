"""Tool-call fragments, put together."""

from __future__ import annotations

import uuid

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.messages import ToolCall


def new_call_id() -> str:
    """Return an id for a tool call that has none: the conversation ties results to calls by id."""
    return f"call_{uuid.uuid4().hex}"


class _OpenCall:
    __slots__ = ("arguments", "id", "name", "sealed")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.sealed = False


class ToolCallAssembler:
    """Collects the fragments of one answer; linear in their number.

    What comes for a call after its seal is left out: it may have run by then. Of calls that
    have one id the later get another, since results are told apart by it.
    """

    def __init__(self) -> None:
        self._calls: dict[int, _OpenCall] = {}
        self._ids: set[str] = set()

    def add(self, delta: ToolCallDelta) -> ToolCall | None:
        """Take in a fragment; return the call if this fragment sealed it."""
        call = self._calls.setdefault(delta.index, _OpenCall())
        if call.sealed:
            return None
        call.sealed = delta.sealed
        if delta.id and not call.id:
            call.id = f"{delta.id}_{delta.index}" if delta.id in self._ids else delta.id
            self._ids.add(call.id)
        call.name = delta.name or call.name
        if delta.arguments:
            call.arguments.append(delta.arguments)
        return _assemble(delta.index, call) if delta.sealed else None

    def calls(self) -> tuple[ToolCall, ...]:
        """All calls so far, sealed or not, in the order in which they started."""
        return tuple(_assemble(index, call) for index, call in sorted(self._calls.items()))


def _assemble(index: int, call: _OpenCall) -> ToolCall:
    """Return the call; one without a name gets one, since no provider takes it back without."""
    return ToolCall(call.id or f"call_{index}", call.name or "unknown", "".join(call.arguments))
