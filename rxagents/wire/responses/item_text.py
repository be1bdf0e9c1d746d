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
#   linear in the bytes received. So the text since the last `done` is kept apart from the rest.
# - A response may have many items, and all are kept until its end. So an item that is done has no
#   buffer, and the set of its parts is made for the second part. `io.StringIO` is no buffer for
#   deltas: on CPython 3.11 it keeps every string that was written, some 50 bytes a delta.


class ItemText:
    """Text of one kind in one item.

    Attributes:
        kind: Its kind.
        end: Its length, in characters.
    """

    __slots__ = ("_earlier", "_first_part", "_last_whole", "_new", "_new_end", "_other_parts",
                 "_owed", "_part", "end", "kind")  # fmt: skip

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self.end = 0
        self._earlier: list[str] | None = None  # up to the last `done`
        self._new: TextBuffer | None = None  # since then
        self._new_end = 0
        self._part: int | None = None
        self._first_part: int | None = None
        self._other_parts: set[int] | None = None
        self._last_whole = ""
        self._owed = _NOTHING_OWED

    @property
    def is_ahead(self) -> bool:
        """Whether a whole text came before its last deltas."""
        return len(self._owed[1]) > self._owed[2]

    def add_all(self, deltas: list[str]) -> None:
        """Add deltas after one of the same part, when `takes_all` is true for it."""
        assert self._new is not None  # it has the delta before these
        self._new.extend(deltas)
        self.end += self._new.end - self._new_end
        self._new_end = self._new.end

    def takes_all(self, part: int) -> bool:
        """Return whether `add` will emit all of the next delta, if it is of this part."""
        return part == self._part and not self._owed[1]

    def add(self, part: int, delta: str) -> str:
        """Add a delta; return what to emit of it."""
        if part != self._part or self._owed[1]:
            if self._repeats(part, delta):
                return ""
            self._part = part
            self._add_part(part)
        if self._new is None:
            self._new = TextBuffer()
        self._new_end = self._new.append(delta)
        self.end += len(delta)
        return delta

    def rest_of_part(self, part: int, whole: str) -> str:
        """Add the whole text of one part; return what goes beyond the emitted text."""
        known_part = self._knows(part)
        self._add_part(part)
        rest = ""
        if self._new_end:
            rest = self._rest(whole) or self._rest_of_new(whole)
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
        for part in range(len(parts)):
            self._add_part(part)
        self._complete(len(parts) - 1, rest)
        return rest

    def text(self) -> str:
        """Return the emitted text."""
        earlier = "".join(self._earlier or ())
        if self._earlier:
            self._earlier = [earlier]
        return earlier + self._new_text()

    def _new_text(self) -> str:
        return "" if self._new is None else self._new.upto(self._new_end)

    def _rest(self, whole: str) -> str:
        """Return what `whole` has beyond all of the item's text."""
        if len(whole) <= self.end:
            return ""
        return _beyond(self.text(), whole)

    def _rest_of_new(self, whole: str) -> str:
        """Return what `whole` has beyond the text since the last `done`."""
        if len(whole) <= self._new_end:
            return ""
        return _beyond(self._new_text(), whole)

    def _complete(self, part: int, rest: str) -> None:
        if not self._new_end and not rest:
            return
        text = self._new_text() + rest
        self._new, self._new_end = None, 0
        if text == self._last_whole:
            text = self._last_whole  # one string, not two equal ones
        if self._earlier is None:
            self._earlier = [text]
        else:
            self._earlier.append(text)
        if rest:
            self.end += len(rest)
            self._owed = part, rest, 0

    def _knows(self, part: int) -> bool:
        return part == self._first_part or part in (self._other_parts or ())

    def _add_part(self, part: int) -> None:
        if self._first_part is None:
            self._first_part = part
        elif part != self._first_part:
            if self._other_parts is None:
                self._other_parts = set()
            self._other_parts.add(part)

    def _repeats(self, part: int, delta: str) -> bool:
        """Return whether a late delta repeats what its part's whole text has added."""
        owed_part, owed, start = self._owed
        repeats = bool(owed) and part == owed_part and owed.startswith(delta, start)
        self._owed = (part, owed, start + len(delta)) if repeats else _NOTHING_OWED
        return repeats


_NOTHING_OWED = (0, "", 0)


def _beyond(emitted: str, whole: str) -> str:
    return whole[len(emitted) :] if whole.startswith(emitted) else ""
