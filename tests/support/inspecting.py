"""A folder for the sockets of `rxagents top`, whose path is short enough for a socket."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def runtime_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Set `XDG_RUNTIME_DIR`, and look for sockets nowhere else, in the block."""
    with tempfile.TemporaryDirectory(prefix="rx") as folder:
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        monkeypatch.setenv("TMPDIR", folder)
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)
