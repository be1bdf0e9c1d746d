"""Compare a run that had a fault with the rules, and with the run without one."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import Struct

from rxagents.core.chunks import StreamChunk
from rxagents.core.errors import TotalTimeoutError
from rxagents.core.events import Token
from rxagents.core.json_text import encode_json
from rxagents.core.response import Response
from rxagents.testing.fault_runs.fault import FaultKind, Rule
from rxagents.testing.fault_runs.run import Run

TextOf = Callable[[Any], str]

_VARYING = {"timestamp", "duration", "metadata"}
"""Fields that differ from run to run; the metadata has the attempts that failed before."""

_RANDOM = re.compile(r"call_[0-9a-f]{32}|run_[0-9a-f]{32}| at 0x[0-9a-f]+")


def text_of(item: Any) -> str:
    """Return the text of an item: a `str`, the new text of a chunk, or that of a token."""
    if isinstance(item, StreamChunk):
        return item.delta
    if isinstance(item, Token):
        return item.content
    return item if isinstance(item, str) else ""


class Rules(Struct, frozen=True):
    """The rules that a pipe has to keep.

    Attributes:
        clean: The run without a fault.
        text: Returns the text of an item; `None` if the pipe changes the text.
        recovers: Whether the pipe may replace what was lost by a fault.
        errors: The types that its errors may have.
        read_ahead: The most events that it may read while its reader pauses.
    """

    clean: Run
    text: TextOf | None
    recovers: bool
    errors: tuple[type[Exception], ...]
    read_ahead: int

    def check_clean(self) -> list[tuple[Rule, str]]:
        """Return the rules that the run without a fault broke."""
        clean = self.clean
        broken = list(clean.broken)
        if clean.error is not None and not isinstance(clean.error, self.errors):
            broken.append((Rule.TYPED_ERROR, f"it failed with {clean.error!r}"))
        if self._has_text and (text := self._text(clean)) != clean.session.text:
            broken.append(
                (
                    Rule.TEXT,
                    f"{_difference(clean.session.text, text)}; pass text=None if the pipe changes "
                    "the text",
                )
            )
        return broken

    def check(self, run: Run) -> list[tuple[Rule, str]]:
        """Return the rules that a run broke."""
        fault = run.fault
        assert fault is not None, "the run without a fault is checked by check_clean"
        broken = list(run.broken)
        if fault.kind is FaultKind.SLOW_READER:
            return broken + self._check_slow_reader(run)
        if fault.kind is FaultKind.DISPOSE:
            return broken + self._check_items(run, len(run.items))
        before = [
            read.items
            for read in self.clean.session.reads
            if (read.request, read.event) == (fault.request, fault.place)
        ]
        broken += self._check_items(run, before[0] if before else 0)
        if run.error is not None and not isinstance(run.error, self.errors):
            broken.append((Rule.TYPED_ERROR, f"it failed with {run.error!r}"))
        if self.recovers:
            return broken
        if run.completed:
            broken += self._check_completion(run)
        elif self._has_text and self._text(run) != run.session.text:
            broken.append((Rule.TEXT, _difference(run.session.text, self._text(run))))
        return broken

    @property
    def _has_text(self) -> bool:
        return (
            self.text is not None
            and not self.clean.session.is_concurrent
            and any(map(self.text, self.clean.items))
        )

    def _text(self, run: Run) -> str:
        return "" if self.text is None else "".join(map(self.text, run.items))

    def _check_items(self, run: Run, count: int) -> list[tuple[Rule, str]]:
        """Compare the first items with those of the run without a fault."""
        wanted = [_view(item) for item in self.clean.items[:count]]
        found = [_view(item) for item in run.items[:count]]
        if wanted == found:
            return []
        pairs = zip(wanted, found, strict=False)
        same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(wanted), len(found)))
        seen = found[same] if same < len(found) else "nothing"
        due = wanted[same] if same < len(wanted) else "nothing"
        return [(Rule.ORDER, f"item {same + 1} should be {due}, and is {seen}")]

    def _check_completion(self, run: Run) -> list[tuple[Rule, str]]:
        """Check that a run which completes has all that it has without a fault."""
        clean = self.clean
        if self._has_text and self._text(run) != self._text(clean):
            difference = _difference(self._text(clean), self._text(run))
            return [(Rule.FAILURE, f"it completed, but {difference}")]
        if not clean.completed:
            return [(Rule.FAILURE, "it completed, and fails without the fault")]
        if self._has_text or run.session.was_complete:
            return []
        if _views_of_content(run.items) == _views_of_content(clean.items):
            return []
        return [(Rule.FAILURE, f"it completed with {len(run.items)} other items")]

    def _check_slow_reader(self, run: Run) -> list[tuple[Rule, str]]:
        broken = []
        if run.read_ahead > self.read_ahead:
            broken.append(
                (
                    Rule.DEMAND,
                    f"{run.read_ahead} events were read while the reader paused, and "
                    f"read_ahead is {self.read_ahead}",
                )
            )
        if isinstance(run.error, TotalTimeoutError):
            return broken  # it counts the reader's time too
        if run.completed is not self.clean.completed:
            broken.append(
                (Rule.END, f"it failed with {run.error!r}, and completes for a fast reader")
            )
        elif self._has_text and self._text(run) != self._text(self.clean):
            broken.append((Rule.TEXT, _difference(self._text(self.clean), self._text(run))))
        return broken


def _difference(wanted: str, found: str) -> str:
    """Return where two texts differ first."""
    pairs = zip(wanted, found, strict=False)
    same = next((n for n, (a, b) in enumerate(pairs) if a != b), min(len(wanted), len(found)))
    return (
        f"after {same} characters the text should go on with {wanted[same : same + 20]!r}, and "
        f"goes on with {found[same : same + 20]!r}"
    )


def _views_of_content(items: list[Any]) -> list[str]:
    """Return the views of the items that a retry does not repeat: chunks only with content."""
    kept = (each for each in items if not isinstance(each, StreamChunk) or each.has_content)
    return [_view(item) for item in kept]


def _view(item: Any) -> str:
    """Return an item without what differs from run to run."""
    if isinstance(item, StreamChunk):
        item = msgspec.structs.replace(item, index=0)  # a retry goes on counting in a new stream
    if isinstance(item, Response):
        names = ("content", "reasoning", "refusal", "tool_calls", "finish_reason", "usage")
        item = {name: getattr(item, name) for name in names}
    try:
        value = msgspec.to_builtins(item)
        text = encode_json(_without(value), order="sorted")
    except (TypeError, ValueError, RecursionError):
        text = repr(item)
    return _RANDOM.sub("…", text)


def _without(value: Any) -> Any:
    match value:
        case dict():
            return {name: _without(each) for name, each in value.items() if name not in _VARYING}
        case list() | tuple():
            return [_without(each) for each in value]
    return value
