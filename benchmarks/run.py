"""What a scenario is given: its size, the servers, the peers, and where its figures go."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.replay_server import ReplayServer
from benchmarks.report import Report
from benchmarks.worker import load
from benchmarks.workers import ROOT, Workers, child_environment

_SIZES = (500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000)
"""Chunks of an answer. There are few sizes, because the server makes each answer once."""

_PATIENCE = 600.0
"""Seconds to wait for a function in another process."""


class Run:
    """One run of one scenario.

    Args:
        scenario: Its name.
        quick: Whether the whole run should take some minutes.
        report: Gets the figures.
        workers: The processes of the peers.
        server: The server that replays answers.
        rounds: How often to measure each contender; `None` for what the scenario chooses.

    Attributes:
        quick: The same.
        workers: The same.
        server: The same.
        rounds: How often a contender is measured whose rounds are short.
    """

    def __init__(
        self,
        scenario: str,
        *,
        quick: bool,
        report: Report,
        workers: Workers,
        server: ReplayServer,
        rounds: int | None = None,
    ) -> None:
        self.quick = quick
        self.workers = workers
        self.server = server
        self._rounds = rounds
        self.rounds = self.choose_rounds(3, 5)
        self._scenario = scenario
        self._report = report

    def add(self, work: str, contender: str, measure: str, value: float) -> None:
        """Add the figure of a round."""
        self._report.add(self._scenario, work, contender, measure, value)

    def choose_rounds(self, quick: int, full: int) -> int:
        """Return the number of rounds: that of the command line, or one of these two."""
        return self._rounds or (quick if self.quick else full)

    def miss(self, contender: str, reason: str) -> None:
        """Report a contender that cannot be measured."""
        self.workers.missing[contender] = reason

    def cpu_in_turns(
        self,
        answers: dict[tuple[str, str], Callable[[int], str]],
        names: Mapping[str, str] = {},
    ) -> None:
        """Measure the CPU time of a chunk, the contenders in turns, round by round.

        Each reads an answer of a size that costs it about the same time, so that a slow peer does
        not take the whole run.

        Args:
            answers: A function from the number of chunks to the URL, by work and peer.
            names: The name of a peer in the report, where it is another.
        """
        budget = 0.08 if self.quick else 0.3
        sizes: dict[tuple[str, str], int] = {}
        for key, url_of in answers.items():
            for _ in range(2):  # the first imports and connects
                outcome = self.workers.run(key[1], url=url_of(_SIZES[0]))
            if outcome is not None:
                fitting = budget * _SIZES[0] / max(outcome.cpu, 1e-6)
                sizes[key] = max((size for size in _SIZES if size <= fitting), default=_SIZES[0])
        for round_ in range(self.rounds + 1):
            for (work, peer), size in sizes.items():
                cost = self.cpu_of_chunk(peer, answers[work, peer](size), size)
                if cost is not None and round_:  # the first round opens the client
                    self.add(work, names.get(peer, peer), "us a chunk", cost)

    def cpu_of_chunk(self, peer: str, url: str, chunks: int) -> float | None:
        """Return the CPU microseconds of a chunk; `None` if the peer cannot read the answer."""
        outcome = self.workers.run(peer, url=url)
        if outcome is None:
            return None
        if outcome.seen < chunks and peer != "bare aiohttp":  # which sees reads
            self.miss(peer, f"{outcome.seen} of {chunks} chunks arrived")
            return None
        return outcome.cpu / chunks * 1e6


def in_fresh_process(function: str, *arguments: Any, python: str = sys.executable) -> Any:
    """Call `module:function` in a new process; arguments and result are JSON.

    Raises:
        RuntimeError: It failed, or took longer than `_PATIENCE`.
    """
    command = [python, "-m", "benchmarks.run", function, json.dumps(arguments)]
    try:
        done = subprocess.run(
            command, capture_output=True, cwd=ROOT, env=child_environment(), timeout=_PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{function} did not end within {_PATIENCE:g} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(f"{function} failed: {' '.join(lines[-2:])[:500]}")
    return json.loads(done.stdout.splitlines()[-1])  # libraries print, too


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1])(*json.loads(sys.argv[2]))))
