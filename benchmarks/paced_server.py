"""Serve many endless streams at a steady rate, in a process of its own.

    python -m benchmarks.paced_server --rate 20 --burst 1

prints its base URL. `POST {url}/chat/completions` answers with an endless stream of chat-
completion chunks at this rate, until the client closes it; `--burst` of them are written at a time.
The text of each chunk holds the time at which it was sent, so that a reader on this machine can
compute its delay. The server does as little as possible, because the client is what is measured:
HTTP is written by hand, and only the text of a frame changes.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

TEXT_FORMAT = b"%016.6f %012.6f %08d"
TEXT_LENGTH = len(TEXT_FORMAT % (0.0, 0.0, 0))
SENT_AT = slice(0, 16)
"""The time of sending, by `time.monotonic`, which all processes share on Linux."""
SERVER_CPU = slice(17, 29)
"""The CPU time that the server had used by then."""
NUMBER = slice(30, 38)
"""The number of the chunk in its stream, from 0."""

MARKER = b'"delta":{"content":"'
"""The bytes right before a text; they occur nowhere else."""

_SLOT_SECONDS = 0.001
_BACKLOG = 4096
HEAD = (
    b"HTTP/1.1 200 OK\r\n"
    b"content-type: text/event-stream; charset=utf-8\r\n"
    b"cache-control: no-cache\r\n"
    b"x-request-id: req_0123456789abcdef0123456789abcdef\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)


def frame_of(delta: dict[str, str | None]) -> bytes:
    """Return an event as OpenAI sends it, as one chunk of the HTTP body."""
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}
    event = {
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion.chunk",
        "created": 1741569952,
        "model": "gpt-4.1-2025-04-14",
        "service_tier": "default",
        "system_fingerprint": "fp_44709d6fcb",
        "choices": [choice],
        "usage": None,
        "obfuscation": "fYkxq",
    }
    framed = f"data: {json.dumps(event, separators=(',', ':'))}\n\n".encode()
    return b"%x\r\n%s\r\n" % (len(framed), framed)


FIRST_FRAME = frame_of({"role": "assistant", "content": "", "refusal": None})
_BEFORE_TEXT, _, _AFTER_TEXT = frame_of({"content": "~" * TEXT_LENGTH}).partition(
    b"~" * TEXT_LENGTH
)


class _Stream(asyncio.Protocol):
    """One connection: waits for the head of a request, then streams until the client leaves."""

    def __init__(self, pacer: _Pacer) -> None:
        self._pacer = pacer
        self._head = b""
        self._number = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport), "it is a TCP connection"
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if b"\r\n\r\n" in self._head:
            return
        self._head += data
        if b"\r\n\r\n" in self._head:
            self._transport.write(HEAD + FIRST_FRAME)
            self._pacer.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        self._pacer.remove(self)

    def send(self, burst: int, server_cpu: float) -> None:
        """Send the next chunks."""
        now, number = time.monotonic(), self._number
        texts = [TEXT_FORMAT % (now, server_cpu, number + each) for each in range(burst)]
        self._transport.write(b"".join([_BEFORE_TEXT + text + _AFTER_TEXT for text in texts]))
        self._number += burst


class _Pacer:
    """Sends every stream's next burst once a period, the streams spread over the period."""

    def __init__(self, rate: float, burst: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._burst = burst
        slots = round(burst / rate / _SLOT_SECONDS)
        self._slots: list[set[_Stream]] = [set() for _ in range(slots)]
        self._position = 0
        self._next = self._loop.time()
        self._tick()

    def add(self, stream: _Stream) -> None:
        """Add a stream to the slot with the fewest streams."""
        min(self._slots, key=len).add(stream)

    def remove(self, stream: _Stream) -> None:
        """Stream to it no more."""
        for slot in self._slots:
            slot.discard(stream)

    def _tick(self) -> None:
        """Serve all slots that are due: several, if the process was held up."""
        server_cpu = time.process_time()
        while self._next <= self._loop.time():
            for stream in self._slots[self._position]:
                stream.send(self._burst, server_cpu)
            self._position = (self._position + 1) % len(self._slots)
            self._next += _SLOT_SECONDS
        self._loop.call_at(self._next, self._tick)


async def _serve(rate: float, burst: int) -> None:
    loop = asyncio.get_running_loop()
    pacer = _Pacer(rate, burst)
    server = await loop.create_server(lambda: _Stream(pacer), "127.0.0.1", 0, backlog=_BACKLOG)
    async with server:
        host, port = server.sockets[0].getsockname()
        print(f"http://{host}:{port}/v1", flush=True)
        await loop.run_in_executor(None, sys.stdin.read)


def pin(position: int) -> None:
    """Keep this process on one core, by its position among those that it may use."""
    if hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[position % len(cores)]})


@contextmanager
def paced_server(rate: float, burst: int = 1) -> Iterator[str]:
    """Run the server on the second core; it stops when its standard input closes."""
    command = [
        sys.executable,
        "-m",
        "benchmarks.paced_server",
        "--rate",
        str(rate),
        "--burst",
        str(burst),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # mypy joins the values of `pipes`
        yield process.stdout.readline().strip()
        process.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rate", type=float, default=20.0, help="chunks a second, each stream")
    parser.add_argument("--burst", type=int, default=1, help="chunks in one write")
    options = parser.parse_args()
    pin(1)
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # clients leave: a warning for each write
    asyncio.run(_serve(options.rate, options.burst))
