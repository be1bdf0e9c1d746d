"""A function call while it is streamed."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import TextBuffer
from rxagents.core.json_text import JSON_ERRORS, encode_json

# Theory of operation
#
# Arguments come like texts (see `item_text.py`): in deltas, and whole in up to three places.
#
# - A delta that was emitted cannot be taken back, and a call with a wrong tail is no JSON. So a
#   whole text adds only what goes beyond the deltas, and nothing where it was written anew, for
#   example with other white space.
# - Some hosts stream an encrypted text as deltas and the arguments only whole. Arguments are a JSON
#   object, so deltas that do not begin with `{` are held back until the whole text replaces them,
#   or until the response ends.
# - A response may have many calls, and all are kept until its end. So a sealed call has no buffer.
# - `{}` before the real arguments is held back too, and dropped when they come.


class FunctionCall:
    """A function call.

    Args:
        index: Its number in the response.

    Attributes:
        id: Its call id; empty until known.
        name: The function's name; empty until known.
        sealed: Its seal was emitted.
    """

    __slots__ = (
        "_arguments",
        "_buffer",
        "_checked",
        "_end",
        "_foreign",
        "_held",
        "_is_object",
        "_is_placeholder",
        "_streams",
        "id",
        "index",
        "name",
        "sealed",
    )

    def __init__(self, index: int) -> None:
        self.index = index
        self.id = ""
        self.name = ""
        self.sealed = False
        self._buffer: TextBuffer | None = None  # the arguments that were emitted
        self._arguments = ""  # the same of a sealed call
        self._end = 0  # their length
        self._held: list[str] | None = None
        self._streams = False
        self._foreign = False
        self._is_placeholder = False
        self._checked = 0  # the length at which `_is_object` was set
        self._is_object = False

    @property
    def is_empty(self) -> bool:
        """Whether no arguments have come."""
        return not self._end and not self._held

    def update(self, call_id: str, name: str) -> tuple[str, str]:
        """Take id and name if they are not known yet; return those that are new."""
        new_id = "" if self.id else call_id
        new_name = "" if self.name else name
        self.id, self.name = self.id or new_id, self.name or new_name
        return new_id, new_name

    def add(self, delta: str) -> str:
        """Add a delta; return what to emit."""
        if not self._streams:
            start = delta.lstrip()
            if start and self._is_placeholder:
                self._is_placeholder = False
                self._held = None if start.startswith("{") else self._held
            self._is_placeholder = not self._held and start.rstrip() == "{}"
            if self._held is None:
                self._held = []
            self._held.append(delta)
            if self._is_placeholder:
                return ""
            self._foreign = self._foreign or bool(start and not start.startswith("{"))
            if self._foreign or not start:
                return ""
            self._streams = True
            delta = self._release()
        self._append(delta)
        return delta

    def add_whole(self, whole: str) -> str:
        """Add the whole arguments; return what goes beyond the deltas."""
        if not whole:
            return ""
        if not self._streams:
            self._held = None
            self._streams = True
            self._append(whole)
            return whole
        if len(whole) <= self._end:
            return ""
        emitted = self._text()
        rest = whole[len(emitted) :] if whole.startswith(emitted) else ""
        if rest:
            self._append(rest)
        return rest

    def add_held(self) -> str:
        """Return the deltas that are held back: no whole arguments come any more."""
        held = self._release()
        if held:
            self._append(held)
        return held

    def is_complete(self) -> bool:
        """Return whether the arguments are a JSON object."""
        if self._checked != self._end:
            self._checked = self._end
            self._is_object = isinstance(_decoded(self._text()), dict)
        return self._is_object

    def seal(self) -> None:
        """Set that no arguments follow."""
        self.sealed = True
        self._arguments, self._buffer = self._text(), None

    def agrees_with(self, name: str, whole: str) -> bool:
        """Return whether a call with this name and these whole arguments may be this call."""
        if name and self.name and name != self.name:
            return False
        if not self._streams or not whole:
            return True
        emitted = self._text()
        if whole.startswith(emitted):
            return True
        return call_content(name, emitted) == call_content(name, whole)

    def content(self) -> object:
        """Return what identifies the call among calls with other ids."""
        return call_content(self.name, self._text())

    def _text(self) -> str:
        return self._arguments if self._buffer is None else self._buffer.upto(self._end)

    def _append(self, text: str) -> None:
        if self._buffer is None:
            self._buffer = TextBuffer()
        self._end = self._buffer.append(text)

    def _release(self) -> str:
        held, self._held = "".join(self._held or ()), None
        return held


def call_content(name: str, arguments: str) -> object:
    """Return what identifies a call: its name and the value of its arguments."""
    value = _decoded(arguments)
    return name, arguments if value is None else encode_json(value, order="sorted")


def _decoded(text: str) -> Any:
    """Return the JSON value, or `None` if `text` is none."""
    try:
        return msgspec.json.decode(text)
    except JSON_ERRORS:
        return None
