"""Provide a folder with files inside and secrets outside."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tool_files import SECRET, Files


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder for file tools; everything outside of it must stay unchanged."""
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text(SECRET)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.txt").write_text(SECRET)
    (inside / "a.txt").write_text("hello")
    (inside / "notes").mkdir()
    yield inside
    assert (tmp_path / "secret.txt").read_text() == SECRET
    assert [path.name for path in (tmp_path / "outside").iterdir()] == ["secret.txt"]
    assert (tmp_path / "outside" / "secret.txt").read_text() == SECRET
    assert {path.name for path in tmp_path.iterdir()} == {"inside", "outside", "secret.txt"}


@pytest.fixture
def files(folder: Path) -> Files:
    return Files(folder)
