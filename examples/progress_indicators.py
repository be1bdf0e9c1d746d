"""Show an agent live in the terminal: the progress of each tool, and the growing answer.

RXAGENTS_MODEL=openai:gpt-5-mini python examples/progress_indicators.py
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import suppress
from functools import partial

from rich.live import Live
from rich.table import Table

import rxagents
from rxagents import StreamEvent, Token, ToolCall, ToolEnd, ToolProgress, ToolStart
from rxagents.testing import Reply, ScriptedLLM

CITIES = ("Oslo", "Rome", "Lima")
CALLS = [ToolCall(f"call_{city}", "measure", f'{{"city": "{city}"}}') for city in CITIES]
SCRIPT = (Reply(tool_calls=CALLS), Reply("It is warmest in Lima.", interval=0.05))


@rxagents.tool
async def measure(city: str) -> AsyncIterator[str]:
    """Measure the temperature in a city."""
    for step in ("asking the station", "waiting", "reading the answer"):
        yield step
        await asyncio.sleep(0.05 * len(city))
    yield f"{len(city) + sum(map(ord, city)) % 20} degrees"


rows: dict[str, tuple[str, str]] = {}


def show(live: Live, event: StreamEvent) -> None:
    """Update the row of an event, one for each tool and one for the answer; draw all rows."""
    match event:
        case ToolStart(call_id=row, arguments=arguments):
            rows[row] = str(arguments["city"]), "[cyan]starting"
        case ToolProgress(call_id=row, content=text):
            rows[row] = rows[row][0], f"[yellow]{text}"
        case ToolEnd(call_id=row, result=text):
            rows[row] = rows[row][0], f"[green]{text}"
        case Token(content=text):
            rows["answer"] = "answer", rows.get("answer", ("", ""))[1] + text
    table = Table.grid(padding=(0, 2))
    for name, text in rows.values():
        table.add_row(name, text)
    live.update(table)


if __name__ == "__main__":
    name = os.environ.get("RXAGENTS_MODEL")
    llm = rxagents.get_model(name) if name else ScriptedLLM(*SCRIPT)
    events = rxagents.FunctionAgent(llm, [measure]).run_stream(f"Where is it warmest: {CITIES}?")
    with suppress(KeyboardInterrupt), Live() as live:
        rxagents.run(events, partial(show, live))
