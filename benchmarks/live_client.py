"""Measure one contender in a process of its own, for `live_streams.py`; write one line of JSON.

python benchmarks/live_client.py http://127.0.0.1:8000/v1 rxagents 1000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import subprocess
import sys
import time
from array import array
from pathlib import Path

import msgspec
from live_contenders import CONTENDERS, Contender, Reader, Start
from msgspec import Struct
from paced_server import SENT_AT, SERVER_CPU, pin


class Plan(Struct):
    """How a contender is measured.

    Attributes:
        rate: Chunks a second, each stream.
        seconds: Duration of the measurement.
        warm_up: Seconds before that, in which all streams run.
        patience: Seconds to wait until all streams run.
    """

    rate: float = 20.0
    seconds: float = 5.0
    warm_up: float = 2.0
    patience: float = 15.0

    @property
    def limit(self) -> float:
        """Seconds after which the process writes what it has measured so far."""
        return self.patience + 2 * (self.warm_up + self.seconds)


class Outcome(Struct):
    """The figures of one run.

    Attributes:
        us_per_chunk: CPU time of the client process.
        lag_p50_ms: Median of the time from sending to delivery.
        lag_p99_ms: The 99th percentile of that time.
        kib_per_stream: Growth of the process's memory; `None` if not all streams ever ran.
        chunks_share: Chunks read, as a share of the chunks that were due.
        server_share: Share of its core that the server used; near 1 the server is the bottleneck.
        silent: Streams without a chunk.
        lost: Chunks that were sent and not read.
        failures: The errors that streams ended with.
    """

    us_per_chunk: float
    lag_p50_ms: float
    lag_p99_ms: float
    kib_per_stream: float | None
    chunks_share: float
    server_share: float
    silent: int
    lost: int
    failures: list[str]


class Window:
    """Measure from `open` (or from the construction, if it is never called) to `outcome`.

    Args:
        readers: One for each stream.
        lags: The list in which they store the delay of each text.
        text: Any text that the server sent before.
    """

    def __init__(self, readers: list[Reader], lags: array[float], text: str | bytes) -> None:
        self._readers = readers
        self._lags = lags
        self._first_text = text
        self._memory_before = _resident_kib()
        self._kib_per_stream: float | None = None
        self._start()

    def open(self) -> None:
        """Start again, now that all streams run."""
        growth = _resident_kib() - self._memory_before
        self._kib_per_stream = growth / len(self._readers)
        self._start()

    def outcome(self, rate: float) -> Outcome:
        """Return the figures so far."""
        cpu = time.process_time() - self._cpu
        due = rate * len(self._readers) * (time.monotonic() - self._begin)
        lags = sorted(self._lags)
        return Outcome(
            us_per_chunk=cpu / len(lags) * 1e6,
            lag_p50_ms=lags[len(lags) // 2] * 1e3,
            lag_p99_ms=lags[len(lags) * 99 // 100] * 1e3,
            kib_per_stream=self._kib_per_stream,
            chunks_share=len(lags) / due,
            server_share=_server_share(self._first_text, self._newest_text()),
            silent=sum(reader.count == 0 for reader in self._readers),
            lost=sum(reader.lost for reader in self._readers),
            failures=sorted({reader.failure for reader in self._readers} - {""}),
        )

    def _start(self) -> None:
        del self._lags[:]
        self._first_text = self._newest_text()
        self._begin, self._cpu = time.monotonic(), time.process_time()

    def _newest_text(self) -> str | bytes:
        texts = [reader.last for reader in self._readers if reader.last]
        return max(texts, key=lambda text: float(text[SENT_AT]), default=self._first_text)


def _server_share(first: str | bytes, last: str | bytes) -> float:
    elapsed = float(last[SENT_AT]) - float(first[SENT_AT])
    return (float(last[SERVER_CPU]) - float(first[SERVER_CPU])) / elapsed


def _resident_kib() -> float:
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * resource.getpagesize() / 1024


async def measure(contender: Contender, url: str, streams: int, plan: Plan) -> Outcome:
    """Open the streams, wait until all of them run, and measure."""
    lags = array("d")
    async with contender(url) as start:
        text = await _first_use(start, Reader(lags))
        readers = [Reader(lags) for _ in range(streams)]
        window = Window(readers, lags, text)
        _show_at_limit(window, plan)
        stops = []
        for number, reader in enumerate(readers):
            stops.append(start(reader))
            if number % 10 == 9:
                await asyncio.sleep(0.01)
        await _wait_for_all(readers, plan.patience)
        await asyncio.sleep(plan.warm_up)
        window.open()
        await asyncio.sleep(plan.seconds)
        outcome = window.outcome(plan.rate)
        signal.setitimer(signal.ITIMER_REAL, 0)
        for stop in stops:
            stop()
        await asyncio.sleep(0)
    return outcome


async def _first_use(start: Start, reader: Reader) -> str | bytes:
    """Run one stream for a moment, so that one-time imports and objects are not counted."""
    stop = start(reader)
    await _wait_for_all([reader], 30)
    if not reader.count:
        raise RuntimeError(f"the server sends nothing: {reader.failure}")
    stop()
    await asyncio.sleep(0.5)
    gc.collect()
    return reader.last


async def _wait_for_all(readers: list[Reader], seconds: float) -> None:
    """Wait until every stream has had a chunk, at most `seconds`."""
    for _ in range(round(seconds / 0.05)):
        if all(reader.count for reader in readers):
            return
        await asyncio.sleep(0.05)


def _show_at_limit(window: Window, plan: Plan) -> None:
    """Write the figures so far when the time limit is reached.

    A signal and not a timer of the loop: a contender that is far behind finds so much data that
    it blocks its loop for minutes.
    """

    def show(*_: object) -> None:
        _write(window.outcome(plan.rate))
        os._exit(0)

    signal.signal(signal.SIGALRM, show)
    signal.setitimer(signal.ITIMER_REAL, plan.limit)


def _write(outcome: Outcome) -> None:
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
    sys.stdout.buffer.flush()


def run_client(url: str, contender: str, streams: int, plan: Plan) -> Outcome:
    """Measure a contender in a fresh process."""
    command = [sys.executable, __file__, url, contender, str(streams)]
    command += ["--plan", msgspec.json.encode(plan).decode()]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=plan.limit + 60, check=True)
    return msgspec.json.decode(done.stdout, type=Outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("contender", choices=CONTENDERS)
    parser.add_argument("streams", type=int)
    parser.add_argument("--plan", default="{}", help="a Plan, as JSON")
    options = parser.parse_args()
    plan = msgspec.json.decode(options.plan, type=Plan)
    pin(0)
    _write(asyncio.run(measure(CONTENDERS[options.contender], options.url, options.streams, plan)))
