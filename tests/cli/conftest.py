"""Run the program in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import pytest

from rxagents.testing import ScriptedServer
from rxagents.testing.scripted_server import Script


class Finished(NamedTuple):
    status: int | None
    out: str
    err: str


Start: TypeAlias = Callable[..., Awaitable[Process]]


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


async def _finish(process: Process, stdin: bytes = b"") -> Finished:
    out, err = await process.communicate(stdin)
    return Finished(process.returncode, out.decode(), err.decode())
