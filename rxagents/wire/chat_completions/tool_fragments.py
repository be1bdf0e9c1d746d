"""Assigns the tool-call fragments of all dialects to calls, and seals the calls."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import ToolCallDelta
from rxagents.core.json_text import encode_json, is_json
from rxagents.core.tool_calls import new_call_id

# Theory of operation
#
# The API identifies a fragment by `index`, and sends id and name with the first one. Hosts differ
# (counts are recorded streams): no id (247) or an empty one (11), no index (3), a gap in the
# indexes (1), name or arguments null (22), name and id repeated in later fragments, another id in
# every fragment, index 0 for every parallel call with a new id each, arguments as an object, `{}`
# before the arguments, fragments with nothing in them.
#
# - `_find` decides to which call a fragment belongs. A name is the sign of a start; a fragment
#   without one continues a call: that of its index, else of its id, else the last one. An id alone
#   starts nothing: it is kept until a name or arguments come.
# - A fragment with a name starts a call at an index that has none. Else it may repeat the start of
#   the call at its index (`_repeats_start`), if the id or the name are the same. Once the arguments
#   are JSON, a repeated start with other arguments is the next call. Until then it is the same
#   call, since a call that was split would run with the arguments that are missing.
# - Calls get new, gapless indexes in the order in which they start.
# - The wire has no event that ends a call. A call is sealed by the start of the next one if its
#   arguments are JSON by then, and else by the end of the response, unless that was cut. A sealed
#   call may run at once, so a seal must never be a guess: calls that alternate have arguments that
#   are not JSON yet, and stay open until the end.
# - `{}` at the start of the arguments is held back: on some hosts the real arguments follow. They
#   replace it; a seal emits it.
# - White space is dropped before and after arguments, and for a call after its seal. Within the
#   arguments it is kept: it may be part of a string. Other text for a sealed call is passed on as a
#   fragment, but never reaches the call: `ToolCallAssembler` ignores it.
# - Only a call that is sealed without an id gets one made up: an id may still come before that.


class _CallState:
    """A call while it is streamed; `index` is its number in the response."""

    __slots__ = ("arguments", "held", "id", "index", "name", "sealed")

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.arguments: list[str] = []
        self.held = ""
        self.sealed = False

    def is_complete(self) -> bool:
        """Return whether the arguments are a JSON value."""
        if self.held:
            return True
        if not self.arguments or not self.arguments[-1].rstrip().endswith(_JSON_ENDS):
            return False
        return is_json("".join(self.arguments).strip())

    def is_open(self) -> bool:
        """Return whether more arguments are expected."""
        return not self.sealed and not self.is_complete()

    def is_within(self) -> bool:
        """Return whether the arguments have begun and are not whole."""
        return bool(self.arguments) and not self.is_complete()

    def add(self, text: str) -> str:
        """Add arguments; return what to emit."""
        if not self.arguments and text.strip() == "{}" and not self.held:
            self.held = text
            return ""
        if self.held:
            if not text.strip():
                return ""
            text, self.held = (text if text.lstrip().startswith("{") else self.held + text), ""
        if text:
            self.arguments.append(text)
        return text


_JSON_ENDS = ("}", "]", '"')


class ToolFragments:
    """Converts the fragments of one choice from the wire's form to `ToolCallDelta`s."""

    __slots__ = ("_by_id", "_by_wire_index", "_calls", "_early_ids")

    def __init__(self) -> None:
        self._calls: list[_CallState] = []
        self._by_wire_index: dict[int, _CallState] = {}
        self._by_id: dict[str, _CallState] = {}
        self._early_ids: dict[int | None, str] = {}

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
        call_id = call_id.strip()
        text = arguments if isinstance(arguments, str) else _rendered(arguments)
        call = self._find(wire_index, call_id, name, text)
        deltas: list[ToolCallDelta] = []
        is_blank = not text or (not text.strip() and (call is None or not call.is_within()))
        if not name and is_blank and (call is None or call_id not in ("", call.id)):
            if call_id and (call is None or call.id):
                self._early_ids[wire_index] = call_id
                return deltas
            if call is None:
                return deltas
        if call is None:
            if self._calls and not self._calls[-1].sealed and self._calls[-1].is_complete():
                deltas.append(_seal(self._calls[-1]))
            call = _CallState(len(self._calls))
            call_id = call_id or self._early_ids.pop(wire_index, "")
            self._calls.append(call)
        elif name and call.name and (is_blank or _is_repeated(call, text)):
            text = ""
        if wire_index is not None:
            self._by_wire_index[wire_index] = call
        if call.sealed and not text.strip():
            return deltas
        new_id = "" if call.id else call_id
        new_name = "" if call.name else name
        if call_id:
            call.id = call.id or call_id
            self._by_id.setdefault(call_id, call)
        call.name = call.name or name
        text = text if call.sealed else call.add(text)
        delta = ToolCallDelta(call.index, new_id, new_name, text)
        if delta != ToolCallDelta(call.index):
            deltas.append(delta)
        return deltas

    def seal(self) -> list[ToolCallDelta]:
        """Return the seals of all open calls: the response has ended."""
        return [_seal(call) for call in self._calls if not call.sealed]

    def seal_complete(self) -> list[ToolCallDelta]:
        """Return the seals of the open calls whose arguments are JSON: the rest may be cut."""
        return [_seal(call) for call in self._calls if not call.sealed and call.is_complete()]

    def _find(
        self, wire_index: int | None, call_id: str, name: str, text: str
    ) -> _CallState | None:
        """Return the call that a fragment continues, or `None` if it starts one."""
        last = self._calls[-1] if self._calls else None
        known = self._by_id.get(call_id)
        if wire_index is not None and wire_index in self._by_wire_index:
            call: _CallState | None = self._by_wire_index[wire_index]
            if known is not None and call is not None and call.id and call.id != call_id:
                call = known  # calls that alternate at one index
        elif wire_index is not None:
            if name:
                return None
            return known or (last if last is not None and last.is_open() else None)
        else:
            call = known or last
            if name and call_id and known is None and call is not None and call.id:
                return None
        if call is None or not name:
            return call
        return call if _repeats_start(call, call_id, name, text) else None


def _repeats_start(call: _CallState, call_id: str, name: str, text: str) -> bool:
    """Return whether a fragment with a name continues `call`, and does not start the next one."""
    if not call.name:
        return not (call_id and call.id and call_id != call.id)
    if name != call.name and not (call_id and call_id == call.id):
        return False
    if call.is_complete():
        same = not call_id or call_id == call.id
        return same and (not text.strip() or _is_repeated(call, text))
    return not call.sealed


def _is_repeated(call: _CallState, text: str) -> bool:
    """Return whether arguments are those that a call with whole arguments has."""
    return call.is_complete() and text == (call.held or "".join(call.arguments))


def _seal(call: _CallState) -> ToolCallDelta:
    call.sealed = True
    made_id = "" if call.id else new_call_id()
    held, call.held = call.held, ""
    return ToolCallDelta(call.index, made_id, arguments=held, sealed=True)


def _rendered(arguments: dict[str, Any] | list[Any] | None) -> str:
    return "" if arguments is None else encode_json(arguments)
