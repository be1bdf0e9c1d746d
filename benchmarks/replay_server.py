"""Replay a long answer in bursts, from a process of its own.

    python benchmarks/replay_server.py --burst 16

prints its base URL. A request on any provider's path with the header `x-chunks: 20000` gets 20,000
chunks of text, then finish reason and usage, in that provider's wire format. The header
`x-begin: Answer:` adds one chunk before them.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rxagents import Usage
from rxagents.testing import RawReply, ReceivedRequest, Reply, ScriptedServer
from rxagents.testing.wires import wire_of

_WORDS = ("The", " quick", " brown", " fox", " jumps", " over", " the", " lazy", " dog", ".\n")


@functools.cache
def body(path: str, chunks: int, burst: int, begin: str) -> tuple[bytes, ...]:
    """Return the bytes of an answer at `path`, `burst` events a piece."""
    wire = wire_of(path)
    words = (_WORDS[number % len(_WORDS)] for number in range(chunks))
    text = (begin, *words) if begin else tuple(words)
    usage = Usage(input_tokens=9, output_tokens=chunks, total_tokens=chunks + 9)
    framed = wire.events(Reply(text, usage=usage), "replay", "chatcmpl-replay-0123456789")
    framed.append(wire.end)
    return tuple(b"".join(framed[i : i + burst]) for i in range(0, len(framed), burst))


async def _serve(burst: int) -> None:
    def answer(request: ReceivedRequest) -> RawReply:
        chunks = int(request.headers.get("x-chunks", "1000"))
        kind = wire_of(request.path).content_type
        begin = request.headers.get("x-begin", "")
        return RawReply(body(request.path, chunks, burst, begin), kind)

    async with ScriptedServer(answer) as server:
        print(server.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


@contextmanager
def replay_server(burst: int) -> Iterator[str]:
    """Run the server; it stops when its standard input closes."""
    command = [sys.executable, __file__, "--burst", str(burst)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]  # mypy joins the values of `pipes`
        yield process.stdout.readline().strip()
        process.stdin.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--burst", type=int, default=16)
    asyncio.run(_serve(parser.parse_args().burst))
