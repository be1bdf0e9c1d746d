"""A slow consumer slows the socket, not the memory."""

from __future__ import annotations

from child import run_program

ENDLESS = """
    import asyncio, os, sys
    import rxagents
    from aiohttp import web

    EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\\n\\n' % (b"x" * 200)
    sent = 0

    def resident() -> int:
        with open("/proc/self/statm") as statm:
            return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    async def endless(request):
        global sent
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(EVENT * 100)
            sent += 100

    async def main():
        runner = web.ServerRunner(web.Server(endless), handler_cancellation=True)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        async with rxagents.OpenAI("m", base_url=url) as llm:
            async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
                for _ in range(500):
                    await anext(chunks)
                before, stopped = resident(), -1
                while sent != stopped:
                    stopped = sent
                    await asyncio.sleep(0.3)
                print(resident() - before)
                last = [await anext(chunks) for _ in range(2000)][-1]
                assert last.index == 2499 and len(last.content) == 2500 * 200
        await runner.cleanup()

    asyncio.run(main())
"""


def test_stopped_reader_keeps_memory_constant() -> None:
    assert int(run_program(ENDLESS)) < 20 * 2**20
