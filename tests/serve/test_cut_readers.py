"""Readers of runs whose connections are cut at any byte, and who come back with the last id."""

from __future__ import annotations

import asyncio

import pytest
from cutting_proxy import cutting_proxy
from event_source import EventSource, random_sizes
from matrix import size
from serving import serving

from rxagents import FunctionAgent
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time


async def test_cut_readers_get_each_event_once() -> None:
    asyncio.get_running_loop().set_debug(False)  # a connection costs three times as much with it
    runs, words = size(90, quick=6), 100
    replies = [Reply(f"ä{n} " * words, interval=0.002) for n in range(runs)]
    agent = FunctionAgent(ScriptedLLM(*replies))
    async with (
        serving(agent) as server,
        cutting_proxy(server.url, of=b"/events", after=random_sizes(2500)) as proxy,
    ):
        readers: dict[str, EventSource] = {}
        for _ in range(runs):
            _, body = await server.post("/runs", {"task": "Say it."})
            path = f"/runs/{body['id']}/events"
            readers[path] = EventSource(proxy.url, path)
        await asyncio.gather(*[reader.read() for reader in readers.values()])
        for path, reader in readers.items():
            _, text = await server.get(path)
            frames = [f"id: {event.id}\ndata: {event.data}\n\n" for event in reader.events]
            assert "".join([*frames, "event: end\ndata: {}\n\n"]) == text.partition("\n\n")[2]
            ids = [event.id for event in reader.events]
            assert ids == [f"1-{number}" for number in range(1, len(ids) + 1)]
        assert proxy.cuts >= size(1000, quick=40), proxy.cuts
