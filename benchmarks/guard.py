"""Fail if a ratio of CPU times, or a count of bytecode instructions, is above its limit.

python -m benchmarks.guard

It holds on a busy machine: contenders take turns, only the CPU time of their own processes counts,
and a ratio above its limit is measured again, three times at most; the smallest counts. The limits
are 1.3 to 2 times what a quiet machine shows. The instructions of Python that one chunk takes are
nearly the same on each machine, so their limits are closer: they rise with any call on the path
of a chunk.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from types import FrameType
from typing import Any, NamedTuple

from benchmarks.environments import Environments, default_cache
from benchmarks.operators import OFF_TOKEN_PATH, REASONS, operator_names
from benchmarks.peers import PEERS
from benchmarks.replay_server import replay_server
from benchmarks.run import in_fresh_process
from benchmarks.worker import load
from benchmarks.workers import Workers, all_workers

_ATTEMPTS = 3
_ROUNDS = 5
_CHUNKS = 10_000
_TRACED_CHUNKS = 2_000
_ITEMS = 5_000


class Limit(NamedTuple):
    """The largest ratio of CPU times that is allowed.

    Attributes:
        contender: A peer.
        reference: Another one.
        most: The limit.
        answer: The shape of the answer, as `replay_server` names it; that of the reference has no
            label.
    """

    contender: str
    reference: str
    most: float
    answer: str = "16"


RATIOS = (
    Limit("rxagents", "hand-written loop", 1.4),
    Limit("rxagents", "hand-written loop", 1.4, "16xsame"),
    Limit("rxagents, text()", "hand-written loop", 1.5),
    Limit("rxagents, 3 operators", "hand-written loop", 1.7),
    Limit("rxagents, ops.fuse", "hand-written loop", 1.6),
    Limit("rxagents FunctionAgent", "rxagents", 1.5),
    Limit("rxagents ReActAgent", "rxagents", 1.6, "16xreact"),
)

OPERATOR_LIMITS = {
    "accumulate": 9.0,
    "coalesce": 6.5,
    "guard_window": 6.5,
    "measure": 5.5,
    "partial_json": 15.0,
    "partial_object": 16.0,
    "persist": 7.5,
    "scan_steps": 11.0,
    "split_sentences": 10.0,
    "stop_at": 6.5,
}
"""The limits of operators that cost more than `_OPERATOR_LIMIT`, as multiples of `map`."""

_OPERATOR_LIMIT = 4.5
_NOT_GUARDED = {*OFF_TOKEN_PATH, "check_items", "converse", "encode_agui", "encode_vercel", "items"}
"""They make objects or tasks, whose share of the time differs between machines."""

INSTRUCTIONS = {
    ("rxagents", "16xfull"): 122,
    ("rxagents", "16xfullxsame"): 118,
    ("rxagents, text()", "16xfull"): 74,
    ("rxagents, 3 operators", "16xfull"): 265,
    ("rxagents, ops.fuse", "16xfull"): 194,
    ("rxagents FunctionAgent", "16xfull"): 216,
    ("rxagents ReActAgent", "16xfullxreact"): 328,
}
"""The most bytecode instructions of a chunk (Python 3.11), a fifth above what was counted.

The keys are a contender and the shape of its answer. A hand-written loop takes 72. Where reads
split events, which the server's speed changes, moves the counts by some percent.
"""


def ratio(workers: Workers, url: str, limit: Limit) -> float:
    """Return the median of the ratios of some rounds."""
    ratios = []
    for round_ in range(_ROUNDS + 1):
        mine = workers.run(limit.contender, url=f"{url}/{_CHUNKS}x{limit.answer}")
        answer = limit.answer.removesuffix("xreact")
        other = workers.run(limit.reference, url=f"{url}/{_CHUNKS}x{answer}")
        if mine is None or other is None:
            raise RuntimeError(f"a peer failed: {workers.missing}")
        if min(mine.seen, other.seen) < _CHUNKS:
            raise RuntimeError(f"{mine.seen} and {other.seen} of {_CHUNKS} chunks arrived")
        if round_:
            ratios.append(mine.cpu / other.cpu)
    return statistics.median(ratios)


def operator_ratios(names: list[str]) -> dict[str, float]:
    """Return the cost of an item of each operator, as a multiple of that of `map`."""
    function = "benchmarks.operators:nanoseconds_of_all"
    found: dict[str, list[float]] = in_fresh_process(function, _ITEMS, 3, names)
    return {
        name: statistics.median(a / b for a, b in zip(found[name], found["map"], strict=True))
        for name in names
    }


def instructions(peer: str, answer: str, url: str) -> float:
    """Return the bytecode instructions that a chunk takes, in a process of its own."""
    counted: float = in_fresh_process("benchmarks.guard:instructions_here", peer, answer, url)
    return counted


def instructions_here(peer: str, answer: str, url: str) -> float:
    """Count the bytecode instructions of a chunk in this process."""
    return asyncio.run(_instructions(peer, answer, url))


async def _instructions(peer: str, answer: str, url: str) -> float:
    opcodes = count()

    def trace(frame: FrameType, event: str, _: Any) -> Callable[..., Any]:
        frame.f_trace_opcodes = True
        frame.f_trace_lines = False
        if event == "opcode":
            next(opcodes)
        return trace

    seen = count()
    async with load(PEERS[peer].client)(f"{url}/{_TRACED_CHUNKS}x{answer}") as start:
        for is_traced in (False, True):  # the first one imports and connects
            done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
            if is_traced:
                sys.settrace(trace)
            start(partial(next, seen), done.set_result)
            if (error := await done) is not None:
                raise error
        sys.settrace(None)
    return next(opcodes) / _TRACED_CHUNKS


def guarded_operators() -> dict[str, float]:
    """Return the limit of each operator that is guarded."""
    names = [name for name in operator_names() if name not in _NOT_GUARDED]
    unknown = [name for name in REASONS if name not in {*OPERATOR_LIMITS, *_NOT_GUARDED}]
    if unknown:
        raise RuntimeError(f"OPERATOR_LIMITS has no limit for {', '.join(unknown)}")
    return {name: OPERATOR_LIMITS.get(name, _OPERATOR_LIMIT) for name in names}


def checks(workers: Workers, url: str) -> Iterator[tuple[str, float, float]]:
    """Yield the name, the figure and the limit of each check."""
    for limit in RATIOS:
        smallest = ratio(workers, url, limit)
        for _ in range(_ATTEMPTS - 1):
            if smallest <= limit.most:
                break
            smallest = min(smallest, ratio(workers, url, limit))
        yield f"CPU of {limit.contender} / {limit.reference}, {limit.answer}", smallest, limit.most
    limits = guarded_operators()
    found = operator_ratios(list(limits))
    for _ in range(_ATTEMPTS - 1):
        above = [name for name, most in limits.items() if found[name] > most]
        if above:
            again = operator_ratios(above)
            found |= {name: min(found[name], again[name]) for name in above}
    for name, most in limits.items():
        yield f"CPU of ops.{name} / map", found[name], most
    for (name, answer), most in INSTRUCTIONS.items():
        counted = instructions(name, answer, url)
        if counted > most:
            counted = min(counted, instructions(name, answer, url))
        yield f"instructions of a chunk, {name}, {answer}", counted, most


def judge(found: Iterable[tuple[str, float, float]]) -> None:
    """Print the checks, and end with an error if a figure is above its limit."""
    above = False
    for name, figure, most in found:
        is_above = figure > most
        above |= is_above
        print(f"{'FAIL' if is_above else 'ok  '} {figure:7.2f} <= {most:6.2f}  {name}", flush=True)
    if above:
        sys.exit(
            "A figure is above its limit. See where the time goes: python -m benchmarks --chain, "
            "and docs/performance.md. If the work is worth it, raise the limit in "
            "benchmarks/guard.py and give the reason."
        )


def main() -> None:
    """Do all checks."""
    with (
        replay_server() as server,
        all_workers(Environments(default_cache()), server.certificate) as workers,
    ):
        judge(checks(workers, server.url))


if __name__ == "__main__":
    main()
