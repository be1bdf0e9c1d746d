"""The process keeps its size, whatever a server sends."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from child import run_program
from wires import SpokenWire, any_wire

SUPPORT = str(Path(__file__).parents[1] / "support")

PROGRAM = """
    import asyncio, json, resource, sys
    sys.path.insert(0, {support!r})
    from faulty_server import Cue, FaultyServer
    from wires import WIRES
    import memory_acts
    import rxagents

    wire = next(wire for wire in WIRES if wire.name == {wire!r})
    acts = memory_acts.ACTS[{act!r}](wire)

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    async def ask(server):
        limits = rxagents.Timeouts(first=20, idle=20)
        async with wire.model(server.url, max_retries=0, timeout=limits) as llm:
            await llm.chat("hi")

    async def main():
        async with FaultyServer(memory_acts.good(wire)) as server:
            await ask(server)
        before = peak()
        async with FaultyServer(acts) as server:
            try:
                await asyncio.wait_for(ask(server), 60)
                error = None
            except rxagents.ProviderError as failure:
                error = type(failure).__name__
        print(json.dumps([error, peak() - before]))

    asyncio.run(main())
"""


def run(wire: SpokenWire, act: str) -> Any:
    return json.loads(run_program(PROGRAM.format(support=SUPPORT, wire=wire.name, act=act)))


@any_wire
@pytest.mark.parametrize(
    ("act", "error"),
    [
        ("a line of 64 MiB", "LimitExceededError"),
        ("a compressed line of 200 MB", "LimitExceededError"),
        ("200 MB of blank lines, compressed", "TruncatedStreamError"),
        ("an error that unpacks to 200 MB", "BadRequestError"),
        ("an error body without end", "BadRequestError"),
    ],
)
def test_flood_keeps_memory_constant(wire: SpokenWire, act: str, error: str) -> None:
    ended, grown = run(wire, act)
    assert ended == error
    assert grown < 64 * 2**20


CLOSED = """
    import asyncio, json, resource, ssl, sys, zlib
    sys.path.insert(0, {support!r})
    import aiohttp.connector, trustme
    from faults import LAST, chunk, head
    from faulty_server import Cue, FaultyServer
    from wires import WIRES
    import rxagents

    def peak() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    authority = trustme.CA()
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(tls)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    aiohttp.connector._SSL_CONTEXT_VERIFIED = trusting

    wire = WIRES[0]
    compressor = zlib.compressobj(9, wbits=31)
    first = compressor.compress(wire.text("one")) + compressor.flush(zlib.Z_SYNC_FLUSH)
    blanks = [compressor.compress(b"\\n" * 10**6) for _ in range(100)]
    end = compressor.compress(wire.text(" two") + wire.finish() + wire.done()) + compressor.flush()
    headers = (b"content-type: text/event-stream", b"transfer-encoding: chunked")
    good = [head(200, *headers) + chunk(wire.text("hi") + wire.finish() + wire.done()) + LAST]
    packed = head(200, *headers, b"content-encoding: gzip") + chunk(first)
    flood = [packed, Cue.PAUSE, chunk(b"".join(blanks) + end) + LAST, Cue.FIN]

    async def main():
        async with FaultyServer(good, flood, tls=tls) as server, wire.model(server.url) as llm:
            await llm.chat("hi")
            before = peak()
            async with rxagents.to_aiter(llm.chat_stream("hi"), capacity=1) as chunks:
                text = (await anext(chunks)).delta
                await server.all_left()
                text += "".join([item.delta async for item in chunks])
            print(json.dumps([text, peak() - before]))

    asyncio.run(main())
"""


def test_compressed_flood_closed_over_tls() -> None:
    text, grown = json.loads(run_program(CLOSED.format(support=SUPPORT)))
    assert text == "one two"
    assert grown < 32 * 2**20
