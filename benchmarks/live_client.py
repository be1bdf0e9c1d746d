"""Measure live streams of one peer in a process of its own; write one line of JSON.

python -m benchmarks.live_client http://127.0.0.1:8000/v1 "rxagents, delta" 1000
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import resource
import signal
import subprocess
import time
from array import array
from pathlib import Path

import msgspec
from msgspec import Struct

from benchmarks.paced_server import NUMBER, SENT_AT, SERVER_CPU, pin
from benchmarks.peers import PEERS, Client, Start
from benchmarks.worker import load
from benchmarks.workers import ROOT, child_environment


class Plan(Struct):
    """How a peer is measured.

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


class Reader:
    """Counts the texts of one stream and their delays, in the same way for all peers.

    Args:
        lags: Collects the seconds from sending to delivery; shared by all readers.

    Attributes:
        count: Number of texts.
        last: The last one.
        failure: The error that ended the stream; a stream should not end.
    """

    def __init__(self, lags: array[float]) -> None:
        self.count = 0
        self.last: str | bytes = b""
        self.failure = ""
        self._note = lags.append

    def see(self, text: str | bytes) -> None:
        """Store the delay of a text."""
        self._note(time.monotonic() - float(text[SENT_AT]))
        self.count += 1
        self.last = text

    def fail(self, error: BaseException | None) -> None:
        """Store why the stream ended."""
        error = error or EOFError("the stream has ended")
        self.failure = f"{type(error).__name__}: {error}"[:300]

    @property
    def lost(self) -> int:
        """Number of texts that were sent before the last one and not seen."""
        return int(self.last[NUMBER]) + 1 - self.count if self.last else 0


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

    @property
    def has_delays(self) -> bool:
        """Whether there is anything to report."""
        return bool(self._lags)

    def open(self) -> None:
        """Start again, now that all streams run."""
        delays = len(self._lags) * self._lags.itemsize / 1024  # stored here, not by the peer
        growth = _resident_kib() - self._memory_before - delays
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


async def measure(client: Client, url: str, streams: int, plan: Plan) -> Outcome:
    """Open the streams, wait until all of them run, and measure."""
    lags = array("d")
    async with client(url) as start:
        text = await _first_use(start, Reader(lags))
        readers = [Reader(lags) for _ in range(streams)]
        window = Window(readers, lags, text)
        _show_at_limit(window, plan)
        stops = []
        for number, reader in enumerate(readers):
            stops.append(start(reader.see, reader.fail))
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
    stop = start(reader.see, reader.fail)
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

    A signal and not a timer of the loop: a peer that is far behind finds so much data that
    it blocks its loop for minutes.
    """

    def show(*_: object) -> None:
        if not window.has_delays:
            os.write(2, b"no chunk came before the time limit\n")
            os._exit(1)
        _write(window.outcome(plan.rate))
        os._exit(0)

    signal.signal(signal.SIGALRM, show)
    signal.setitimer(signal.ITIMER_REAL, plan.limit)


def _write(outcome: Outcome) -> None:
    os.write(_out, msgspec.json.encode(outcome))


def run_client(python: str, url: str, peer: str, streams: int, plan: Plan) -> Outcome:
    """Measure a peer in a fresh process of the Python that has it."""
    command = [python, "-m", "benchmarks.live_client", url, peer, str(streams)]
    command += ["--plan", msgspec.json.encode(plan).decode()]
    done = subprocess.run(
        command,
        capture_output=True,
        timeout=plan.limit + 60,
        check=True,
        cwd=ROOT,
        env=child_environment(),
    )
    return msgspec.json.decode(done.stdout, type=Outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("streams", type=int)
    parser.add_argument("--plan", default="{}", help="a Plan, as JSON")
    options = parser.parse_args()
    plan = msgspec.json.decode(options.plan, type=Plan)
    _out = os.dup(1)
    os.dup2(2, 1)  # what a library prints must not be taken for the outcome
    pin(0)
    client = load(PEERS[options.peer].client)
    _write(asyncio.run(measure(client, options.url, options.streams, plan)))
