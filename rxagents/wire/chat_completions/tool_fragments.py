"""Tool-call fragments of the chat-completions dialects, told apart and sealed.

What the dialects do, counted in recorded streams: fragments without id (247) or with an empty
one (11), without index (3), with a gap in the indexes (1), name or arguments null (22), name and
id repeated in later fragments, every parallel call with index 0 and a new id, arguments as an
object. A call that never gets an id has one made for it when it is sealed: the conversation
needs it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.json_text import is_json
from rxagents.core.tool_calls import new_call_id


class _OpenCall:
    __slots__ = ("arguments", "id", "index", "name", "sealed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.sealed = False

    def is_whole(self) -> bool:
        """Whether the arguments are a JSON value: then the start of another call seals this."""
        return is_json("".join(self.arguments).strip())


class ToolFragments:
    """The calls of one choice. Fragments go in as the wire has them and come out unified."""

    def __init__(self) -> None:
        self._calls: list[_OpenCall] = []
        self._by_wire_index: dict[int, _OpenCall] = {}
        self._by_id: dict[str, _OpenCall] = {}

    def add(
        self,
        wire_index: int | None,
        call_id: str,
        name: str,
        arguments: str | dict[str, Any] | list[Any] | None,
    ) -> list[ToolCallDelta]:
        """Take in a fragment.

        Returns:
            The fragment, and before it the seal of the previous call where this one starts
            another. Calls that alternate are sealed at the end, since their arguments are not
            whole when the other starts.
        """
        deltas: list[ToolCallDelta] = []
        call = self._known(wire_index, call_id, name)
        if call is None:
            if self._calls and not self._calls[-1].sealed and self._calls[-1].is_whole():
                deltas.append(_seal(self._calls[-1]))
            call = _OpenCall(len(self._calls))
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
        """Seal what is open: the answer is over."""
        return [_seal(call) for call in self._calls if not call.sealed]

    def _known(self, wire_index: int | None, call_id: str, name: str) -> _OpenCall | None:
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


def _seal(call: _OpenCall) -> ToolCallDelta:
    call.sealed = True
    made_id = "" if call.id else new_call_id()
    return ToolCallDelta(call.index, made_id, sealed=True)


def _rendered(arguments: dict[str, Any] | list[Any] | None) -> str:
    return "" if arguments is None else msgspec.json.encode(arguments).decode()
