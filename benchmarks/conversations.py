"""Measure conversations in a SQLite file: turns a second, and how long a write takes.

    pip install -e '.[benchmarks]'
    python benchmarks/conversations.py

Many conversations run at a time on one file. The model is scripted and answers at once, so the
turns a second are a limit that the store and the agent set. The time of a write goes from the
call of `append` to the commit on the disk; it includes the wait for the batch before it. The same
turns with conversations in memory are the comparison.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

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


async def measure(conversations: int, turns: int, report: Callable[[str], None]) -> None:
    """Measure and report one number of conversations."""
    in_memory = await turns_a_second(conversations, turns)
    with tempfile.TemporaryDirectory() as folder:
        async with TimedStore(Path(folder) / "conversations.db") as store:
            in_file = await turns_a_second(conversations, turns, store)
            median = statistics.median(store.writes)
            *_, p99 = statistics.quantiles(store.writes, n=100)
    report(
        f"{conversations} conversations: {in_file:.0f} turns a second in a file, {in_memory:.0f} "
        f"in memory; a write takes {median:.1f} ms, p99 {p99:.1f} ms"
    )


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--turns", type=int, default=10)
    turns = parser.parse_args().turns
    for conversations in (1, 20, 200):
        count = turns if conversations > 1 else 20 * turns
        asyncio.run(measure(conversations, count, Console().print))


if __name__ == "__main__":
    main()
