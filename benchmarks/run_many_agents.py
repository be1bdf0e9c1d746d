"""The agents that `run_many.py` runs in its workers, which import this module by its name."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import rxagents
from rxagents import FunctionAgent, StreamEvent, Token
from rxagents.testing import Reply, ScriptedLLM

WORDS = 100
"""Tokens of one run."""


def make_fast() -> FunctionAgent[str]:
    """Return an agent whose model writes as fast as it can."""
    return FunctionAgent(ScriptedLLM(Reply(["word "] * WORDS)))


def make_paced() -> FunctionAgent[str]:
    """Return an agent whose model writes 20 tokens a second."""
    return FunctionAgent(ScriptedLLM(Reply(["word "] * WORDS, interval=0.05)))


def make_endless() -> Any:
    """Return a function whose streams emit as long as the reader wants."""

    async def tokens() -> AsyncIterator[StreamEvent]:
        while True:
            yield Token("word " * 20)
            await asyncio.sleep(0)

    return lambda _: rxagents.from_aiter(tokens)


def make_client(url: str) -> FunctionAgent[str]:
    """Return an agent of a model behind HTTP."""
    return FunctionAgent(rxagents.OpenAI("any", api_key="any", base_url=url))


class HandWritten:
    """A Ray actor as one would write it by hand: many runs, one generator of batches."""

    async def events(self, keys: list[str], *, paced: bool) -> AsyncIterator[list[Any]]:
        """Run an agent for each key, and yield what their runs emit, 5 ms at a time."""
        queue: asyncio.Queue[tuple[str, StreamEvent] | None] = asyncio.Queue(4096)
        agent = make_paced() if paced else make_fast()

        async def run(key: str) -> None:
            async with rxagents.to_aiter(agent.run_stream(key)) as events:
                async for event in events:
                    await queue.put((key, event))

        async def run_all() -> None:
            await asyncio.gather(*map(run, keys))
            await queue.put(None)

        runs = asyncio.ensure_future(run_all())
        batch: list[Any] = []
        while (item := await queue.get()) is not None:
            batch.append(item)
            if len(batch) == 1:
                await asyncio.sleep(0.005)
            if queue.empty() or len(batch) >= 512:
                yield batch
                batch = []
        yield batch
        await runs
