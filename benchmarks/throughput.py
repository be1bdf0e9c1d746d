"""Scenarios of the CPU time of a chunk, and of the time to the first text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.peers import CHAT, FRAMEWORKS, WIRES
from benchmarks.run import Run

FULL_SPEED = "16 a write, full speed"
BURSTS = "16 a read"
_SHAPES = {"16xfull": FULL_SPEED, "16": BURSTS}

ONLY_TEXT = ", only the text differs"
"""Follows the shape in the name of work whose events have no random field, unlike OpenAI's."""

_ONLY_FAST = ("1", "64")
_FAST = ("bare aiohttp", "hand-written loop", "rxagents", "rxagents, text()")
"""The peers that `--quick` measures with `_ONLY_FAST`: their time depends on the size of a read."""


def _url(base: str, shape: str, chunks: int) -> str:
    return f"{base}/{chunks}x{shape}"


def bursts(run: Run) -> None:
    """Read chat completions, some events a read."""
    shapes = {**_SHAPES, "1": "1 a read", "64": "64 a read"}
    contenders: dict[tuple[str, str], Callable[[int], str]] = {
        (work, peer): partial(_url, run.server.url, shape)
        for shape, work in shapes.items()
        for peer in CHAT
        if shape not in _ONLY_FAST or peer in _FAST or not run.quick
    }
    for shape, work in _SHAPES.items():
        for peer in ("hand-written loop", "rxagents"):
            url = partial(_url, run.server.url, f"{shape}xsame")
            contenders[work + ONLY_TEXT, peer] = url
    run.cpu_in_turns(contenders)


def wires(run: Run) -> None:
    """Read each wire with rxagents and with the vendor's library."""
    run.cpu_in_turns(
        {
            (f"{wire}, {work}", peer): partial(_url, run.server.url, shape)
            for wire, peers in WIRES.items()
            for shape, work in _SHAPES.items()
            if shape != "16" or not run.quick
            for peer in peers
        },
        {
            peer: name
            for peers in WIRES.values()
            for peer, name in zip(peers, ("rxagents", "vendor's library"), strict=True)
        },
    )


def pipes(run: Run) -> None:
    """Read chat completions through operators of reactivex."""
    names = (
        "hand-written loop",
        "rxagents",
        "rxagents, text()",
        "rxagents, 1 operator",
        "rxagents, 3 operators",
        "rxagents, ops.fuse",
        "rxagents, 8 operators",
    )
    run.cpu_in_turns(
        {
            (work, name): partial(_url, run.server.url, shape)
            for shape, work in _SHAPES.items()
            for name in names
        }
    )


def tokens(run: Run) -> None:
    """Read the tokens of an agent."""
    contenders = dict.fromkeys(("rxagents", "rxagents FunctionAgent", *FRAMEWORKS), "")
    contenders["rxagents ReActAgent"] = "xreact"
    run.cpu_in_turns(
        {
            (work, name): partial(_url, run.server.url, shape + option)
            for shape, work in _SHAPES.items()
            for name, option in contenders.items()
            if shape != "16" or not run.quick
        }
    )


def tls(run: Run) -> None:
    """Read the same answer without and with TLS."""
    bases = {"plain": run.server.url, "TLS": run.server.tls_url}
    names = ("bare aiohttp", "hand-written loop", "rxagents", "openai")
    run.cpu_in_turns(
        {(work, name): partial(_url, base, "16") for work, base in bases.items() for name in names}
    )


def length(run: Run) -> None:
    """Read answers of very different lengths: the cost of a chunk should not grow."""
    lengths = (2_000, 20_000, 200_000) if run.quick else (2_000, 20_000, 200_000, 1_000_000)
    names = ("hand-written loop", "rxagents", "rxagents, text()")
    slow = ("rxagents FunctionAgent", "openai", "pydantic-ai")
    for chunks in lengths:
        readers = names if chunks > 20_000 or run.quick else (*names, *slow)
        rounds = run.rounds if chunks < 200_000 else min(2, run.rounds)
        for round_ in range(rounds + 1):
            for name in readers:
                url = _url(run.server.url, "64", chunks)
                if not round_:
                    run.workers.run(name, url=_url(run.server.url, "64", 500))
                elif (cost := run.cpu_of_chunk(name, url, chunks)) is not None:
                    run.add(f"{chunks:,} chunks", name, "us a chunk", cost)


def first_text(run: Run) -> None:
    """Wait for the first text of an answer, on a connection that is open."""
    url = _url(run.server.url, "1", 20)
    names = ["bare aiohttp", "hand-written loop", "rxagents", "rxagents FunctionAgent", "openai"]
    if not run.quick:
        names += ["httpx + httpx-sse", "langchain-openai", "litellm", *FRAMEWORKS]
    for round_ in range(20 if run.quick else 100):
        for name in names:
            outcome = run.workers.run(name, url=url, first=True)
            if outcome is not None and round_ > 1:
                run.add("open connection", name, "ms to the first text", outcome.first * 1e3)
