"""Thousands of streams, each disposed at a random moment, leak nothing."""

from __future__ import annotations

from child import run_program
from matrix import size

PROGRAM = """
    import asyncio, gc, os, random, sys
    import rxagents
    from rxagents.testing import Reply, ScriptedServer

    TOGETHER = 50

    async def one_after_another(llm, streams, moments):
        for _ in range(streams):
            # Half are disposed after some chunks, half after some turns of the loop.
            wanted = moments.choice([0, moments.randrange(1, 15)])
            seen = asyncio.Event()
            subscription = llm.chat_stream("hi").subscribe(
                lambda chunk: seen.set() if chunk.index == wanted else None
            )
            if wanted:
                await seen.wait()
            else:
                for _ in range(moments.randrange(40)):
                    await asyncio.sleep(0)
            subscription.dispose()

    async def churn(server, streams):
        moments = random.Random(7)
        async with rxagents.OpenAI("m", base_url=server.url, max_retries=0) as llm:
            work = [one_after_another(llm, streams // TOGETHER, moments) for _ in range(TOGETHER)]
            await asyncio.gather(*work)
        requests = len(server.requests)
        server.requests.clear()
        return requests, *await settled()

    async def settled():
        while len(asyncio.all_tasks()) > tasks:
            await asyncio.sleep(0.01)
        gc.collect()
        return len(os.listdir("/proc/self/fd")), sys.getallocatedblocks()

    async def main():
        global tasks
        tasks = len(asyncio.all_tasks())
        async with ScriptedServer(Reply("word " * 20, interval=0.002)) as server:
            _, files, before = await churn(server, {first})
            requests, files_after, after = await churn(server, {second})
        print(requests, files_after - files, after - before)

    asyncio.run(main())
"""


def test_disposed_streams_leak_nothing() -> None:
    streams = size(10_000, quick=2_000)
    out = run_program(PROGRAM.format(first=streams // 5, second=streams))
    requests, files, blocks = map(int, out.split())
    assert requests > 0.45 * streams  # the others were disposed before they were sent
    assert files <= 0
    assert blocks < 0.2 * streams  # of memory: one object leaked by each stream is `streams`
