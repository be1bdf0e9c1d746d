"""Read many streams of one gateway and measure its CPU time; write one line of JSON.

For `gateway`. The client finds the provider's texts in the bytes and decodes nothing, so that it
reads every endpoint in the same way and its own process is no bottleneck.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import subprocess
import sys
import time
import urllib.request
from array import array
from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from benchmarks.gateway_servers import MODEL, Gateway, cpu_seconds
from benchmarks.paced_server import NUMBER, SENT_AT, TEXT_LENGTH, pin

_PATIENCE = 300.0
"""Seconds to wait for the process that measures; it starts kept runs one after the other."""

_MESSAGES = [{"role": "user", "content": "go"}]

ENDPOINTS: dict[str, tuple[str, dict[str, Any]]] = {
    "runs": ("/runs", {"task": "go"}),
    "chat": ("/v1/chat/completions", {"model": MODEL, "stream": True, "messages": _MESSAGES}),
    "responses": ("/v1/responses", {"model": MODEL, "stream": True, "input": "go"}),
    "agui": ("/agui", {"threadId": "t", "runId": "r", "messages": _MESSAGES}),
    "vercel": (
        "/vercel",
        {"id": "{id}", "messages": [{"role": "user", "parts": [{"type": "text", "text": "go"}]}]},
    ),
}
"""The path and the body of the request of each endpoint."""

_TEXT = re.compile(rb"\d{9}\.\d{6} \d{5}\.\d{6} \d{8}")


class Work(Struct):
    """What a client reads.

    Attributes:
        endpoint: One of `ENDPOINTS`.
        streams: How many connections.
        one_run: Whether all of them read one run (`runs` only).
        warm_up: Seconds before the measurement, in which all streams run.
        seconds: Duration of the measurement.
    """

    endpoint: str
    streams: int
    one_run: bool = False
    warm_up: float = 1.0
    seconds: float = 3.0


class Outcome(Struct):
    """What it measured.

    Attributes:
        us_per_chunk: CPU time of the gateway's process for each chunk that a client received.
        lag_p50_ms: Median of the time from the provider's sending to the client's receiving.
        lag_p99_ms: The 99th percentile of that time.
        chunks_a_second: Chunks that the clients received.
        gateway_share: Share of its core that the gateway used.
        chunks_a_read: Chunks in one read of a client, on the average.
        lost: Chunks that a client did not receive, or received twice.
    """

    us_per_chunk: float
    lag_p50_ms: float
    lag_p99_ms: float
    chunks_a_second: float
    gateway_share: float
    chunks_a_read: float
    lost: int


class Receiver(asyncio.Protocol):
    """Sends one request, and finds the texts in what comes.

    Args:
        request: The bytes of the request.
        lags: Collects the seconds from sending to receiving; shared by all receivers.

    Attributes:
        count: Number of texts.
        reads: Number of reads that had a text.
        first: The first text.
        last: The last text.
        head: The first bytes of the response.
    """

    def __init__(self, request: bytes, lags: array[float]) -> None:
        self.count = self.reads = 0
        self.first = self.last = self.head = b""
        self._request = request
        self._note = lags.append
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the request."""
        assert isinstance(transport, asyncio.Transport), "it is a TCP connection"
        self.transport = transport
        transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        """Store the delay of each text."""
        now, data = time.monotonic(), self._rest + data
        texts = _TEXT.findall(data)
        if not texts:
            self.head = self.head or data
            self._rest = data[-TEXT_LENGTH:]
            return
        for text in texts:
            self._note(now - float(text[SENT_AT]))
        self.count += len(texts)
        self.reads += 1
        self.first = self.first or texts[0]
        self.last = texts[-1]
        end = data.rfind(self.last) + TEXT_LENGTH
        self._rest = data[max(end, len(data) - TEXT_LENGTH) :]

    @property
    def lost(self) -> int:
        """Texts between the first and the last that did not come, or came twice."""
        if not self.last:
            return 0
        return abs(int(self.last[NUMBER]) - int(self.first[NUMBER]) + 1 - self.count)


def request_of(url: str, path: str, body: dict[str, Any] | None) -> bytes:
    """Return the bytes of a request: a POST with a body, or a GET."""
    encoded = b"" if body is None else json.dumps(body).encode()
    lines = [
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
        f"Host: {urlsplit(url).netloc}",
        "Authorization: Bearer none",
        "Content-Type: application/json",
        f"Content-Length: {len(encoded)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + encoded


def start_run(url: str) -> str:
    """Start a run at `/runs`; return the path of its events."""
    path, body = ENDPOINTS["runs"]
    with urllib.request.urlopen(url + path, json.dumps(body).encode()) as response:
        return f"/runs/{json.load(response)['id']}/events"


def request_maker(url: str, work: Work) -> Callable[[int], bytes]:
    """Return a function from the number of a stream to its request."""
    path, body = ENDPOINTS[work.endpoint]
    if work.endpoint != "runs":
        text = json.dumps(body)
        return lambda number: request_of(url, path, json.loads(text.replace("{id}", str(number))))
    if not work.one_run:
        return lambda _: request_of(url, start_run(url), None)
    events = start_run(url)
    return lambda _: request_of(url, events, None)


async def measure(gateway: Gateway, work: Work) -> Outcome:
    """Open the streams, wait until all of them run, and measure."""
    loop, lags = asyncio.get_running_loop(), array("d")
    host, _, port = urlsplit(gateway.url).netloc.partition(":")
    make = request_maker(gateway.url, work)
    receivers: list[Receiver] = []
    for number in range(work.streams):
        request = await loop.run_in_executor(None, make, number)
        _, receiver = await loop.create_connection(
            partial(Receiver, request, lags), host, int(port)
        )
        receivers.append(receiver)
        if number % 10 == 9:
            await asyncio.sleep(0.02)
    await _wait_for_all(receivers)
    await asyncio.sleep(work.warm_up)
    del lags[:]
    reads = sum(receiver.reads for receiver in receivers)
    begin, cpu = time.monotonic(), cpu_seconds(gateway.pid)
    await asyncio.sleep(work.seconds)
    cpu = cpu_seconds(gateway.pid) - cpu
    elapsed = time.monotonic() - begin
    reads = sum(receiver.reads for receiver in receivers) - reads
    if not lags:
        raise RuntimeError(f"no chunk came in {work.seconds:g} s")
    ordered = sorted(lags)
    outcome = Outcome(
        us_per_chunk=cpu / len(ordered) * 1e6,
        lag_p50_ms=ordered[len(ordered) // 2] * 1e3,
        lag_p99_ms=ordered[len(ordered) * 99 // 100] * 1e3,
        chunks_a_second=len(ordered) / elapsed,
        gateway_share=cpu / elapsed,
        chunks_a_read=len(ordered) / reads,
        lost=sum(receiver.lost for receiver in receivers),
    )
    for receiver in receivers:
        receiver.transport.abort()
    return outcome


async def _wait_for_all(receivers: list[Receiver]) -> None:
    for _ in range(600):
        silent = [receiver for receiver in receivers if not receiver.count]
        if not silent:
            return
        await asyncio.sleep(0.05)
    raise RuntimeError(f"{len(silent)} streams have no text: {silent[0].head[:500]!r}")


def run_client(gateway: Gateway, work: Work) -> Outcome:
    """Measure in a fresh process, on the second core.

    Raises:
        RuntimeError: A stream had no text, or the time was over.
    """
    command = [
        sys.executable,
        "-m",
        __name__,
        *map(str, gateway),
        msgspec.json.encode(work).decode(),
    ]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"the client did not end within {_PATIENCE:g} s") from None
    if done.returncode:
        lines = done.stderr.decode(errors="replace").strip().splitlines()
        raise RuntimeError(lines[-1] if lines else f"status {done.returncode}")
    return msgspec.json.decode(done.stdout, type=Outcome)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("url")
    parser.add_argument("pid", type=int)
    parser.add_argument("work", help="a Work, as JSON")
    options = parser.parse_args()
    pin(1)
    work = msgspec.json.decode(options.work, type=Work)
    outcome = asyncio.run(measure(Gateway(options.url, options.pid), work))
    sys.stdout.buffer.write(msgspec.json.encode(outcome))
