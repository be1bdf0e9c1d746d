"""Measure one peer in this process: a line of JSON in is a job, a line of JSON out its outcome.

python -m benchmarks.worker "hand-written loop"

A job has the URL of the answer. The first job of a URL opens the client, whose connection the
later jobs use. Only the time of this process counts: the server is another one.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import importlib.metadata
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from itertools import count
from typing import Any, TextIO

import msgspec
from msgspec import Struct

from benchmarks.paced_server import pin
from benchmarks.peers import PEERS, Peer, Start


class Outcome(Struct):
    """What one job measured.

    Attributes:
        seen: How many texts or chunks the client handed over.
        cpu: CPU seconds of the process.
        first: Seconds from the start to the first text; only of `first_once`.
        error: Why the stream failed; empty if it did not.
    """

    seen: int = 0
    cpu: float = 0.0
    first: float = 0.0
    error: str = ""


def load(name: str) -> Callable[..., Any]:
    """Import `module:function`."""
    module, _, function = name.partition(":")
    loaded: Callable[..., Any] = getattr(importlib.import_module(module), function)
    return loaded


def versions_of(peer: Peer) -> dict[str, str]:
    """Return the versions of what a peer needs, and of the library itself."""
    names = [requirement.partition("[")[0] for requirement in peer.requires]
    return {name: importlib.metadata.version(name) for name in names}


async def read_once(start: Start) -> Outcome:
    """Read one answer to its end."""
    counter = count()
    done: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()
    gc.collect()
    cpu = time.process_time()
    # `next(counter, item)` counts, in C: a function of ours would cost every peer more.
    start(partial(next, counter), done.set_result)
    error = await done
    cpu = time.process_time() - cpu
    return Outcome(next(counter), cpu, error="" if error is None else repr(error)[:500])


async def first_once(start: Start) -> Outcome:
    """Start an answer; return the time to its first text."""
    done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def see(_: Any) -> None:
        if not done.done():
            done.set_result(None)

    def ended(error: BaseException | None) -> None:
        if not done.done():
            done.set_exception(error or EOFError("The stream had no text."))
        over.set()

    over = asyncio.Event()
    gc.collect()
    begun = time.perf_counter()
    start(see, ended)
    await done
    first = time.perf_counter() - begun
    await over.wait()
    return Outcome(1, first=first)


async def work(peer: Peer, out: TextIO) -> None:
    """Do the jobs of the standard input."""
    client, loop = load(peer.client), asyncio.get_running_loop()
    async with AsyncExitStack() as stack:
        starts: dict[str, Start] = {}
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            job = msgspec.json.decode(line)
            url = job["url"]
            try:
                if url not in starts:
                    starts[url] = await stack.enter_async_context(client(url))
                measure = first_once if job.get("first") else read_once
                outcome = await measure(starts[url])
            except Exception as error:
                outcome = Outcome(error=repr(error)[:500])
            print(msgspec.json.encode(outcome).decode(), file=out, flush=True)


def main() -> None:
    """Say which versions are here, and work until the standard input closes."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints must not be taken for an outcome
    peer = PEERS[sys.argv[1]]
    pin(0)
    print(msgspec.json.encode(versions_of(peer)).decode(), file=out, flush=True)
    asyncio.run(work(peer, out))


if __name__ == "__main__":
    main()
