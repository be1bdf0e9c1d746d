"""Show how far a batch is: a bar at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TimeRemainingColumn,
)
from rich.text import Text

from rxagents.cli.batch.results import Result
from rxagents.runtime.event_log.log_store import LEASE_SECONDS

_EVERY = 10.0
"""Seconds between two lines where the output is no terminal."""

_WIDE = 70
"""The columns of a terminal that has room for the bar beside the counts."""


class BatchProgress:
    """The progress of a batch on stderr; use it as a context.

    Args:
        console: Where to show it.
        total: The number of rows.
        done: How many had a result before.
        failed: How many of those have failed.

    Attributes:
        ended: How many runs have ended since the start.
        failed: How many rows have failed.
        tokens: The tokens of the runs since the start.
        usd: What they have cost, as far as prices are known.
    """

    def __init__(self, console: Console, total: int, done: int, failed: int) -> None:
        self.ended, self.failed, self.tokens, self.usd = 0, failed, 0, 0.0
        self._console = console
        self._total, self._before = total, done
        self._has_price = self._has_noted = False
        self._start = self._shown = time.monotonic()
        self._bar = Progress(
            *([BarColumn()] if console.width >= _WIDE else []),
            MofNCompleteColumn(),
            _Counts(self),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("", total=total, completed=done)

    def add(self, result: Result) -> None:
        """Count a result."""
        self.ended += 1
        self.failed += result.error is not None
        self.tokens += result.total_tokens or 0
        if result.usd is not None:
            self._has_price = True
            self.usd += result.usd
        self._bar.advance(self._task)
        now = time.monotonic()
        if not self._console.is_terminal and now - self._shown >= _EVERY:
            self._shown = now
            self._console.print(
                f"{self._before + self.ended:,} of {self._total:,} · {self.counts()}",
                highlight=False,
                soft_wrap=True,
            )

    def note_wait(self) -> bool:
        """Say once why nothing happens; return True, as a batch waits until the runs have ended."""
        if not self._has_noted:
            self._has_noted = True
            self._console.print(
                f"Note: waiting up to {LEASE_SECONDS:.0f} s for the leases of a killed batch.",
                highlight=False,
                soft_wrap=True,
            )
        return True

    def counts(self) -> str:
        """Return the rate, the tokens, the cost and the failures."""
        seconds = max(time.monotonic() - self._start, 0.001)
        rate = self.ended / seconds
        parts = [f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.1f}/s"]
        if self.tokens:
            parts.append(f"{_short(self.tokens)} tokens")
        if self._has_price:
            parts.append(f"${self.usd:,.2f}")
        parts.append(f"{self.failed:,} failed")
        return " · ".join(parts)

    @property
    def left(self) -> int:
        """How many rows have no result."""
        return self._total - self._before - self.ended

    def summary(self) -> str:
        """Return a line about the whole batch."""
        done, seconds = self._before + self.ended, time.monotonic() - self._start
        return f"{done:,} of {self._total:,} rows in {_duration(seconds)} · {self.counts()}"

    def __enter__(self) -> BatchProgress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


class _Counts(ProgressColumn):
    def __init__(self, progress: BatchProgress) -> None:
        super().__init__()
        self._progress = progress

    def render(self, task: Task) -> Text:
        return Text(self._progress.counts(), "red" if self._progress.failed else "")


def _short(count: int) -> str:
    for size, unit in ((1_000_000_000, "G"), (1_000_000, "M"), (1_000, "k")):
        if count >= size:
            return f"{count / size:.1f}{unit}"
    return str(count)


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"
