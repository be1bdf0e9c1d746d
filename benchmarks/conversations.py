"""Scenario: conversations in a SQLite file: turns a second, and how long a write takes.

Many conversations run at a time on one file. The model is scripted and answers at once, so the
turns a second are a limit that the store and the agent set. The time of a write goes from the
call of `append` to the commit on the disk; it includes the wait for the batch before it. The same
turns with conversations in memory are the comparison.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.run import Run, in_fresh_process
from rxagents import ConversationalAgent, ConversationStore, Memory, SQLiteStore
from rxagents.testing import ScriptedLLM

_ANSWER = "The answer is about as long as a sentence of a chat."


class TimedStore(SQLiteStore):
    """Notes the milliseconds of each write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[float] = []

    async def append(self, *arguments: Any, **options: Any) -> None:
        """Append, and note the time."""
        start = time.perf_counter()
        await super().append(*arguments, **options)
        self.writes.append((time.perf_counter() - start) * 1000)


async def turns_a_second(
    conversations: int, turns: int, store: ConversationStore | None = None
) -> float:
    """Run the turns of all conversations, each conversation's one after the other."""
    memory = Memory("window", max_messages=20, store=store)
    agent = ConversationalAgent(ScriptedLLM(_ANSWER), memory=memory)

    async def talk(name: int) -> None:
        for turn in range(turns):
            await agent.run(f"Question {turn} of {name}?", str(name))

    start = time.perf_counter()
    await asyncio.gather(*map(talk, range(conversations)))
    seconds = time.perf_counter() - start
    for name in range(conversations):
        kept = await memory.conversation(str(name))
        expected = [f"Question {turn} of {name}?" for turn in range(turns)]
        if [exchange[0].text for exchange in kept.exchanges] != expected:
            raise RuntimeError(f"Conversation {name} is not what was said in it.")
    return conversations * turns / seconds


async def _measure(conversations: int, turns: int) -> dict[str, dict[str, float]]:
    in_memory = await turns_a_second(conversations, turns)
    with tempfile.TemporaryDirectory() as folder:
        async with TimedStore(Path(folder) / "conversations.db") as store:
            in_file = await turns_a_second(conversations, turns, store)
            median = statistics.median(store.writes)
            *_, p99 = statistics.quantiles(store.writes, n=100)
    return {
        "in memory": {"turns a second": in_memory},
        "in a file": {"turns a second": in_file, "ms a write": median, "p99": p99},
    }


def measure(conversations: int, turns: int) -> dict[str, dict[str, float]]:
    """Return the figures of one number of conversations, in memory and in a file."""
    return asyncio.run(_measure(conversations, turns))


def conversations(run: Run) -> None:
    """Measure rising numbers of conversations at a time."""
    for _ in range(run.choose_rounds(3, 3)):
        for count in (1, 20, 200):
            turns = 10 if count > 1 else 200
            found = in_fresh_process(f"{__name__}:measure", count, turns)
            for where, figures in found.items():
                for name, value in figures.items():
                    run.add(f"{count} conversations", where, name, value)
