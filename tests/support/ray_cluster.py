"""Run programs that start a Ray cluster of their own, one after the other."""

from __future__ import annotations

import fcntl
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from child import SECONDS, run_program
from pages import ROOT

needs_ray = pytest.mark.skipif(
    find_spec("ray") is None and "RXAGENTS_RAY" not in os.environ,
    reason="Ray is not installed: pip install 'rxagents[ray]'",
)
"""Skip a test where Ray is missing; where `RXAGENTS_RAY` is set, it fails there."""

_FOLDER = "RAY_TMPDIR"


@pytest.fixture
def ray_program(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[None]:
    """Let `run_ray` start a cluster that only this machine reaches, and wait until it has ended."""
    folders = tmp_path_factory.getbasetemp()
    shared = folders.parent if "PYTEST_XDIST_WORKER" in os.environ else folders
    # A socket's path in it has 107 characters at most, and TMPDIR may be long.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        for name, value in {
            _FOLDER: folder,
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on 127.0.0.1 only
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support"), *sys.path]),
            "PYTHONWARNINGS": "default",  # of Ray
            "PYTHONDEVMODE": "",  # Ray's own processes are slow enough
        }.items():
            monkeypatch.setenv(name, value)
        with (shared / "ray.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # two clusters would share the cores
            yield
            end = time.monotonic() + SECONDS
            while found := processes():
                assert time.monotonic() < end, f"processes of Ray have not ended: {found}"
                time.sleep(0.05)


def run_ray(program: str, *arguments: str) -> str:
    """Run a program, and return the line of JSON that it prints."""
    printed = run_program(program, arguments=arguments)
    [result] = [line for line in printed.splitlines() if line.startswith("{")]
    return result


def processes() -> list[int]:
    """Return the ids of the processes that this process's cluster has, itself left out."""
    mark = f"{_FOLDER}={os.environ[_FOLDER]}".encode()
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            variables = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if mark in variables and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found


def foreign_listeners() -> list[str]:
    """Return the addresses other than loopback on which the processes of a cluster listen."""
    sockets = set()
    for pid in [*processes(), os.getpid()]:
        try:
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                sockets.add(str(descriptor.readlink()))
        except OSError:
            continue
    found = []
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, local, _, state, *rest = line.split()
            is_loopback = local.startswith(("0100007F:", "0000000000000000FFFF00000100007F:"))
            if state == "0A" and f"socket:[{rest[5]}]" in sockets and not is_loopback:
                found.append(local)
    return found
