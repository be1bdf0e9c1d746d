"""The server and the workers that tests of the benchmarks start."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.environments import Environments
from benchmarks.replay_server import ReplayServer, replay_server
from benchmarks.workers import Workers, all_workers


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with replay_server() as started:
        yield started


@pytest.fixture
def workers(server: ReplayServer, tmp_path: Path) -> Iterator[Workers]:
    with all_workers(Environments(tmp_path), server.certificate) as made:
        yield made
