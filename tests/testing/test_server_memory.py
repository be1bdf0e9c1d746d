"""A server needs little memory for a large body."""

from __future__ import annotations

from child import run_program

PROCESS = """
    import asyncio, resource, zlib
    import aiohttp
    from rxagents.testing import Ending, RawReply, ScriptedServer, gzip_bomb

    def peak():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

    async def bomb(server, session):
        decoder, size = zlib.decompressobj(wbits=31), 0
        async with session.post(server.url, json={{}}) as response:
            async for compressed in response.content.iter_any():
                while compressed:
                    size += len(decoder.decompress(compressed, 1 << 20))
                    compressed = decoder.unconsumed_tail
        assert size + len(decoder.flush()) == 200_000_000, size

    async def endless(server, session):
        async with session.post(server.url, json={{}}):
            for _ in range(5000):
                await asyncio.sleep(0)

    async def main():
        reply = {reply}
        async with ScriptedServer("warm", reply) as server:
            async with aiohttp.ClientSession(auto_decompress=False) as session:
                async with session.post(server.url, json={{}}) as response:
                    await response.read()
                before = peak()
                await {name}(server, session)
                print(peak() - before)

    asyncio.run(main())
"""


def growth(name: str, reply: str) -> int:
    return int(run_program(PROCESS.format(name=name, reply=reply)))


def test_gzip_bomb_needs_little_memory() -> None:
    assert growth("bomb", "gzip_bomb(200_000_000)") < 20 * 2**20


def test_endless_body_waits_for_reader() -> None:
    assert growth("endless", "RawReply([bytes(1 << 16)], ending=Ending.ENDLESS)") < 20 * 2**20
