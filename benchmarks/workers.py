"""Start the worker processes of peers and give them jobs."""

from __future__ import annotations

import os
import selectors
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.environments import Environments, MissingPeerError
from benchmarks.peers import PEERS
from benchmarks.worker import Outcome

ROOT = Path(__file__).parent.parent
_PATIENCE = 60.0
"""Seconds to wait for a job; litellm needs some just to be imported."""


def child_environment(certificate: str = "", *, root: Path = ROOT) -> dict[str, str]:
    """Return the environment variables of a process that measures the code at `root`."""
    found = {
        **os.environ,
        "PYTHONPATH": str(root),
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it fetches a list from GitHub otherwise
    }
    if certificate:
        found["SSL_CERT_FILE"] = certificate
    return found


class Worker:
    """The process of one peer.

    Args:
        name: The name of the peer.
        python: The Python that runs it.
        certificate: The certificate of the server with TLS.

    Attributes:
        versions: The versions of the libraries that it measures.
    """

    def __init__(self, name: str, python: str, certificate: str) -> None:
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the worker
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=child_environment(certificate),
            cwd=ROOT,
        )
        self.versions: dict[str, str] = msgspec.json.decode(self._read_line())

    def run(self, **job: Any) -> Outcome:
        """Do one job.

        Raises:
            MissingPeerError: The peer failed, or did not answer in time.
        """
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(msgspec.json.encode(job) + b"\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            raise MissingPeerError(self._last_error()) from None
        outcome = msgspec.json.decode(self._read_line(), type=Outcome)
        if outcome.error:
            raise MissingPeerError(outcome.error)
        return outcome

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()
        self._errors.close()

    def _read_line(self) -> bytes:
        stdout = self._process.stdout
        assert stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            if not selector.select(_PATIENCE):
                raise MissingPeerError(f"no answer after {_PATIENCE:g} s")
        if line := stdout.readline():
            return line
        raise MissingPeerError(self._last_error())

    def _last_error(self) -> str:
        self._process.wait(10)
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else f"ended with status {self._process.returncode}"


class Workers:
    """The processes of all peers of a run; each starts when it is first used.

    Args:
        environments: Where the peers are installed.
        certificate: The certificate of the server with TLS.

    Attributes:
        missing: Why a peer is not measured, by its name.
        versions: The versions of the libraries that were measured.
        environments: The same.
    """

    def __init__(self, environments: Environments, certificate: str) -> None:
        self.missing: dict[str, str] = {}
        self.versions: dict[str, str] = {}
        self.environments = environments
        self._certificate = certificate
        self._workers: dict[str, Worker] = {}

    def python_of(self, name: str) -> str | None:
        """Return the Python of a peer; `None`, and a line in `missing`, if there is none."""
        try:
            return self.environments.python_of(name, PEERS[name])
        except MissingPeerError as error:
            self.missing[name] = str(error)
            return None

    def run(self, name: str, **job: Any) -> Outcome | None:
        """Do a job; return `None` if the peer cannot, and note why."""
        if name in self.missing:
            return None
        try:
            if name not in self._workers:
                python = self.environments.python_of(name, PEERS[name])
                self._workers[name] = Worker(name, python, self._certificate)
                self.versions |= self._workers[name].versions
            return self._workers[name].run(**job)
        except MissingPeerError as error:
            self.missing[name] = str(error)
            if name in self._workers:
                self._workers.pop(name).close()
            return None

    def close(self) -> None:
        """End all processes."""
        for worker in self._workers.values():
            worker.close()


@contextmanager
def all_workers(environments: Environments, certificate: str) -> Iterator[Workers]:
    """Make the workers of a run, and end them with it."""
    workers = Workers(environments, certificate)
    try:
        yield workers
    finally:
        workers.close()
