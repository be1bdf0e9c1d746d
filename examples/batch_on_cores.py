"""Run an agent for many questions on the cores of this machine; start it again and it goes on.

QUESTIONS_FOLDER=. RXAGENTS_MODEL=openai:gpt-5-mini python examples/batch_on_cores.py
"""

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import rxagents
from rxagents import RunReport
from rxagents.testing import ScriptedLLM

MODEL = os.environ.get("RXAGENTS_MODEL")
ends: Counter[str] = Counter()


def make_agent() -> rxagents.FunctionAgent:
    """Make the agent: each process calls this once."""
    llm = rxagents.get_model(MODEL) if MODEL else ScriptedLLM("About as many as you think.")
    return rxagents.FunctionAgent(llm)


def questions() -> Iterator[tuple[str, str]]:
    """Yield keys and questions; the next one is read when there is room for its run."""
    for number in range(100):
        yield f"question-{number}", f"How many people live {number} km from Oslo?"


def note(report: RunReport) -> None:
    """Count how the runs end."""
    ends["failed" if report.error else "completed"] += 1


async def main(path: Path) -> None:
    """Run all questions that the log does not have to their end."""
    async with rxagents.EventLog(rxagents.SQLiteLogStore(path)) as log:
        runs = rxagents.run_many(
            make_agent,
            questions(),
            concurrency=40,
            engine=rxagents.processes(),
            log=log,
            report=note,
        )
        async with rxagents.to_aiter(runs) as events:
            tokens = [key async for key, event in events if event.type == "token"]
    print(f"{ends['completed']} completed, {ends['failed']} failed, {len(tokens)} tokens")


if __name__ == "__main__":
    folder = os.environ.get("QUESTIONS_FOLDER") or tempfile.mkdtemp()
    with suppress(KeyboardInterrupt):
        asyncio.run(main(Path(folder, "questions.db")))
