"""Show the probes of other processes in a terminal, again and again."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import termios
import time
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from rxagents.cli.pieces import printable
from rxagents.cli.top_client import Link, live_sockets
from rxagents.cli.top_view import SORTS, rows
from rxagents.runtime.inspect_folder import InspectSocket


class TopScreen:
    """The screen of `rxagents top`.

    Args:
        console: The terminal.
        pid: The process to show; `None` for any that listens.
        interval: Seconds between two snapshots.
        items: Whether the text of items is shown.
    """

    def __init__(self, console: Console, pid: int | None, interval: float, *, items: bool) -> None:
        self._console = console
        self._pid = pid
        self._interval = interval
        self._items = items
        self._sort = next(iter(SORTS))
        self._keys: asyncio.Queue[str] = asyncio.Queue()
        self._sockets: list[InspectSocket] = []
        self._chosen: int | None = pid
        self._is_late = False

    async def show(self) -> None:
        """Show the processes until the key `q`."""
        live = Live(console=self._console, screen=True, auto_refresh=False)
        with _keys_into(self._keys), live:
            while await self._show_one(live):
                pass

    async def _show_one(self, live: Live) -> bool:
        """Show one process until it ends or another key is pressed; return whether to go on."""
        self._sockets = await live_sockets()
        if self._pid is not None:
            self._sockets = [found for found in self._sockets if found.pid == self._pid]
        if not self._sockets:
            live.update(self._frame(None), refresh=True)
            return await self._key(self._interval) != "q"
        numbers = [found.pid for found in self._sockets]
        at = numbers.index(self._chosen) if self._chosen in numbers else 0
        self._chosen = numbers[at]
        async with Link(self._sockets[at].path, items=self._items) as link:
            key = await self._follow(link, live)
        if key == "\t":
            self._chosen = numbers[(at + 1) % len(numbers)]
        return key != "q"

    async def _follow(self, link: Link, live: Live) -> str:
        """Show snapshots of a process; return the key that ends this, or "" when it has ended."""
        next_at = time.monotonic()
        while True:
            try:
                self._is_late = not await link.ask(self._interval)
            except OSError:
                return ""
            next_at = max(next_at + self._interval, time.monotonic())
            while True:
                live.update(self._frame(link), refresh=True)
                key = await self._key(next_at - time.monotonic())
                if key in {"q", "\t"}:
                    return key
                if not key:
                    break
                if key == "s":
                    names = list(SORTS)
                    self._sort = names[(names.index(self._sort) + 1) % len(names)]

    async def _key(self, seconds: float) -> str:
        """Return the next key; "" if none is pressed within `seconds`."""
        try:
            return await asyncio.wait_for(self._keys.get(), max(seconds, 0.01))
        except TimeoutError:
            return ""

    def _frame(self, link: Link | None) -> RenderableType:
        width, height = self._console.size
        recent = None if link is None else link.recent
        if recent is None:
            who = "" if self._pid is None else f" {self._pid}"
            waits = f"Waiting for{' process' if who else ' a process'}{who} …"
            body = [Text(waits)] if link is None else [Text("Waiting for the first figures …")]
            head = "rxagents top"
        else:
            head = f"{printable(recent.program)} ({recent.pid}): "
            if self._is_late:
                late = time.time() - recent.time
                head += f"no answer for {late:.0f} s, its event loop is blocked"
            else:
                probes = sum(len(pipe.probes) for pipe in recent.pipes)
                head += f"{_count(len(recent.pipes), 'pipe')}, {_count(probes, 'probe')}"
            if len(self._sockets) > 1:
                at = [found.pid for found in self._sockets].index(recent.pid) + 1
                head += f", process {at} of {len(self._sockets)}"
            body = rows(recent, width, height - 2, self._sort)
        keys = f"q quit  s sort: {self._sort}  Tab next process"
        lines = [Text(head[:width], "reverse"), *body]
        lines += [Text("")] * (height - 1 - len(lines))
        return Group(*lines[: height - 1], Text(keys[:width], "dim"))


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


@contextmanager
def _keys_into(queue: asyncio.Queue[str]) -> Iterator[None]:
    """Read single keys from stdin in the block; a change of the terminal's size is a key too."""
    loop, descriptor = asyncio.get_running_loop(), sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)

    def read() -> None:
        for key in os.read(descriptor, 64).decode(errors="ignore").lower() or "q":
            queue.put_nowait(key)

    tty.setcbreak(descriptor)
    loop.add_reader(descriptor, read)
    loop.add_signal_handler(signal.SIGWINCH, queue.put_nowait, "resize")
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGWINCH)
        loop.remove_reader(descriptor)
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
