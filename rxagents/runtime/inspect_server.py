"""Let `rxagents top` look at the probes of this process, over a Unix socket.

Theory of operation:

Nothing listens unless the variable `RXAGENTS_INSPECT` is 1, or the program calls `listen`. Each
event loop that has probes gets a socket of its own (`PerLoop`), which is closed with the loop; any
of them shows the whole process.

The server runs on the loop, without a thread or a task. A client sends a line of JSON for each
snapshot and gets one back. A client that asks and does not read is disconnected at its next
question, so that at most one answer waits for each of `_MAX_CLIENTS` clients.

The text of items is sent only if the client asks for it, and nothing else that was said in a stream
is sent at all: neither the arguments of operators nor those of the program.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import os
import socket
from contextlib import suppress
from pathlib import Path

import msgspec
from msgspec import Struct

from rxagents.core.errors import ConfigurationError
from rxagents.runtime.inspect_folder import new_socket_path
from rxagents.runtime.inspection import inspect
from rxagents.runtime.loop import is_loop_running
from rxagents.runtime.per_loop import PerLoop

_MAX_CLIENTS = 8
_MAX_QUESTION = 1024
_MAX_PIPES = 200
"""The pipes of one answer; each takes the loop some 20 us a probe."""


class Question(Struct, frozen=True):
    """A request of a client.

    Attributes:
        items: Whether the answer has the text of items.
    """

    items: bool = False


def listen() -> Path:
    """Let `rxagents top` of the same user look at this process, until the running loop ends.

    Returns:
        The socket.

    Raises:
        ConfigurationError: There is no private folder for the socket, or the system has no Unix
            sockets.
    """
    return _listeners.get().path


def listen_if_asked() -> None:
    """Call `listen` if the variable `RXAGENTS_INSPECT` is 1 and a loop is running.

    A failure is logged once: a stream does not fail because nobody can look at it.
    """
    global _has_failed
    if os.environ.get("RXAGENTS_INSPECT") != "1" or _has_failed or not is_loop_running():
        return
    try:
        listen()
    except ConfigurationError as error:
        _has_failed = True
        logging.getLogger("rxagents").warning("RXAGENTS_INSPECT=1 has no effect: %s", error)


_has_failed = False


class _Listener:
    """The socket of one loop."""

    def __init__(self) -> None:
        if not hasattr(socket, "AF_UNIX"):
            raise ConfigurationError("rxagents top needs Unix sockets, which this system lacks.")
        self._pid = os.getpid()
        self.path = new_socket_path()
        self._clients: set[_Client] = set()
        self._socket = socket.socket(socket.AF_UNIX)
        try:
            self._socket.setblocking(False)
            # Renamed when it listens: who finds a socket that does not would take it for a dead one
            new = self.path.with_suffix(".new")
            self._socket.bind(os.fspath(new))
            new.chmod(0o600)
            self._socket.listen(_MAX_CLIENTS)
            new.rename(self.path)
        except OSError as error:
            self._socket.close()
            raise ConfigurationError(
                f"The socket {self.path} cannot be made: {error.strerror or error}."
            ) from error
        atexit.register(self._unlink)
        loop = asyncio.get_running_loop()
        self._starting = loop.create_task(
            loop.create_unix_server(lambda: _Client(self._clients), sock=self._socket)
        )

    async def aclose(self) -> None:
        """Stop listening, drop the clients and remove the socket."""
        self._starting.cancel()
        with suppress(asyncio.CancelledError):
            (await self._starting).close()
        self._socket.close()
        for client in tuple(self._clients):
            client.drop()
        self._unlink()
        atexit.unregister(self._unlink)
        await asyncio.sleep(0)  # the transports close their sockets in the next turn

    def _unlink(self) -> None:
        if os.getpid() == self._pid:  # not a fork
            self.path.unlink(missing_ok=True)


class _Client(asyncio.Protocol):
    """Answers the questions of one client."""

    def __init__(self, clients: set[_Client]) -> None:
        self._clients = clients
        self._transport: asyncio.Transport | None = None
        self._received = b""
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._clients.add(self)
        if len(self._clients) > _MAX_CLIENTS:
            self.drop()

    def data_received(self, data: bytes) -> None:
        *lines, self._received = (self._received + data).split(b"\n")
        for line in lines:
            self._answer(line)
        if len(self._received) > _MAX_QUESTION:
            self.drop()

    def pause_writing(self) -> None:
        self._is_full = True

    def resume_writing(self) -> None:
        self._is_full = False

    def connection_lost(self, _: Exception | None) -> None:
        self._clients.discard(self)

    def drop(self) -> None:
        """Close the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def _answer(self, line: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        try:
            question = msgspec.json.decode(line, type=Question)
        except msgspec.DecodeError:
            self.drop()
            return
        if self._is_full:
            self.drop()
            return
        snapshot = inspect(items=question.items, max_pipes=_MAX_PIPES)
        self._transport.write(msgspec.json.encode(snapshot) + b"\n")


async def _close(listener: _Listener) -> None:
    await listener.aclose()


_listeners = PerLoop(_Listener, _close)
