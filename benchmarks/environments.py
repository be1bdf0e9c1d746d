"""Find the Python that has a peer: the running one, a given one, or one in the cache folder."""

from __future__ import annotations

import importlib.metadata
import os
import re
import subprocess
import sys
import venv
from pathlib import Path

from msgspec import Struct

from benchmarks.peers import Peer

_EVERYWHERE = "msgspec"
"""What the worker itself needs."""


class MissingPeerError(Exception):
    """A peer cannot be measured; the message says why."""


def default_cache() -> Path:
    """Return the folder for the environments of peers."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "rxagents-benchmarks"


class Environments(Struct):
    """Where peers are installed.

    Attributes:
        cache: The folder with an environment for each peer.
        install: Whether to make missing environments.
        pythons: The Python to use for a peer, by its name.
    """

    cache: Path
    install: bool = False
    pythons: dict[str, str] = {}

    def python_of(self, name: str, peer: Peer) -> str:
        """Return the Python that runs a peer.

        Raises:
            MissingPeerError: It is not installed, or cannot be.
        """
        if name in self.pythons:
            return self.pythons[name]
        if all(map(_is_here, peer.requires)):
            return sys.executable
        folder = self.cache / re.sub(r"[^\w.]+", "-", peer.requires[0]).strip("-")
        python = folder / "bin" / "python"
        if not python.exists():
            if not self.install:
                wanted = " ".join(f"'{each}'" for each in peer.requires)
                raise MissingPeerError(
                    f"not installed: run with --install, or pip install {wanted}"
                )
            _make(folder, python, peer)
        return str(python)


def _is_here(requirement: str) -> bool:
    try:
        importlib.metadata.version(re.split(r"[\[<>=]", requirement)[0])
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _make(folder: Path, python: Path, peer: Peer) -> None:
    venv.create(folder, with_pip=True)
    command = [str(python), "-m", "pip", "install", "-q", _EVERYWHERE, *peer.requires]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        python.unlink()  # so that the next run tries again
        last = done.stderr.strip().splitlines()[-1:] or ["no message"]
        raise MissingPeerError(f"pip install {' '.join(peer.requires)} failed: {last[0]}")
