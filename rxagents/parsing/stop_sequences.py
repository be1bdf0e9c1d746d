"""Find stop sequences incrementally."""

from __future__ import annotations

import re


class StopScanner:
    """Finds the stop sequence that ends first; of several that end together, the longest.

    Text that cannot be the start of a stop sequence is returned at once. The cost is linear in
    the text; for each character that may be part of a stop sequence, it is bounded by the length
    of the stop sequences.

    Args:
        stops: The stop sequences; none of them empty.

    Attributes:
        held: The text that is held back: it may be the start of a stop sequence.
        found: The stop sequence that was found; empty until then.
        may_begin: Searches a text for the first character of any stop sequence.
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
        """Return the text that certainly precedes any stop sequence."""
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
        """Return the text that was held back, which no stop sequence completes."""
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
