"""The agents that `run_many.py` runs in its workers, which import this module by its name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

from reactivex import Observable

import rxagents
from rxagents import FunctionAgent, StreamEvent, Token, ToolCall
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


class _StepModel:
    """A model that calls a tool and then answers; its script is the conversation."""

    def chat_stream(self, messages: Any, tools: Any = None, **_: Any) -> Observable[Any]:
        """Stream the reply."""
        task = messages[0].text
        if messages[-1].role == "tool":
            reply = Reply(f"The answer of {task} is whole.", interval=0.002)
        else:
            call = ToolCall(f"call of {task}", "step", json.dumps({"task": task}))
            reply = Reply("I call the tool.", tool_calls=[call], interval=0.002)
        return ScriptedLLM(reply).chat_stream(messages, tools)


def make_stepping(port: int) -> FunctionAgent[str]:
    """Return an agent with a tool that asks a server."""

    @rxagents.tool
    async def step(task: str) -> str:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{task}\n".encode())
        answer = await reader.readline()
        writer.close()
        if not answer:
            raise OSError("The server is gone.")
        return answer.decode().strip()

    return FunctionAgent(_StepModel(), [step])  # type: ignore[arg-type]  # it needs no more


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
