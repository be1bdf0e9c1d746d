"""The text of an item, as far as it was emitted."""

from __future__ import annotations

from rxagents.core.chunks import TextBuffer

# Theory of operation
#
# A text comes in deltas, and whole in the `done` event of its part, in its item and in the final
# response. Deltas are always emitted. A whole text may only complete them: it adds what goes beyond
# the emitted text that is its beginning. If that text is not its beginning, the host changed the
# text (normalised it, cut markup off) and the deltas stand: nothing is emitted.
#
# - Hosts number parts badly (1 in the deltas and 0 in the item, or a new number for each delta) and
#   send the text of all parts with `done`. So a whole text is compared with the text since the last
#   `done` and with all of the item's text, whatever its number.
# - The number counts only where nothing was streamed since the last `done`: a number that is new
#   is a part without deltas.
# - A delta that comes after the whole text of its part repeats the end of it, and is dropped.
# - Texts are joined only to be compared with a text that is at least as long. That keeps the cost
#   linear in the bytes received.


class ItemText:
    """Text of one kind in one item.

    Attributes:
        end: Its length, in characters.
    """

    __slots__ = ("_earlier", "_last_whole", "_new", "_owed", "_part", "_parts", "end")

    def __init__(self) -> None:
        self.end = 0
        self._earlier = TextBuffer()  # up to the last `done`
        self._new = TextBuffer()  # since then
        self._part: int | None = None
        self._parts: set[int] = set()
        self._last_whole = ""
        self._owed: tuple[int, str, int] = (0, "", 0)

    @property
    def is_ahead(self) -> bool:
        """Whether a whole text came before its last deltas."""
        return len(self._owed[1]) > self._owed[2]

    def add(self, part: int, delta: str) -> str:
        """Add a delta; return what to emit of it."""
        if part != self._part or self._owed[1]:
            if self._repeats(part, delta):
                return ""
            self._part = part
            self._parts.add(part)
        self._new.append(delta)
        self.end += len(delta)
        return delta

    def rest_of_part(self, part: int, whole: str) -> str:
        """Add the whole text of one part; return what goes beyond the emitted text."""
        known_part, new = part in self._parts, self._new.end
        self._parts.add(part)
        rest = ""
        if new:
            rest = self._rest(whole) or _rest(self._new, whole)
        elif known_part:
            rest = self._rest(whole)
        elif not (self._part is not None and whole == self._last_whole):
            rest = whole
        self._last_whole = whole
        self._complete(part, rest)
        return rest

    def rest_of_item(self, parts: list[str]) -> str:
        """Add the texts of all parts; return what goes beyond the emitted text."""
        rest = self._rest("".join(parts))
        self._parts.update(range(len(parts)))
        self._complete(len(parts) - 1, rest)
        return rest

    def text(self) -> str:
        """Return the emitted text."""
        return self._earlier.upto(self._earlier.end) + self._new.upto(self._new.end)

    def _rest(self, whole: str) -> str:
        """Return what `whole` has beyond all of the item's text."""
        if len(whole) <= self.end:
            return ""
        emitted = self.text()
        return whole[len(emitted) :] if whole.startswith(emitted) else ""

    def _complete(self, part: int, rest: str) -> None:
        if self._new.end:
            self._earlier.append(self._new.upto(self._new.end))
            self._new = TextBuffer()
        if rest:
            self._earlier.append(rest)
            self.end += len(rest)
            self._owed = part, rest, 0

    def _repeats(self, part: int, delta: str) -> bool:
        """Return whether a late delta repeats what its part's whole text has added."""
        owed_part, owed, start = self._owed
        repeats = bool(owed) and part == owed_part and owed.startswith(delta, start)
        self._owed = (part, owed, start + len(delta)) if repeats else (0, "", 0)
        return repeats


def _rest(buffer: TextBuffer, whole: str) -> str:
    if len(whole) <= buffer.end:
        return ""
    emitted = buffer.upto(buffer.end)
    return whole[len(emitted) :] if whole.startswith(emitted) else ""
