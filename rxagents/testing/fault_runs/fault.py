"""Define the faults of a run, and the rules that they may break."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class FaultKind(StrEnum):
    """The kinds of faults."""

    CUT = "cut"
    """The connection closes after an event, or in the middle of one."""
    STALL = "stall"
    """The server falls silent after an event, and the connection stays open."""
    ERROR = "error"
    """The body breaks after an event, with an error that no retry can repair."""
    DISPOSE = "dispose"
    """The subscriber disposes the stream when an event was read, or in the callback of an item."""
    SLOW_READER = "slow reader"
    """An `async for` loop pauses for an hour after an item."""


class Rule(StrEnum):
    """The rules of every stream."""

    GRAMMAR = "grammar"
    """Items and one end, one call at a time, on the loop's thread, never inside `subscribe`."""
    SILENCE = "silence after dispose"
    """Nothing is delivered after `dispose`."""
    END = "one end"
    """The stream ends by itself: a stall ends in a timeout."""
    FAILURE = "failures fail"
    """After a failure there is no completion with a part of the items."""
    TYPED_ERROR = "typed error"
    """The error is an `RxAgentsError`."""
    ORDER = "items before the fault"
    """What came before the fault is what comes without it."""
    TEXT = "text"
    """No text that was received is lost, repeated or reordered."""
    CLEAN_UP = "nothing left"
    """After the end no task, timer or response is left, and no error was reported to the loop."""
    DEMAND = "demand"
    """The pipe stops to read while its reader pauses."""


class Fault(Struct, frozen=True):
    """One fault of a run.

    Attributes:
        kind: What goes wrong.
        request: The number of the request that it happens in, from 1; 0 if it happens at an item.
        place: After how many events of the response, or at which item, from 1; 0 is before the
            first one.
        is_inside: Whether the next event arrives by half.
    """

    kind: FaultKind
    request: int
    place: int
    is_inside: bool = False

    def __str__(self) -> str:
        if self.request == 0:
            return f"{self.kind} at item {self.place}" if self.place else f"{self.kind} at once"
        inside = "inside of" if self.is_inside else "after"
        return f"{self.kind} {inside} event {self.place + self.is_inside} of request {self.request}"


class BrokenRule(Struct, frozen=True):
    """One rule that a run broke.

    Attributes:
        fault: The fault of the run; `None` for the run without one.
        rule: The rule.
        detail: What happened.
    """

    fault: Fault | None
    rule: Rule
    detail: str

    def __str__(self) -> str:
        return f"{self.fault or 'without a fault'}: {self.rule}: {self.detail}"


class BrokenRulesError(AssertionError):
    """A pipe broke rules of every stream; the message lists the runs.

    Attributes:
        broken: The rules that were broken, in the order of the runs.
    """

    def __init__(self, message: str, broken: list[BrokenRule]) -> None:
        super().__init__(message)
        self.broken = broken
