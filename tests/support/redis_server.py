"""Run a Redis server on a socket in a folder of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from pathlib import Path

_SECONDS = 30


def missing() -> str:
    """Return why there is no server; in CI that is an error."""
    if shutil.which("redis-server") is not None:
        return ""
    reason = "redis-server is not installed: the tests of the Redis store need it"
    if os.environ.get("CI") or os.environ.get("RXAGENTS_CI"):
        raise RuntimeError(f"{reason}, and CI may not skip them.")
    return reason


class RedisServer:
    """A Redis server; `start` after `kill` starts it again with what it has stored.

    Attributes:
        url: The URL of the server.
    """

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="redis")  # short, as a socket's path is
        self._socket = Path(self._folder.name) / "s"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"unix://{self._socket}"

    def start(self) -> None:
        """Start the server, and wait until it listens."""
        options = {"port": "0", "unixsocket": str(self._socket), "dir": self._folder.name}
        options |= {"save": "", "appendonly": "yes", "appendfsync": "always"}
        command = [word for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(["redis-server", *command], stdout=subprocess.DEVNULL)
        end = time.monotonic() + _SECONDS
        while not self._socket.exists():
            assert self._process.poll() is None, "redis-server has ended"
            assert time.monotonic() < end, "redis-server does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        """End the server as `kill -9` does."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End the server and delete its folder."""
        self.kill()
        self._folder.cleanup()
