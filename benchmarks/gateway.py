"""Scenario: `rxagents serve` between a provider and its clients, each a process of its own.

The gateway has the first core, the provider and the client share the second. The figures are the
CPU time of the gateway's process for each chunk that a client has received:

- bursts: the provider sends 16 events in one write, at each endpoint;
- live: one event a write, beside rxagents' own client (`chat_stream`) with as many streams;
- readers: some connections read one run, whose events come in bursts of 16.

Then, in milliseconds, how soon the provider sees that a client has left, while it streams and
before its first token (5,000 ms: not within that time); and the memory of the gateway while clients
do not read. litellm's proxy does the same with fewer streams, in an environment of its own.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from functools import partial

from benchmarks.environments import MissingPeerError
from benchmarks.gateway_client import ENDPOINTS, Outcome, Work, run_client
from benchmarks.gateway_leaving import leaving_times, memory_of_stalled
from benchmarks.gateway_servers import Gateway, litellm_gateway, rxagents_gateway
from benchmarks.live import allow_open_files
from benchmarks.live_client import Plan
from benchmarks.live_client import run_client as run_own_client
from benchmarks.paced_server import paced_server
from benchmarks.peers import Peer
from benchmarks.run import Run
from benchmarks.workers import child_environment

_BURST = 16
_STREAMS = 500
_LITELLM = "litellm's proxy"
_LITELLM_PROXY = Peer("", ("litellm[proxy]", "litellm-proxy-extras"))
"""The second is a part of the first: litellm alone has no proxy."""
_PRINT_VERSION = """\
import importlib.metadata
import litellm.proxy.proxy_server
print(importlib.metadata.version("litellm"))
"""
_FIELDS = {
    "us_per_chunk": ("us a chunk", 1.0),
    "lag_p50_ms": ("lag p50, ms", 1.0),
    "lag_p99_ms": ("lag p99, ms", 1.0),
    "chunks_a_second": ("chunks a second", 1.0),
    "chunks_a_read": ("chunks a read", 1.0),
    "gateway_share": ("CPU, %", 100.0),
    "lost": ("lost", 1.0),
}
"""The heading and the factor of each figure."""

Start = Callable[[str], AbstractContextManager[Gateway]]
"""Starts a gateway in front of a provider's URL."""

Works = dict[str, tuple[Start, Work]]
"""The gateway and the work of each contender."""


def gateway(run: Run) -> None:
    """Measure the gateway in all ways."""
    allow_open_files(4 * _STREAMS + 200)
    litellm = litellm_python(run)
    streams, rate = (50, 20.0) if run.quick else (_STREAMS, 20.0)
    _endpoints(run, "bursts", 10, 1_000.0, _BURST, litellm)
    _endpoints(run, "live", streams, rate, 1, litellm)
    readers: Works = {
        f"{count} readers": (rxagents_gateway, Work("runs", count, one_run=True))
        for count in (1, 10, 100)
    }
    with paced_server(160.0, _BURST) as url:
        _rounds(run, "readers of one run", readers, url)
    _leaving(run, litellm)
    _stalled(run, litellm)


def litellm_python(run: Run) -> str | None:
    """Return the Python that has litellm's proxy; `None` if there is none, which is reported."""
    try:
        found = run.workers.environments.python_of(_LITELLM, _LITELLM_PROXY)
    except MissingPeerError as error:
        run.miss(_LITELLM, str(error))
        return None
    command = [found, "-c", _PRINT_VERSION]
    done = subprocess.run(command, capture_output=True, text=True, env=child_environment())
    if done.returncode:
        run.miss(_LITELLM, (done.stderr.strip().splitlines() or ["it cannot be imported"])[-1])
        return None
    run.workers.versions[_LITELLM] = done.stdout.split()[-1]
    return found


def _endpoints(
    run: Run, work: str, streams: int, rate: float, burst: int, litellm: str | None
) -> None:
    """Measure each endpoint, and rxagents' own client of the same provider."""
    works: Works = {name: (rxagents_gateway, Work(name, streams)) for name in ENDPOINTS}
    slow = Work("chat", 2 if burst > 1 else 20)
    with paced_server(rate, burst) as url, with_litellm(run, works, litellm, url, slow):
        _rounds(run, f"{work}, {streams} streams", works, url, own=(streams, rate))


def _rounds(
    run: Run, work: str, works: Works, url: str, own: tuple[int, float] | None = None
) -> None:
    """Run the contenders in turns; `own` has the streams and the rate of rxagents' client."""
    for _ in range(run.choose_rounds(1, 2)):
        if own is not None:
            plan = Plan(rate=own[1], seconds=3.0, warm_up=1.0)
            with reported(run, f"own client, {work}"):
                client = run_own_client(sys.executable, url, "rxagents, delta", own[0], plan)
                run.add(work, "own client", "us a chunk", client.us_per_chunk)
        for name, (start, each) in works.items():
            with reported(run, f"{name}, {work}"):
                with start(url) as server:  # a new one: kept runs go on without clients
                    _add(run, work, name, run_client(server, each))


def _add(run: Run, work: str, name: str, outcome: Outcome) -> None:
    for field, (measure, factor) in _FIELDS.items():
        run.add(work, name, measure, getattr(outcome, field) * factor)


def _leaving(run: Run, litellm: str | None) -> None:
    """Measure how soon the provider sees that a client has left."""
    for name, endpoint, start in gateways(litellm):
        if endpoint in {"runs", "vercel"}:
            continue  # their runs go on when a client leaves
        for has_begun in (True, False):
            when = "while it streams" if has_begun else "before the first token"
            work, clients = f"the client leaves {when}", 50 if run.quick else 200
            with reported(run, f"{name}, {work}"):
                times = asyncio.run(leaving_times(start, endpoint, has_begun, clients))
                for percent in (50, 90, 99):
                    run.add(work, name, f"ms, p{percent}", times[len(times) * percent // 100])


def _stalled(run: Run, litellm: str | None) -> None:
    """Measure the memory while clients do not read."""
    seconds = 3.0 if run.quick else 10.0
    for name, endpoint, start in gateways(litellm):
        work = f"10 clients that read nothing for {seconds:g} s"
        with reported(run, f"{name}, {work}"):
            cells = asyncio.run(memory_of_stalled(start, endpoint, 10, seconds))
            headings = ("KiB after 1/3", "KiB after 2/3", "KiB at the end", "chunks sent")
            for heading, value in zip(headings, cells, strict=True):
                run.add(work, name, heading, value)


@contextmanager
def reported(run: Run, contender: str) -> Iterator[None]:
    """Report a contender that fails, and go on with the others."""
    try:
        yield
    except (RuntimeError, OSError, EOFError, subprocess.SubprocessError) as error:
        run.miss(contender, f"{type(error).__name__}: {error}"[:300])


def gateways(litellm: str | None) -> Iterator[tuple[str, str, Start]]:
    """Yield the name, the endpoint and the start of each contender."""
    for endpoint in ENDPOINTS:
        yield endpoint, endpoint, rxagents_gateway
    if litellm:
        yield "litellm", "chat", partial(litellm_gateway, litellm)


@contextmanager
def with_litellm(
    run: Run, works: Works, litellm: str | None, provider_url: str, work: Work
) -> Iterator[None]:
    """Add litellm's proxy to the contenders, if it is there; it starts once, in half a minute."""
    with ExitStack() as stack:
        if litellm is not None:
            with reported(run, _LITELLM):
                gateway = stack.enter_context(litellm_gateway(litellm, provider_url))
                works[f"litellm, {work.streams} streams"] = (lambda _: nullcontext(gateway), work)
        yield
