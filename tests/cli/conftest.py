"""Run the program in a process of its own."""

from __future__ import annotations

import asyncio
import io
import os
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

from rxagents.cli import main
from rxagents.cli.signals import StopSignals
from rxagents.testing import ScriptedServer
from rxagents.testing.scripted_server import Script


class Finished(NamedTuple):
    status: int | None
    out: str
    err: str


Start: TypeAlias = Callable[..., Awaitable[Process]]
RunHere: TypeAlias = Callable[..., Finished]


@pytest.fixture
def program() -> list[str]:
    """The command that starts the program."""
    return [sys.executable, "-m", "rxagents"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the configuration and the log, empty at first."""
    folder = tmp_path / "home"
    monkeypatch.setenv("RXAGENTS_HOME", str(folder))
    return folder


@pytest.fixture
def start(program: list[str], monkeypatch: pytest.MonkeyPatch) -> Start:
    """Start the program with warnings as errors."""
    for name in ("RXAGENTS_MODEL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)

    async def start(
        *arguments: str, stdin: int = DEVNULL, cwd: Path | None = None, **environment: str
    ) -> Process:
        return await asyncio.create_subprocess_exec(
            *program,
            *arguments,
            stdin=stdin,
            cwd=cwd,
            stdout=PIPE,
            stderr=PIPE,
            env={**os.environ, "PYTHONWARNINGS": "error", **environment},
        )

    return start


@pytest.fixture
def run(start: Start) -> Callable[..., Awaitable[Finished]]:
    """Run the program until it exits."""

    async def run(*arguments: str, stdin: bytes = b"", **options: Any) -> Finished:
        return await _finish(await start(*arguments, stdin=PIPE, **options), stdin)

    return run


@pytest.fixture
def run_here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> RunHere:
    """Run the program in this process, which is quicker: for uses that start no event loop."""
    for name in ("RXAGENTS_MODEL", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO()))
    monkeypatch.setattr(StopSignals, "install", lambda _: None)

    def run_here(*arguments: str) -> Finished:
        monkeypatch.setattr(sys, "argv", ["rxagents", *arguments])
        status = main()
        return Finished(status, *capsys.readouterr())

    return run_here


@pytest.fixture
def ask(start: Start) -> Callable[..., Awaitable[tuple[Finished, ScriptedServer]]]:
    """Run `rxagents ask` against a server with `script`."""

    async def ask(
        script: Script,
        *options: str,
        prompt: str = "Hi",
        stdin: bytes = b"",
        key: str = "",
        cwd: Path | None = None,
    ) -> tuple[Finished, ScriptedServer]:
        async with ScriptedServer(script) as server:
            url = [] if key else ["--base-url", server.url]
            home = {"OPENAI_API_KEY": key, "OPENAI_BASE_URL": server.url} if key else {}
            prompts = [prompt] if prompt else []
            command = ("ask", *prompts, "--model", "openai:any", *url, *options)
            return await _finish(await start(*command, stdin=PIPE, cwd=cwd, **home), stdin), server

    return ask


class Terminal:
    """A program at a pseudo-terminal."""

    def __init__(self, process: Process, descriptor: int) -> None:
        self.process = process
        self._descriptor = descriptor
        self._screen = b""
        self._seen = 0
        self._changed = asyncio.Event()
        asyncio.get_running_loop().add_reader(descriptor, self._read)

    def type(self, text: str) -> None:
        os.write(self._descriptor, text.encode())

    async def until(self, text: str) -> None:
        """Wait until the program has written a text since the last such wait."""
        while (found := self.screen.find(text, self._seen)) < 0:
            self._changed.clear()
            await self._changed.wait()
        self._seen = found + len(text)

    @property
    def screen(self) -> str:
        """All that was written, without escape sequences."""
        return re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[=>])", "", self._screen.decode("utf-8", "replace"))

    async def until_cursor(self) -> None:
        """Wait until the program shows the cursor."""
        while self._screen.rfind(b"\x1b[?25h") < self._screen.rfind(b"\x1b[?25l"):
            self._changed.clear()
            await self._changed.wait()

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)

    def _read(self) -> None:
        try:
            self._screen += os.read(self._descriptor, 65536)
        except OSError:  # Linux raises this when the other end is closed
            asyncio.get_running_loop().remove_reader(self._descriptor)
        self._changed.set()


@pytest.fixture
def at_terminal(program: list[str]) -> Any:
    """Start the program at a pseudo-terminal, and kill it at the end of the block if it runs."""

    @asynccontextmanager
    async def at_terminal(
        *arguments: str, cwd: Path | None = None, **environment: str
    ) -> AsyncIterator[Terminal]:
        descriptor, end = os.openpty()
        process = await asyncio.create_subprocess_exec(
            *program,
            *arguments,
            stdin=end,
            stdout=end,
            stderr=end,
            cwd=cwd,
            env={
                **{name: os.environ[name] for name in os.environ if name != "NO_COLOR"},
                "PYTHONWARNINGS": "error",
                "TERM": "xterm",
                "COLUMNS": "80",
                "LINES": "30",
                "PROMPT_TOOLKIT_NO_CPR": "1",  # nobody answers where the cursor is
                **environment,
            },
        )
        os.close(end)
        terminal = Terminal(process, descriptor)
        try:
            yield terminal
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            terminal.close()

    return at_terminal


async def _finish(process: Process, stdin: bytes = b"") -> Finished:
    out, err = await process.communicate(stdin)
    return Finished(process.returncode, out.decode(), err.decode())
