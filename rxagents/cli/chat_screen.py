"""Chat in a terminal: the answer streams above the line in which the person types.

Theory of operation. One prompt of prompt_toolkit is open from the begin of the chat to its end,
also while an answer runs. Its buffer hands each line over to a queue, and stays: between two
prompts the terminal would echo what is typed, and turn Ctrl-C into a signal that ends the program.
For the same reason `run_in_terminal` and `patch_stdout` are not used, which leave the raw mode for
each write. `_AbovePrompt` erases the prompt, writes, and lets it be drawn again.

Full rows of the answer are printed above the prompt, once. The open row, which may still change, is
part of the prompt's message, as is the question of an approval. rich's `Live` cannot be used here:
it and prompt_toolkit would both move the cursor.
"""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import IO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.application import Application
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.shortcuts import CompleteStyle
from rich.console import Console
from rich.text import Text

from rxagents.agents.agent_run import AgentRun
from rxagents.cli.chat_commands import COMMANDS, EndOfChat, obey
from rxagents.cli.chat_session import ChatSession
from rxagents.cli.failures import text_of
from rxagents.cli.pieces import Item, printable
from rxagents.cli.signals import StopSignals
from rxagents.cli.streaming import show
from rxagents.cli.terminal import Screen
from rxagents.core.errors import RxAgentsError

_REDRAW = 0.1
"""Seconds between two drawings of the prompt while an answer runs."""

_FRAMES = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"


class ChatScreen:
    """Shows a chat in a terminal.

    Args:
        session: The chat.
        stop: The handler of stop signals.
        markdown: Whether Markdown is rendered.
        history: The file of the typed lines; `None` keeps none.
    """

    def __init__(
        self, session: ChatSession, stop: StopSignals, *, markdown: bool, history: Path | None
    ) -> None:
        self._session = session
        self._stop = stop
        self._markdown = markdown
        self._screen: Screen | None = None
        self._answering: asyncio.Task[None] | None = None
        self._started = 0.0
        self._question = ""
        self._reply: asyncio.Future[str] | None = None
        self._one_question = asyncio.Lock()
        typed: History = InMemoryHistory() if history is None else FileHistory(str(history))
        self._prompt: PromptSession[str] = PromptSession(
            message=self._message,
            history=typed,
            erase_when_done=True,
            completer=WordCompleter(list(COMMANDS), sentence=True),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            key_bindings=self._keys(),
            refresh_interval=_REDRAW,
        )
        self._above = _AbovePrompt(self._prompt.app)
        self._console = Console(file=cast("IO[str]", self._above))
        self._lines: asyncio.Queue[str | None] = asyncio.Queue()
        self._prompt.default_buffer.accept_handler = self._accept

    async def chat(self, first: str) -> None:
        """Chat until the person ends it.

        Args:
            first: The first message; empty to wait for one.
        """
        with redirect_stderr(self._above):
            self._say(f"Chat with {self._session.title}. /help lists the commands, Ctrl-D ends.")
            prompt = asyncio.create_task(self._prompt.prompt_async(handle_sigint=False))
            prompt.add_done_callback(lambda _: self._lines.put_nowait(None))
            try:
                line: str | None = first
                while line is not None:
                    await self._take(line)
                    line = await self._lines.get()
            except EndOfChat:
                pass
            finally:
                self._session.stop()
                await self._answered()
                if self._prompt.app.is_running:
                    self._prompt.app.exit(result="")
                await asyncio.wait([prompt])
            if not isinstance(error := prompt.exception(), EOFError | None):
                raise error

    async def ask_line(self, question: str) -> str:
        """Ask in the middle of an answer; the next line that is typed is the reply."""
        async with self._one_question:
            self._question = question
            self._reply = asyncio.get_running_loop().create_future()
            try:
                return await self._reply
            finally:
                self._question, self._reply = "", None

    async def _take(self, line: str) -> None:
        """Treat a line as a reply, a command or a message."""
        if line or self._session.attached or self._question:
            before = self._question or "> "
            self._console.print(Text(before + line, "bold"), highlight=False)
        try:
            if line.startswith("/"):
                await obey(self._session, line, self._say)
            elif self._reply is not None and not self._reply.done():
                self._reply.set_result(line)
            elif not line.strip() and not self._session.attached:
                return
            elif self._session.steer(line):
                self._say("The model sees this in its next turn; /now TEXT interrupts it.")
            else:
                await self._answered()
                self._started = time.monotonic()
                run = self._session.start(line)
                self._answering = asyncio.create_task(self._show(run))
        except RxAgentsError as error:
            self._report(error)

    async def _show(self, run: AgentRun) -> None:
        screen = self._screen = Screen(self._console, markdown=self._markdown)

        @contextmanager
        def view() -> Iterator[Callable[[Item], None]]:
            try:
                yield screen.show
            finally:
                self._screen = None
                screen.finish()

        try:
            measured = await show(run.events, view(), self._stop)
        except RxAgentsError as error:
            self._report(error)
        else:
            if measured.finish_reason == "cancelled":
                self._say("Stopped.")
            elif measured.finish_reason not in {"", "stop"}:
                self._say(f"finish reason: {printable(measured.finish_reason)}")
        self._console.print()

    async def _answered(self) -> None:
        """Wait until the last answer is shown to its end."""
        if self._answering is not None:
            await self._answering

    def _accept(self, buffer: Buffer) -> bool:
        """Take the typed line; return whether the buffer keeps it."""
        self._lines.put_nowait(buffer.text)
        return False

    def _keys(self) -> KeyBindings:
        keys = KeyBindings()

        @keys.add("escape", "enter")
        def _new_line(event: KeyPressEvent) -> None:
            event.current_buffer.insert_text("\n")

        @keys.add("c-c")
        def _stop(event: KeyPressEvent) -> None:
            if self._session.is_running:
                self._session.stop()
            elif event.current_buffer.text:
                event.current_buffer.reset()
            else:
                self._say("Ctrl-D ends the chat.")

        return keys

    def _message(self) -> ANSI:
        """Return what stands before the typed text: the open rows, and the prompt."""
        rows: list[Text] = []
        if self._screen is not None:
            rows = self._screen.open_rows(self._console.height - 4)
        if self._question:
            rows.append(Text(self._question, "yellow"))
        elif self._session.is_running:
            seconds = time.monotonic() - self._started
            frame = _FRAMES[int(seconds / _REDRAW) % len(_FRAMES)]
            rows.append(Text(f"{frame} {seconds:.1f} s", "dim"))
        files = len(self._session.attached)
        marks = f"({files} attached) " if files else ""
        return ANSI(_ansi(self._console, rows) + f"{marks}> ")

    def _say(self, text: str) -> None:
        self._console.print(Text(text, "dim"), highlight=False)

    def _report(self, error: RxAgentsError) -> None:
        text = text_of(error)
        self._console.print(Text("Error: " + " ".join(printable(text).split()), "red"))


class _AbovePrompt(io.TextIOBase):
    """A file whose text appears above the prompt of an application that runs.

    Args:
        application: The application.
    """

    encoding = "utf-8"

    def __init__(self, application: Application[str]) -> None:
        self._application = application

    def write(self, text: str) -> int:
        """Write text, which should end with its line."""
        application = self._application
        if text and application.is_running:  # rich ends a capture with an empty write
            application.renderer.erase()
            application.invalidate()
        application.output.enable_autowrap()
        application.output.write_raw(text)
        application.output.flush()
        return len(text)

    def isatty(self) -> bool:
        """Return true: a chat with a prompt has a terminal."""
        return True


def _ansi(console: Console, rows: list[Text]) -> str:
    """Return rows with the escape sequences of their styles."""
    with console.capture() as capture:
        for row in rows:
            console.print(row, highlight=False)
    return capture.get()
