"""Read many live streams on one core in real time.

Every chunk carries the time at which it was sent, and all peers measure its delay in the same way.
Each peer runs in a new process on one core, the server on another. Memory is the growth of the
process for each stream at the end of the warm-up, when all streams are connected. A peer that
cannot keep up is stopped after a time limit, reports the figures it has by then, and is not
measured with more streams.
"""

from __future__ import annotations

import resource
import subprocess

from benchmarks.live_client import Outcome, Plan, run_client
from benchmarks.paced_server import paced_server
from benchmarks.peers import FRAMEWORKS
from benchmarks.run import Run

PEERS_BY_NAME = {
    "bare aiohttp": "bare aiohttp, finds texts",
    "hand-written loop": "hand-written loop",
    "rxagents": "rxagents, delta",
    "httpx + httpx-sse": "httpx + httpx-sse",
    "openai": "openai",
    "langchain-openai": "langchain-openai",
    "litellm": "litellm",
    **{name: name for name in FRAMEWORKS},
}
_QUICK = ("bare aiohttp", "rxagents", "openai")
_OFTEN = ("bare aiohttp", "hand-written loop", "rxagents", "httpx + httpx-sse")
"""The peers that are measured in each round; one round shows how far the others are from them."""

MEASURES = {
    "us_per_chunk": ("us a chunk", 1.0),
    "lag_p50_ms": ("lag p50, ms", 1.0),
    "lag_p99_ms": ("lag p99, ms", 1.0),
    "kib_per_stream": ("KiB a stream", 1.0),
    "chunks_share": ("% in time", 100.0),
    "server_share": ("server CPU, %", 100.0),
}
"""The heading and the factor of each figure."""

BROKEN_SHARE = 0.9
BROKEN_LAG_MS = 1_000.0
"""A peer with fewer chunks in time, or a larger p99 lag, is not measured with more streams."""


def live(run: Run) -> None:
    """Measure rising numbers of streams."""
    counts = (100, 1_000, 2_000) if run.quick else (100, 300, 1_000, 2_000)
    if run.quick:
        plan = Plan(seconds=2.0, warm_up=1.0, patience=8.0)
    else:
        plan = Plan(seconds=4.0, warm_up=1.5, patience=10.0)
    allow_open_files(max(counts) + 200)
    names = [name for name in PEERS_BY_NAME if not run.quick or name in _QUICK]
    with paced_server(plan.rate) as url:
        for streams in counts:
            broken: set[str] = set()
            for round_ in range(run.choose_rounds(2, 3)):
                for name in names:
                    if name in broken or (round_ and name not in _OFTEN):
                        continue
                    outcome = _outcome(run, name, url, streams, plan)
                    if outcome is None or _is_broken(outcome):
                        broken.add(name)
                    if outcome is not None:
                        _add(run, name, streams, outcome)
            names = [name for name in names if name not in broken]


def _outcome(run: Run, name: str, url: str, streams: int, plan: Plan) -> Outcome | None:
    python = run.workers.python_of(PEERS_BY_NAME[name])
    if python is None:
        return None
    try:
        return run_client(python, url, PEERS_BY_NAME[name], streams, plan)
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        run.miss(f"{name}, {streams:,} live streams", lines[-1] if lines else str(error))
    except subprocess.TimeoutExpired:
        run.miss(f"{name}, {streams:,} live streams", "did not end in time")
    return None


def _add(run: Run, name: str, streams: int, outcome: Outcome) -> None:
    for field, (measure, factor) in MEASURES.items():
        value = getattr(outcome, field)
        if value is not None:
            run.add(f"{streams:,} streams", name, measure, value * factor)
    faults = [*outcome.failures, f"{outcome.silent} streams without a chunk"][:2]
    if outcome.silent or outcome.lost or outcome.failures:
        run.miss(
            f"{name}, {streams:,} live streams",
            f"{'; '.join(faults)}, {outcome.lost:,} chunks lost",
        )


def _is_broken(outcome: Outcome) -> bool:
    return outcome.chunks_share < BROKEN_SHARE or outcome.lag_p99_ms > BROKEN_LAG_MS


def allow_open_files(needed: int) -> None:
    """Raise the limit on open files of this process and of its children.

    Raises:
        RuntimeError: The system does not allow so many.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise RuntimeError(
            f"{needed} open files are needed, and this system allows {hard}: raise the hard limit "
            "(ulimit -Hn)."
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
