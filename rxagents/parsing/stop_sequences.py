"""Stop sequences found in a text that comes in pieces."""

from __future__ import annotations

import re


class StopScanner:
    """Finds the stop sequence that is whole first; of several that end together, the longest.

    Text that cannot be the beginning of one is let go at once. Linear in the text, and bounded by
    the length of the stop sequences for each character that may be part of one.

    Args:
        stops: The sequences; none of them empty.

    Attributes:
        held: What may be the beginning of a stop sequence.
        found: The stop sequence that was found; empty until then.
        may_begin: Searches a text for a character that may begin a stop sequence.
    """

    __slots__ = ("_begins", "_longest", "_stops", "found", "held", "may_begin")

    def __init__(self, stops: tuple[str, ...]) -> None:
        self.held = ""
        self.found = ""
        self._stops = stops
        self._longest = max(map(len, stops))
        self._begins = re.compile("[" + re.escape("".join({stop[0] for stop in stops})) + "]")
        self.may_begin = self._begins.search

    def feed(self, text: str) -> str:
        """Return what surely stands before any stop sequence: all of it, if one is found."""
        whole = self.held + text
        ends = [(at + len(s), -len(s), s) for s in self._stops if (at := whole.find(s)) >= 0]
        if ends:
            end, _, self.found = min(ends)
            cut = end - len(self.found)
            self.held = ""
        else:
            cut = self._begin_of_held(whole)
            self.held = whole[cut:]
        return whole[:cut]

    def flush(self) -> str:
        """Return what was held back: nothing follows, or nothing that continues it."""
        held, self.held = self.held, ""
        return held

    def _begin_of_held(self, whole: str) -> int:
        first = max(len(whole) - self._longest + 1, 0)
        for begin in self._begins.finditer(whole, first):
            tail = whole[begin.start() :]
            for stop in self._stops:
                if stop.startswith(tail):
                    return begin.start()
        return len(whole)
