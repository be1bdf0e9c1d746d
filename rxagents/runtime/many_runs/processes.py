"""Run many runs on the cores of this machine, in processes of their own."""

from __future__ import annotations

import asyncio
import os
import pickle
import signal
import socket
import sys
from collections import deque
from contextlib import suppress
from multiprocessing import spawn

from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.many_runs.engine import Engine, Job
from rxagents.runtime.many_runs.frames import FrameProtocol
from rxagents.runtime.many_runs.links import LinkLostError
from rxagents.runtime.many_runs.pool import PoolSession

_MOST_MESSAGES = 8
"""Messages that wait for the reader before the socket is no longer read."""

_SECONDS_TO_END = 3.0
"""How long a process may take to end its runs before it is killed."""

_CHILD = """\
import signal, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group of processes
sys.path[:] = {path!r}
from rxagents.runtime.many_runs.child import main
main({descriptor})
"""


def processes(count: int | None = None) -> Engine:
    """Return an engine for `run_many` that uses the cores of this machine.

    Each process has an event loop of its own. It starts when the stream is subscribed to, imports
    the main module as `multiprocessing` does (so a script needs `if __name__ == "__main__":`), and
    ends with the subscription, or when this process ends, however that happens. A process that
    dies is replaced; see `attempts` of `run_many`.

    Args:
        count: How many processes; by default as many as this process may use cores.

    Returns:
        The engine, which may be used for several subscriptions.

    Raises:
        ConfigurationError: `count` is not a whole number of 1 or more, or the system is Windows.

    Example:
        >>> import rxagents
        >>> rxagents.processes(2)
        processes(2)
    """
    if sys.platform == "win32":  # pragma: no cover - not tested there
        raise ConfigurationError(
            "rxagents.processes needs a Unix system. Use rxagents.cluster.ray."
        )
    return _Processes(_usable_cores() if count is None else count)


def _usable_cores() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Processes:
    """The engine, and what starts its workers."""

    what = "worker process"

    def __init__(self, count: int) -> None:
        self.count = checked_count("count", count)

    async def open(self, job: Job) -> PoolSession:
        return PoolSession(job, self)

    def main_data(self) -> bytes:
        data = spawn.get_preparation_data("rxagents-worker")
        data["authkey"] = bytes(data["authkey"])  # the key itself refuses to be pickled
        return pickle.dumps(data)

    def dumps(self, value: object) -> bytes:
        return pickle.dumps(value)

    async def start(self) -> ProcessLink:
        ours, theirs = socket.socketpair()
        link = ProcessLink()
        with theirs:
            code = _CHILD.format(path=sys.path, descriptor=theirs.fileno())
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-c",
                code,
                stdin=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        await link.open(ours, process)
        return link

    def __repr__(self) -> str:
        return f"processes({self.count})"


class ProcessLink:
    """The connection with one process."""

    def __init__(self) -> None:
        self._messages: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._is_lost = self._is_paused = False
        self._protocol = FrameProtocol(self._on_message, self._on_lost)
        self._process: asyncio.subprocess.Process | None = None

    async def open(self, ours: socket.socket, process: asyncio.subprocess.Process) -> None:
        """Read from a socket whose other end a process has."""
        self._process = process
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self._protocol, sock=ours)

    def send(self, message: bytes) -> None:
        """Send an order."""
        self._protocol.send(message)

    async def receive(self) -> bytes:
        """Return the next answer.

        Raises:
            LinkLostError: The process has ended.
        """
        while not self._messages:
            if self._is_lost:
                raise LinkLostError(await self._ending())
            self._arrived.clear()
            await self._arrived.wait()
        message = self._messages.popleft()
        if self._is_paused and len(self._messages) <= _MOST_MESSAGES // 2:
            self._is_paused = False
            self._protocol.resume()
        return message

    async def aclose(self) -> None:
        """Close the connection, which ends the process; kill it if it does not."""
        self._protocol.close()
        if self._process is None:
            return
        try:
            await asyncio.wait_for(self._process.wait(), _SECONDS_TO_END)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _ending(self) -> str:
        """Return how the process ended, such as "with exit code 1"."""
        assert self._process is not None
        try:
            code = await asyncio.wait_for(self._process.wait(), _SECONDS_TO_END)
        except TimeoutError:
            return "its connection"
        if code >= 0:
            return f"with exit code {code}"
        try:
            return f"by the signal {signal.Signals(-code).name}"
        except ValueError:
            return f"by the signal {-code}"

    def _on_message(self, message: bytes) -> None:
        self._messages.append(message)
        if len(self._messages) >= _MOST_MESSAGES and not self._is_paused:
            self._is_paused = True
            self._protocol.pause()
        self._arrived.set()

    def _on_lost(self) -> None:
        self._is_lost = True
        self._arrived.set()
