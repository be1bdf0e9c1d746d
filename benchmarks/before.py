"""Measure the same scenarios on an earlier commit, for the table of goals."""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from benchmarks.report import Report
from benchmarks.workers import ROOT, child_environment
from rxagents.core.errors import ConfigurationError


def report_before(options: argparse.Namespace) -> Report:
    """Return the report that `--against` names: a file, or a commit, which is then measured.

    Raises:
        ConfigurationError: It names neither, or the commit could not be measured.
    """
    path = Path(options.against)
    if path.is_file():
        return msgspec.json.decode(path.read_bytes(), type=Report)
    with _checkout(options.against) as folder:
        written = folder / "before.json"
        command = [sys.executable, "-m", "benchmarks", *_arguments(options), "--json", str(written)]
        subprocess.run(command, cwd=folder, env=child_environment(root=folder))
        if not written.exists():
            raise ConfigurationError(f"--against {options.against!r} could not be measured.")
        return msgspec.json.decode(written.read_bytes(), type=Report)


@contextmanager
def _checkout(revision: str) -> Iterator[Path]:
    """Check a commit out into a new folder, with the benchmarks of this one."""
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "before"
        added = _git("worktree", "add", "--detach", str(folder), revision)
        if added.returncode:
            raise ConfigurationError(
                f"--against {revision!r} is neither a report nor a commit of this repository: "
                f"{added.stderr.strip().splitlines()[-1]}"
            )
        try:
            shutil.rmtree(folder / "benchmarks", ignore_errors=True)
            shutil.copytree(ROOT / "benchmarks", folder / "benchmarks")
            yield folder
        finally:
            _git("worktree", "remove", "--force", str(folder))


def _git(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True)


def _arguments(options: argparse.Namespace) -> list[str]:
    """Return the options that decide what is measured, and with what."""
    arguments = ["--full"] if options.full else []
    if options.only:
        arguments += ["--only", *options.only]
    if options.rounds:
        arguments += ["--rounds", str(options.rounds)]
    if options.install:
        arguments.append("--install")
    arguments += ["--cache", str(options.cache.resolve())]
    for each in options.python:
        arguments += ["--python", each]
    return arguments
