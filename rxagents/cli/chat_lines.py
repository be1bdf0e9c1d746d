"""Chat over plain lines: stdin or stdout is no terminal, or one without cursor control."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click

from rxagents.agents.agent_run import AgentRun
from rxagents.cli.chat_commands import EndOfChat, obey
from rxagents.cli.chat_session import ChatSession
from rxagents.cli.failures import report
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.views import View
from rxagents.core.errors import RxAgentsError


class LineChat:
    """Reads a message a line, and shows one answer after the other.

    The next line is read when the answer is complete. Ctrl-C stops the answer.

    Args:
        session: The chat.
        view: Returns the view of one answer.
        stop: The handler of stop signals.
    """

    def __init__(self, session: ChatSession, view: Callable[[], View], stop: StopSignals) -> None:
        self._session = session
        self._view = view
        self._stop = stop
        self._at_terminal = sys.stdin is not None and sys.stdin.isatty()

    async def chat(self, first: str) -> None:
        """Chat until the end of stdin.

        Args:
            first: The first message; empty to read it.
        """
        line: str | None = first or self._read("> ")
        while line is not None:
            try:
                if line.startswith("/"):
                    await obey(self._session, line, lambda text: click.echo(text, err=True))
                elif line.strip() or self._session.attached:
                    await self._answer(line)
            except EndOfChat:
                return
            except RxAgentsError as error:
                report(error)
            line = self._read("> ")

    async def ask_line(self, question: str) -> str:
        """Ask in the middle of an answer; no line means no."""
        click.echo(question, err=True, nl=not self._at_terminal)
        return self._read("") or ""

    async def _answer(self, text: str) -> None:
        run = self._session.start(text)
        with _on_interrupt(run):
            await show(run.events, self._view(), self._stop)
        click.echo(err=not sys.stdout.isatty())

    def _read(self, prompt: str) -> str | None:
        """Return the next line; `None` at the end. No answer runs that would be held up."""
        if self._at_terminal and prompt:
            click.echo(prompt, nl=False, err=True)
        with self._stop.at_once():
            line = "" if sys.stdin is None else sys.stdin.readline()
        return line.rstrip("\r\n") if line else None


@contextmanager
def _on_interrupt(run: AgentRun) -> Iterator[None]:
    """Let Ctrl-C stop the run, instead of the program, in the block."""
    loop = asyncio.get_running_loop()
    # A handler that only calls stop() would not wake a loop that waits for the network.
    before = signal.signal(signal.SIGINT, lambda *_: loop.call_soon_threadsafe(run.stop))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
