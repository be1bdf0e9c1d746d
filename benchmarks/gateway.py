"""Measure `rxagents serve` between a provider and its clients, each a process of its own.

    pip install -e '.[benchmarks]'
    python benchmarks/gateway.py
    python benchmarks/gateway.py --litellm /path/to/venv/bin/python
    python benchmarks/gateway.py --scenarios bursts readers --rounds 9

The gateway has the first core, the provider and the client share the second. The figures are the
CPU time of the gateway's process for each chunk that a client has received:

- bursts: the provider sends 16 events in one write, at each endpoint;
- live: one event a write, beside rxagents' own client (`chat_stream`) with as many streams;
- readers: some connections read one run, whose events come in bursts of 16.

Then, in milliseconds, how soon the provider sees that a client has left, while it streams and
before its first token; and the memory of the gateway while clients do not read. With
`--litellm`, litellm's proxy does the same with fewer streams. Contenders take turns, round by
round; the tables show medians, and ratios of the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from pathlib import Path

from gateway_client import ENDPOINTS, Outcome, Work, run_client
from gateway_leaving import leaving_times, memory_of_stalled
from gateway_servers import Gateway, litellm_gateway, rxagents_gateway
from live_client import Plan
from live_client import run_client as run_own_client
from live_streams import allow_open_files
from paced_server import paced_server
from rich.console import Console
from rich.table import Table

_BURST = 16

Start = Callable[[str], AbstractContextManager[Gateway]]
"""Starts a gateway in front of a provider's URL."""

Works = dict[str, tuple[Start, Work]]
"""The gateway and the work of each contender."""


def rounds_of(
    works: Works, provider_url: str, rounds: int, own_rate: float | None = None
) -> dict[str, list[Outcome | float]]:
    """Run the contenders in turns; return what each has measured, by round.

    Args:
        works: The contenders.
        provider_url: The provider.
        rounds: How many rounds.
        own_rate: The chunks a second of a stream, to measure rxagents' own client too.
    """
    seen: dict[str, list[Outcome | float]] = {}
    streams = max(work.streams for _, work in works.values())
    for _ in range(rounds):
        if own_rate is not None:
            plan = Plan(rate=own_rate, seconds=3.0, warm_up=1.0)
            own = run_own_client(provider_url, "rxagents", streams, plan).us_per_chunk
            seen.setdefault("own client", []).append(own)
        for name, (start, work) in works.items():
            with start(provider_url) as gateway:  # a new one: kept runs go on without clients
                seen.setdefault(name, []).append(run_client(gateway, work))
    return seen


def table_of(title: str, seen: dict[str, list[Outcome | float]]) -> Table:
    """Return a table of medians; a ratio is the median of the ratios of each round."""
    table = Table(title=title)
    table.add_column("")
    own = next((values for values in seen.values() if isinstance(values[0], float)), None)
    headings = ["us/chunk", *(["x own"] if own else []), "lag p50", "p99 ms"]
    for heading in (*headings, "chunks/s", "a read", "CPU", "lost"):
        table.add_column(heading, justify="right")
    for name, values in seen.items():
        outcomes = [each for each in values if isinstance(each, Outcome)]
        if not outcomes:
            table.add_row(name, f"{statistics.median(_floats(values)):.1f}", "1.00")
            continue
        cells = [f"{_median(outcomes, 'us_per_chunk'):.1f}"]
        if own:
            pairs = zip(outcomes, _floats(own), strict=True)
            cells.append(f"{statistics.median(one.us_per_chunk / cpu for one, cpu in pairs):.2f}")
        for field, form in _FIELDS.items():
            cells.append(form.format(_median(outcomes, field)))
        table.add_row(name, *cells, str(max(one.lost for one in outcomes)))
    return table


_FIELDS = {
    "lag_p50_ms": "{:.1f}",
    "lag_p99_ms": "{:.1f}",
    "chunks_a_second": "{:,.0f}",
    "chunks_a_read": "{:.1f}",
    "gateway_share": "{:.0%}",
}


def _median(outcomes: list[Outcome], field: str) -> float:
    values: list[float] = [getattr(one, field) for one in outcomes]
    return statistics.median(values)


def _floats(values: list[Outcome | float]) -> list[float]:
    return [each for each in values if isinstance(each, float)]


def bursts(console: Console, options: argparse.Namespace) -> None:
    """Measure bursts of 16 events a write at each endpoint."""
    streams, rate = 10, 1_000.0
    works: Works = {name: (rxagents_gateway, Work(name, streams)) for name in ENDPOINTS}
    with (
        paced_server(rate, _BURST) as url,
        with_litellm(works, options.litellm, url, Work("chat", 2)),
    ):
        seen = rounds_of(works, url, options.rounds, rate)
    console.print(table_of(f"bursts: {_BURST} events a write, {rate:,.0f} a second a stream", seen))


def live(console: Console, options: argparse.Namespace) -> None:
    """Measure live streams, one event a write."""
    streams, rate = options.streams, options.rate
    works: Works = {name: (rxagents_gateway, Work(name, streams)) for name in ENDPOINTS}
    with (
        paced_server(rate) as url,
        with_litellm(works, options.litellm, url, Work("chat", options.litellm_streams)),
    ):
        seen = rounds_of(works, url, options.rounds, rate)
    console.print(table_of(f"live: {streams:,} streams, {rate:g} events a second each", seen))


def readers(console: Console, options: argparse.Namespace) -> None:
    """Measure many readers of one run."""
    works: Works = {
        f"{count} readers": (rxagents_gateway, Work("runs", count, one_run=True))
        for count in (1, 10, 100)
    }
    with paced_server(160.0, _BURST) as url:
        seen = rounds_of(works, url, options.rounds)
    console.print(
        table_of(f"readers of one run, {_BURST} events a write: us a reader and event", seen)
    )


def leaving(console: Console, options: argparse.Namespace) -> None:
    """Measure how soon the provider sees that a client has left."""
    table = Table(title="the client leaves: ms until the provider sees the close")
    for heading in ("", "p50", "p90", "p99", "most"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, endpoint, start in gateways(options.litellm):
        if endpoint in {"runs", "vercel"}:
            continue  # their runs go on when a client leaves
        for has_begun in (True, False):
            times = asyncio.run(leaving_times(start, endpoint, has_begun, options.leavings))
            when = "while it streams" if has_begun else "before the first token"
            cells = [times[len(times) * percent // 100] for percent in (50, 90, 99)] + times[-1:]
            table.add_row(f"{name}, {when}", *(f"{cell:.1f}" for cell in cells))
    console.print(table)


def stalled(console: Console, options: argparse.Namespace) -> None:
    """Measure the memory while clients do not read."""
    title = f"10 clients that read nothing for {options.stall:g} s: KiB of the gateway a client"
    table = Table(title=title)
    for heading in ("", "after 1/3", "after 2/3", "at the end", "chunks sent"):
        table.add_column(heading, justify="right" if heading else "left")
    for name, endpoint, start in gateways(options.litellm):
        cells = asyncio.run(memory_of_stalled(start, endpoint, 10, options.stall))
        table.add_row(name, *(f"{cell:,.0f}" for cell in cells))
    console.print(table)


def gateways(litellm: str | None) -> Iterator[tuple[str, str, Start]]:
    """Yield the name, the endpoint and the start of each contender."""
    for endpoint in ENDPOINTS:
        yield endpoint, endpoint, rxagents_gateway
    if litellm:
        yield "litellm", "chat", partial(litellm_gateway, litellm)


@contextmanager
def with_litellm(
    works: Works, litellm: str | None, provider_url: str, work: Work
) -> Iterator[None]:
    """Add litellm's proxy to the contenders, if it is there; it starts once, in half a minute."""
    if litellm is None:
        yield
        return
    with litellm_gateway(litellm, provider_url) as gateway:
        works[f"litellm, {work.streams} streams"] = (lambda _: nullcontext(gateway), work)
        yield


SCENARIOS = {
    "bursts": bursts,
    "live": live,
    "readers": readers,
    "leaving": leaving,
    "stalled": stalled,
}


def main() -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--scenarios", nargs="+", choices=SCENARIOS, default=list(SCENARIOS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--streams", type=int, default=500, help="live streams")
    parser.add_argument("--rate", type=float, default=20.0, help="chunks a second, each stream")
    parser.add_argument("--leavings", type=int, default=200, help="clients that leave")
    parser.add_argument("--stall", type=float, default=10.0, help="seconds without reading")
    parser.add_argument("--litellm", help="a Python that has litellm[proxy]")
    parser.add_argument("--litellm-streams", type=int, default=20, help="its live streams")
    options = parser.parse_args()
    allow_open_files(4 * options.streams + 200)
    console = Console(width=100)
    if options.litellm is None or not Path(options.litellm).exists():
        options.litellm = None
        console.print("litellm's proxy: missing (--litellm PYTHON of an environment that has it)")
    for name in options.scenarios:
        SCENARIOS[name](console, options)


if __name__ == "__main__":
    main()
