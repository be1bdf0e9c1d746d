"""Test the socket that `rxagents top` connects to."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import reactivex as rx
from child import run_program
from inspecting import runtime_folder
from matrix import only_full
from reactivex.subject import Subject

import rxagents
from rxagents import ConfigurationError, Inspection
from rxagents import operators as ops
from rxagents.runtime import inspect_server
from rxagents.runtime.inspect_folder import found_sockets, new_socket_path

pytestmark = [
    pytest.mark.real_time,
    pytest.mark.skipif(sys.platform == "win32", reason="needs Unix sockets"),
]

ASK = b"{}\n"
ASK_ITEMS = b'{"items": true}\n'


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setattr(inspect_server, "_has_failed", False)
    with runtime_folder(monkeypatch) as folder:
        yield folder


@pytest.fixture
def listening(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RXAGENTS_INSPECT", "1")


async def connect() -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    (found,) = found_sockets()
    return await asyncio.open_unix_connection(found.path, limit=2**24)


async def ask(question: bytes = ASK) -> bytes:
    reader, writer = await connect()
    writer.write(question)
    answer = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return answer


def modes(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_nothing_listens_by_default(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    for value in (None, "", "0"):
        if value is not None:
            monkeypatch.setenv("RXAGENTS_INSPECT", value)
        rx.never().pipe(ops.probe("here")).subscribe().dispose()
    assert list(folder.iterdir()) == []


@pytest.mark.usefixtures("listening")
async def test_only_the_user_can_connect(folder: Path) -> None:
    subscription = rx.never().pipe(ops.probe("here")).subscribe()
    (found,) = found_sockets()
    assert found.path.parent == folder / "rxagents"
    assert (modes(found.path.parent), modes(found.path)) == (0o700, 0o600)
    assert found.pid == os.getpid()
    subscription.dispose()


@pytest.mark.usefixtures("listening")
async def test_text_is_sent_only_when_asked_for() -> None:
    source: Subject[Any] = Subject()
    subscription = source.pipe(ops.probe("here")).subscribe()
    source.on_next("secret")
    answer = await ask()
    assert b"secret" not in answer
    snapshot = msgspec.json.decode(answer, type=Inspection)
    assert snapshot.pid == os.getpid()
    assert snapshot.pipes[0].probes[0].last == "str(6)"
    assert b"secret" in await ask(ASK_ITEMS)
    subscription.dispose()


@pytest.mark.usefixtures("listening")
def test_socket_is_closed_with_the_loop() -> None:
    async def main() -> Path:
        rx.never().pipe(ops.probe("here")).subscribe().dispose()
        (found,) = found_sockets()
        reader, writer = await connect()
        writer.write(ASK)
        assert (await reader.readline()).startswith(b"{")
        writer.close()
        return found.path

    for _ in range(2):
        assert not asyncio.run(main()).exists()
    assert found_sockets() == []


@pytest.mark.usefixtures("listening")
def test_socket_of_a_cancelled_start_is_closed() -> None:
    async def main() -> None:
        rx.never().pipe(ops.probe("here")).subscribe().dispose()

    asyncio.run(main())  # ends before the server has started
    assert found_sockets() == []


@pytest.mark.usefixtures("listening")
async def test_client_that_does_not_read_is_dropped() -> None:
    streams = [rx.never().pipe(ops.probe("n" * 5000)).subscribe() for _ in range(150)]
    reader, writer = await connect()
    writer.write(ASK)
    await reader.readline()
    (hanging,) = inspect_clients()
    writer.transport.pause_reading()  # type: ignore[attr-defined]  # it is a Transport
    for _ in range(50):
        if hanging not in inspect_clients():
            break
        writer.write(ASK)
        assert len(msgspec.json.decode(await ask(), type=Inspection).pipes) == 150
    assert hanging not in inspect_clients()
    writer.close()
    for stream in streams:
        stream.dispose()


def inspect_clients() -> set[Any]:
    """Return the clients that are connected."""
    listener, _ = inspect_server._listeners._held[asyncio.get_running_loop()]
    return listener._clients


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("question", [b"nonsense\n", b"[" * 2000], ids=["no JSON", "too long"])
async def test_wrong_question_ends_the_connection(question: bytes) -> None:
    subscription = rx.never().pipe(ops.probe("here")).subscribe()
    reader, writer = await connect()
    writer.write(question)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()
    assert (await ask()).startswith(b"{")
    subscription.dispose()


@pytest.mark.usefixtures("listening")
async def test_number_of_clients_is_limited() -> None:
    subscription = rx.never().pipe(ops.probe("here")).subscribe()
    clients = [await connect() for _ in range(8)]
    reader, writer = await connect()
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    assert len(inspect_clients()) == 8
    for _, each in [*clients, (reader, writer)]:
        each.close()
    subscription.dispose()


@pytest.mark.usefixtures("listening")
@pytest.mark.parametrize("kind", ["open", "link", "file"])
async def test_folder_of_others_is_refused_once(
    folder: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    made = folder / "rxagents"
    if kind == "open":
        made.mkdir(mode=0o755)
    elif kind == "link":
        (folder / "mine").mkdir(mode=0o700)
        made.symlink_to(folder / "mine")
    else:
        made.write_text("")
        made.chmod(0o600)
    with caplog.at_level(logging.WARNING, "rxagents"):
        for _ in range(2):
            assert await rx.of(1).pipe(ops.probe("here")) == 1
    (record,) = caplog.records
    assert "must be a folder that belongs to you" in record.getMessage()
    assert "RXAGENTS_INSPECT=1 has no effect" in record.getMessage()
    with pytest.raises(ConfigurationError, match="mode 0700"):
        inspect_server.listen()


def test_folder_of_another_user_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "rxagents").mkdir(mode=0o700)
    new_socket_path()
    monkeypatch.setattr(os, "getuid", lambda: os.geteuid() + 1)
    with pytest.raises(ConfigurationError, match="belongs to you"):
        new_socket_path()
    assert found_sockets() == []


def test_long_path_is_refused(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    long = folder / ("n" * 100)
    long.mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(long))
    with pytest.raises(ConfigurationError, match="too long for a socket"):
        new_socket_path()


def test_missing_runtime_folder_is_reported(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(folder / "none"))
    with pytest.raises(ConfigurationError, match="No such file"):
        new_socket_path()


@only_full
def test_fork_does_not_remove_the_socket() -> None:
    program = """
import asyncio, os
from rxagents.runtime import inspect_server
async def main():
    path = inspect_server.listen()
    child = os.fork()
    if not child:
        raise SystemExit  # runs what atexit has
    os.waitpid(child, 0)
    print(path.exists())
asyncio.run(main())
"""
    assert run_program(program).split()[-1] == "True"
    assert found_sockets() == []


async def test_missing_unix_sockets_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(socket, "AF_UNIX")
    with pytest.raises(ConfigurationError, match="Unix sockets"):
        inspect_server.listen()


def test_without_a_loop_nothing_listens(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setenv("RXAGENTS_INSPECT", "1")
    rx.of(1).pipe(ops.probe("here")).subscribe()
    assert list(folder.iterdir()) == []
    assert rxagents.inspect().pipes == ()
