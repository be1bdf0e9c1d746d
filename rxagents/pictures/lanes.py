"""Define the parts of a picture: lanes, with points and bars on them, and marks across them."""

from __future__ import annotations

from bisect import bisect_left
from enum import StrEnum
from typing import Literal, TypeAlias

from msgspec import Struct, field

Path: TypeAlias = tuple[str, ...]
"""The names of the sub-agents that a lane belongs to, the outermost first."""

State: TypeAlias = Literal["writing", "open", "done", "failed", "cancelled"]
"""The state of a bar; `"writing"`: the model writes the call, and no tool runs yet."""

TEXTS = 300
"""How many items of a lane keep their text: a lane with more is drawn without texts."""


class LaneKind(StrEnum):
    """The kinds of lanes, in the order in which they are drawn."""

    TURNS = "turns"
    THOUGHTS = "thoughts"
    TOKENS = "tokens"
    ITEMS = "items"
    TOOL = "tool"
    APPROVALS = "approvals"


class Bar(Struct):
    """Something that takes time: a turn, a tool call or an approval.

    Attributes:
        key: The id of the call; bars of one key stand in one row.
        start: Seconds since the start of the run.
        end: The same; `None` while it goes on.
        state: How it stands.
        note: A word about it, such as the kind of its error.
        is_void: Whether a reset has voided it.
        ticks: When it reported progress.
    """

    key: str
    start: float
    end: float | None = None
    state: State = "open"
    note: str = ""
    is_void: bool = False
    ticks: list[float] = field(default_factory=list)


class Lane(Struct):
    """One line of the picture.

    Attributes:
        kind: The kind of the lane.
        name: Its label.
        path: The sub-agent that it belongs to.
        times: When each item came, in seconds since the start of the run.
        texts: The texts of the first `TEXTS` items.
        bars: What takes time.
        latest: The latest bar of each key.
        voids: The items that resets have voided, as ranges of indexes of `times`.
    """

    kind: LaneKind
    name: str
    path: Path
    times: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    latest: dict[str, Bar] = field(default_factory=dict)
    voids: list[tuple[int, int]] = field(default_factory=list)

    def add_point(self, at: float, text: str) -> None:
        """Add an item."""
        if len(self.times) < TEXTS:
            self.texts.append(text)
        self.times.append(at)

    def add_bar(self, bar: Bar) -> Bar:
        """Add a bar; return it."""
        self.bars.append(bar)
        self.latest[bar.key] = bar
        return bar

    def open_bar(self, key: str) -> Bar | None:
        """Return the bar of a call if it goes on."""
        bar = self.latest.get(key)
        return None if bar is None or bar.end is not None else bar

    def void_since(self, since: float, at: float) -> None:
        """Void the items since a time; bars that go on end here."""
        first = bisect_left(self.times, since)
        if first < len(self.times):
            self.voids.append((first, len(self.times)))
        for bar in reversed(self.bars):
            if bar.start < since:
                break
            bar.is_void = True
            if bar.end is None:
                bar.end, bar.state = at, "cancelled"

    def is_void(self, index: int) -> bool:
        """Return whether an item was voided."""
        return any(first <= index < last for first, last in self.voids)

    def rows(self, now: float) -> list[list[Bar]]:
        """Return the bars in rows, so that calls that run at the same time do not overlap."""
        calls: dict[str, list[Bar]] = {}
        for bar in self.bars:
            calls.setdefault(bar.key, []).append(bar)
        rows: list[list[Bar]] = []
        busy: list[float] = []
        for bars in calls.values():
            start = bars[0].start
            end = max(now if bar.end is None else bar.end for bar in bars)
            number = next((n for n, until in enumerate(busy) if until <= start), len(rows))
            if number == len(rows) < MAX_ROWS:
                rows.append([])
                busy.append(0.0)
            number = min(number, len(rows) - 1)
            rows[number] += bars
            busy[number] = max(end, busy[number])
        return rows or [[]]


MAX_ROWS = 8
"""How many calls of one tool are drawn below each other; more overlap in the last row."""


class Mark(Struct, frozen=True):
    """A moment that concerns all lanes: a reset, a retry or a handoff.

    Attributes:
        at: Seconds since the start of the run.
        kind: What happened.
        text: It in a few words.
    """

    at: float
    kind: Literal["reset", "retry", "handoff", "message"]
    text: str


class End(Struct, frozen=True):
    """The end of the run.

    Attributes:
        at: Seconds since the start of the run.
        how: How it ended; `"unknown"` if a recording has no end, since its program stopped.
        text: The finish reason, or the error.
    """

    at: float
    how: Literal["completed", "failed", "disposed", "unknown"]
    text: str = ""
