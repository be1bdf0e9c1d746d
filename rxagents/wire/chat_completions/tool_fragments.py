"""Assigns the tool-call fragments of all dialects to calls, and seals the calls."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.json_text import is_json
from rxagents.core.tool_calls import new_call_id

# Theory of operation
#
# The API identifies a fragment by `index`, and sends id and name with the first one. Hosts differ
# (counts are recorded streams): no id (247) or an empty one (11), no index (3), a gap in the
# indexes (1), name or arguments null (22), name and id repeated in later fragments, index 0 for
# every parallel call with a new id each, arguments as an object.
#
# - `_find` decides to which call a fragment belongs: by index; without an index by id; without both
#   to the last call, unless it has a name. A different id starts another call, and so does a
#   different name without an id. Calls get new, gapless indexes in the order in which they start.
# - The wire has no event that ends a call. A call is sealed by the start of the next one if its
#   arguments are JSON by then, and else by the end of the response, unless that was cut. A sealed
#   call may run at once, so a seal must never be a guess: calls that alternate have arguments that
#   are not JSON yet, and stay open until the end.
# - White space for a call after its seal is dropped. Other text is passed on as a fragment, but
#   never reaches the call: `ToolCallAssembler` ignores it.
# - Only a call that is sealed without an id gets one made up: an id may still come before that.


class _CallState:
    """A call while it is streamed; `index` is its number in the response."""

    __slots__ = ("arguments", "id", "index", "name", "sealed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.sealed = False

    def is_complete(self) -> bool:
        """Return whether the arguments are a JSON value."""
        return is_json("".join(self.arguments).strip())


class ToolFragments:
    """Converts the fragments of one choice from the wire's form to `ToolCallDelta`s."""

    def __init__(self) -> None:
        self._calls: list[_CallState] = []
        self._by_wire_index: dict[int, _CallState] = {}
        self._by_id: dict[str, _CallState] = {}

    def add(
        self,
        wire_index: int | None,
        call_id: str,
        name: str,
        arguments: str | dict[str, Any] | list[Any] | None,
    ) -> list[ToolCallDelta]:
        """Convert one fragment.

        Returns:
            The fragment; before it the seal of the previous call, if this fragment starts another
            one. Empty if the fragment has nothing new.
        """
        deltas: list[ToolCallDelta] = []
        call = self._find(wire_index, call_id, name)
        if call is None:
            if self._calls and not self._calls[-1].sealed and self._calls[-1].is_complete():
                deltas.append(_seal(self._calls[-1]))
            call = _CallState(len(self._calls))
            self._calls.append(call)
        if wire_index is not None:
            self._by_wire_index[wire_index] = call
        text = arguments if isinstance(arguments, str) else _rendered(arguments)
        delta = ToolCallDelta(
            call.index,
            "" if call.id else call_id,
            "" if call.name else name,
            text,
        )
        if delta == ToolCallDelta(call.index) or (call.sealed and not text.strip()):
            return deltas
        if call_id and not call.id:
            call.id = call_id
            self._by_id.setdefault(call_id, call)
        call.name = call.name or name
        call.arguments.append(text)
        deltas.append(delta)
        return deltas

    def seal(self) -> list[ToolCallDelta]:
        """Return the seals of all open calls: the response has ended."""
        return [_seal(call) for call in self._calls if not call.sealed]

    def _find(self, wire_index: int | None, call_id: str, name: str) -> _CallState | None:
        if wire_index is not None:
            call = self._by_wire_index.get(wire_index)
        elif call_id:
            call = self._by_id.get(call_id)
        else:
            call = self._calls[-1] if self._calls and not name else None
        if call is None:
            return None
        if call_id and call.id and call_id != call.id:
            return self._by_id.get(call_id)
        other_name = name and call.name and name != call.name and not call_id
        return None if other_name else call


def _seal(call: _CallState) -> ToolCallDelta:
    call.sealed = True
    made_id = "" if call.id else new_call_id()
    return ToolCallDelta(call.index, made_id, sealed=True)


def _rendered(arguments: dict[str, Any] | list[Any] | None) -> str:
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
