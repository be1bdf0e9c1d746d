"""`kill -9` of a process with many durable runs: tools that ended run once, texts are whole."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest
from child import started
from matrix import only_full, size
from observing import Seen

from rxagents import (
    Answer,
    Complete,
    EventLog,
    RedisLogStore,
    Reset,
    SQLiteLogStore,
    StreamEvent,
    Token,
    ToolEnd,
    TurnStart,
    from_log,
)
from rxagents.runtime.event_log.log_store import LogStore

pytestmark = pytest.mark.real_time

RUNS = size(20, quick=6)
KILLS = size(5, quick=1)
STEPS = 4

PROGRAM = """
import asyncio, sys, time
import rxagents
from rxagents import EventLog, FunctionAgent, RedisLogStore, SQLiteLogStore
from rxagents import ToolCall, ToolContext, tool
from rxagents.testing import Reply, ScriptedLLM

port, ahead = int(sys.argv[1]), float(sys.argv[2])

class Model:
    # Calls the next step, or answers after the last one; what it writes depends on the messages.
    def chat_stream(self, messages, tools=None, **settings):
        done = sum(message.role == "tool" for message in messages)
        if done == {steps}:
            reply = Reply("The answer of " + messages[0].text + " is whole.", interval=0.002)
        else:
            name = "again" if done == 1 else "step"
            call = ToolCall(f"call_{{done}}", name, "{{}}")
            reply = Reply(f"Step {{done}}. ", tool_calls=[call], interval=0.002)
        return ScriptedLLM(reply).chat_stream(messages, tools)

async def ask(context):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(f"{{context.context}} {{context.call_id}}\\n".encode())
    answer = await reader.readline()
    writer.close()
    if not answer:
        raise OSError("The server is gone.")
    return answer.decode().strip()

@tool
async def step(context: ToolContext) -> str:
    return await ask(context)

@tool(idempotent=True)
async def again(context: ToolContext) -> str:
    return await ask(context)

async def main():
    store = {store}, clock=lambda: time.time() + ahead)
    async with EventLog(store) as log:
        agent = FunctionAgent(Model(), [step, again])
        runs = [
            agent.start(f"task {{n}}", log=log, key=f"run {{n}}", context=f"run-{{n}}")
            for n in range({runs})
        ]
        print("started", flush=True)
        for run in runs:
            result = await run.result
            assert result.output.endswith("is whole."), result
    print("done", flush=True)

asyncio.run(main())
"""


def attempt_texts(events: list[StreamEvent]) -> list[str]:
    """Return the texts of the turns that are not void."""
    turns: list[str] = []
    for event in events:
        if isinstance(event, TurnStart):
            turns.append("")
        elif isinstance(event, Reset) and turns:
            turns[-1] = ""
        elif isinstance(event, Token):
            turns[-1] += event.content
    return turns


async def test_killed_processes_run_each_tool_once(tmp_path: Path) -> None:
    path = tmp_path / "log.db"
    await kill_processes(f"SQLiteLogStore({str(path)!r}", SQLiteLogStore(path))


@only_full
async def test_killed_processes_run_each_tool_once_in_redis(redis_url: str, tmp_path: Path) -> None:
    prefix = str(tmp_path)
    store = RedisLogStore(redis_url, prefix=prefix)
    await kill_processes(f"RedisLogStore({redis_url!r}, prefix={prefix!r}", store)


async def kill_processes(make_store: str, store: LogStore) -> None:
    """Kill processes with durable runs until the last one ends them; check what they left.

    Args:
        make_store: The code that makes the store, up to its clock.
        store: The same store, to read.
    """
    rng = random.Random(7)
    begun: Counter[str] = Counter()
    enough, is_enough = 0, asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        call = (await reader.readline()).decode().strip()
        if call:  # else the process was killed before it had asked
            begun[call] += 1
            if begun.total() >= enough:
                is_enough.set()
            await asyncio.sleep(rng.uniform(0, 0.04))
            writer.write(b"ok\n")
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    program = PROGRAM.format(steps=STEPS, runs=RUNS, store=make_store)
    for attempt in range(KILLS + 1):
        enough = begun.total() + rng.randint(1, RUNS * STEPS // (KILLS + 1))
        is_enough.clear()
        command = [sys.executable, "-c", program, str(port), str(20 * attempt)]
        with started(command, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == b"started\n"
            output = asyncio.create_task(asyncio.to_thread(process.stdout.read))
            if attempt < KILLS:
                enough_calls = asyncio.create_task(is_enough.wait())
                either = {enough_calls, output}
                await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
                enough_calls.cancel()
                await asyncio.sleep(rng.uniform(0, 0.03))
                process.kill()
            rest = await output
            process.wait()
            process.stdout.close()
    assert rest == b"done\n"
    server.close()
    await server.wait_closed()

    attempts: Counter[str] = Counter()
    async with EventLog(store) as log:
        for number in range(RUNS):
            seen = Seen(from_log(log, f"run {number}"))
            await seen.over.wait()
            assert seen.completed
            attempts.update({entry.id.partition("-")[0] for entry in seen.items})
            events = [entry.item for entry in seen.items]
            answer = f"The answer of task {number} is whole."
            assert isinstance(events[-1], Complete)
            assert events[-1].content == answer
            assert [e.content for e in events if isinstance(e, Answer)][-1] == answer
            texts = attempt_texts(events)
            assert texts[-1] in {answer, ""}  # void if only its last events were missing
            assert all(text in {answer, "", *(f"Step {n}. " for n in range(4))} for text in texts)
            ended = {e.call_id for e in events if isinstance(e, ToolEnd) and e.error is None}
            for call in ended - {"call_1"}:
                assert begun[f"run-{number} {call}"] == 1
            assert {e.call_id for e in events if isinstance(e, ToolEnd)} == {
                f"call_{n}" for n in range(STEPS)
            }
    assert len(attempts) > 1
    not_once = [call for call, count in begun.items() if count != 1]
    assert all(call.endswith("call_1") for call in not_once)  # the tool that may run again
