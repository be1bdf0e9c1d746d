"""Whatever a server sends, the process keeps its size."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest
from wires import WIRES, SpokenWire

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
    program = textwrap.dedent(PROGRAM).format(support=SUPPORT, wire=wire.name, act=act)
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)
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
def test_a_flood_does_not_grow_the_process(wire: SpokenWire, act: str, error: str) -> None:
    ended, grown = run(wire, act)
    assert ended == error
    assert grown < 64 * 2**20
