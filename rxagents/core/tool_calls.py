"""Tool-call fragments, put together."""

from __future__ import annotations

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.messages import ToolCall


class _Call:
    __slots__ = ("arguments", "id", "name")

    def __init__(self) -> None:
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []


class ToolCallAssembler:
    """Collects the fragments of one answer; linear in their number."""

    def __init__(self) -> None:
        self._calls: dict[int, _Call] = {}

    def add(self, delta: ToolCallDelta) -> ToolCall | None:
        """Take in a fragment; return the call if this fragment sealed it."""
        call = self._calls.setdefault(delta.index, _Call())
        call.id = delta.id or call.id
        call.name = delta.name or call.name
        if delta.arguments:
            call.arguments.append(delta.arguments)
        return _assemble(delta.index, call) if delta.sealed else None

    def calls(self) -> tuple[ToolCall, ...]:
        """All calls so far, sealed or not, in the order in which they started."""
        return tuple(_assemble(index, call) for index, call in sorted(self._calls.items()))


def _assemble(index: int, call: _Call) -> ToolCall:
    return ToolCall(call.id or f"call_{index}", call.name, "".join(call.arguments))
