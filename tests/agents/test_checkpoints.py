"""What an event log keeps of an agent's run beside its events, after each turn and each tool."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from agent_runs import AgentKind, each_agent
from log_stores import SlowStore
from observing import Seen, settle

from rxagents import (
    Checkpoint,
    Conversation,
    EventLog,
    FunctionAgent,
    Message,
    ReasoningPart,
    StorageError,
    StreamChunk,
    ToolCall,
    ToolEnd,
    ToolResult,
    Usage,
    from_log,
    tool,
)
from rxagents import operators as ops
from rxagents.runtime.event_log.log_store import Saved
from rxagents.runtime.event_log.memory_log_store import MemoryLogStore
from rxagents.testing import Reply, ScriptedLLM

FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)


@tool
def double(number: int) -> int:
    """Double a number."""
    return 2 * number


class Held:
    """A tool that waits until `release`."""

    def __init__(self) -> None:
        self.started, self.go_on = asyncio.Event(), asyncio.Event()

        @tool
        async def wait() -> str:
            """Wait."""
            self.started.set()
            await self.go_on.wait()
            return "waited"

        self.tool = wait

    def release(self) -> None:
        self.go_on.set()


class NotingStore(MemoryLogStore):
    """Notes each checkpoint."""

    def __init__(self) -> None:
        super().__init__()
        self.saves: list[Saved] = []

    def save(self, key: str, token: str, data: bytes) -> None:
        super().save(key, token, data)
        saved = self.saved(key)
        assert saved is not None
        self.saves.append(saved)


def calls(*named: tuple[str, str], **fields: Any) -> Reply:
    return Reply(
        tool_calls=[ToolCall(f"call_{name}", name, given) for name, given in named], **fields
    )


DOUBLES = ("double", '{"number":2}')


async def checkpoint_of(log: EventLog, key: str = "run") -> Checkpoint:
    checkpoint = await log.checkpoint(key)
    assert checkpoint is not None
    return checkpoint


def texts(checkpoint: Checkpoint) -> list[str]:
    """Return the roles and texts of a checkpoint; those of the turn that runs have a star."""
    messages = [("", each) for each in checkpoint.messages]
    messages += [("*", each) for each in checkpoint.partial]

    def shown(message: Message) -> str:
        results = [part.content for part in message.parts if isinstance(part, ToolResult)]
        return message.text or "".join([*results, *(call.id for call in message.tool_calls)])

    return [f"{star}{each.role} {shown(each)}" for star, each in messages]


async def test_checkpoint_after_each_tool_and_turn() -> None:
    held, log = Held(), EventLog()
    llm = ScriptedLLM(calls(DOUBLES, ("wait", "{}"), usage=FIVE), Reply("It is 4.", usage=FIVE))
    agent = FunctionAgent(llm, [double, held.tool])
    handle = log.start("run", agent.run_stream("2 + 2?"))
    assert await log.checkpoint("run") is None
    await held.started.wait()
    await asyncio.sleep(0.1)
    first = await checkpoint_of(log)
    assert texts(first)[:3] == ["user 2 + 2?", "*assistant call_doublecall_wait", "*tool 4"]
    assert (first.iterations, first.tool_calls) == (1, 2)
    held.release()
    await handle.wait()
    last = await checkpoint_of(log)
    assert texts(last) == [
        "user 2 + 2?",
        "assistant call_doublecall_wait",
        "tool 4",
        "tool waited",
        "assistant It is 4.",
    ]
    assert last.usage is not None
    assert (last.usage.total_tokens, last.iterations, last.tool_calls) == (10, 2, 2)


async def test_reader_that_sees_a_tool_end_finds_its_checkpoint() -> None:
    store = NotingStore()
    log, agent = EventLog(store), FunctionAgent(ScriptedLLM(calls(DOUBLES), "It is 4."), [double])
    await log.start("run", agent.run_stream("2 + 2?")).wait()
    seen = Seen(from_log(log, "run"))
    await seen.over.wait()
    ends = [entry.id for entry in seen.items if isinstance(entry.item, ToolEnd)]
    assert ends == [f"1-{store.saves[0].seq + 1}"]
    assert len(store.saves) == 3  # the tool, and two turns
    assert (await checkpoint_of(log)).after == f"1-{store.saves[-1].seq}"
    assert [entry.id for entry in seen.items] == [f"1-{n + 1}" for n in range(len(seen.items))]


async def test_checkpoint_follows_events_that_wait_for_the_store() -> None:
    after = []
    for store in (MemoryLogStore(), SlowStore()):
        log = EventLog(store)
        agent = FunctionAgent(ScriptedLLM(calls(DOUBLES), "It is 4."), [double])
        handle = log.start("run", agent.run_stream("2 + 2?"))
        if isinstance(store, SlowStore):
            store.answer()
            await asyncio.sleep(1)
            while store.waiting:
                store.answer()
                await settle()
        await handle.wait()
        after.append((await checkpoint_of(log)).after)
    assert after[0] == after[1] != ""


@each_agent
async def test_stopped_run_leaves_its_checkpoint(agent: AgentKind) -> None:
    held, log = Held(), EventLog()
    made = agent.make(
        ScriptedLLM(agent.calls(("double", {"number": 2})), agent.calls(("wait", {}))),
        [double, held.tool],
    )
    handle = log.start("run", made.run_stream("2 + 2?"))
    await held.started.wait()
    handle.stop()
    await handle.wait()
    checkpoint = await checkpoint_of(log)
    assert "4" in texts(checkpoint)[-1]
    assert checkpoint.iterations == 1


async def test_provider_data_goes_into_the_checkpoint() -> None:
    log, data = EventLog(), {"anthropic": {"signature": "abc"}}
    thought = Message.assistant(ReasoningPart("Hm.", data), "It is 4.")
    task = [Message.user("2 + 2?"), thought, Message.user("Sure?")]
    agent = FunctionAgent(ScriptedLLM("Yes."))
    seen = Seen(agent.run_stream(task).pipe(ops.persist(log, "run")))
    await seen.over.wait()
    assert (await checkpoint_of(log)).messages == (*task, Message.assistant("Yes."))


async def test_agent_of_a_tool_has_no_checkpoint() -> None:
    store = NotingStore()
    log = EventLog(store)
    inner = FunctionAgent(ScriptedLLM(calls(DOUBLES), "inner"), [double])
    agent = FunctionAgent(
        ScriptedLLM(calls(("expert", '{"task":"2 + 2?"}')), "It is 4."),
        [inner.as_tool("expert", "Counts.")],
    )
    await log.start("run", agent.run_stream("Ask.")).wait()
    assert texts(await checkpoint_of(log)) == [
        "user Ask.",
        "assistant call_expert",
        "tool inner",
        "assistant It is 4.",
    ]
    assert len(store.saves) == 3
    assert all(b"Ask." in saved.data for saved in store.saves)


async def test_queued_run_saves_in_its_own_log() -> None:
    held, log = Held(), EventLog()
    llm = ScriptedLLM(calls(("wait", "{}")), "one", calls(DOUBLES), "two")
    talk = Conversation(FunctionAgent(llm, [double, held.tool]))
    first = log.start("first", talk.run_stream("One?"))
    second = log.start("second", talk.run_stream("Two?"))
    await held.started.wait()
    await settle()
    assert await log.checkpoint("second") is None
    held.release()
    await first.wait()
    await second.wait()
    assert texts(await checkpoint_of(log, "first"))[-1] == "assistant one"
    assert texts(await checkpoint_of(log, "second"))[-1] == "assistant two"


async def test_run_with_handle_saves_when_the_log_starts_it() -> None:
    log, agent = EventLog(), FunctionAgent(ScriptedLLM("It is 4."))
    await log.start("run", rx.defer(lambda _: agent.start("2 + 2?").events)).wait()
    assert texts(await checkpoint_of(log)) == ["user 2 + 2?", "assistant It is 4."]


async def test_run_that_is_repeated_saves_again() -> None:
    log, agent = EventLog(), FunctionAgent(ScriptedLLM("one", "two"))
    stream = rx.concat(agent.run_stream("One?"), agent.run_stream("Two?"))
    await log.start("run", stream).wait()
    assert texts(await checkpoint_of(log)) == ["user Two?", "assistant two"]


async def test_plain_stream_has_no_checkpoint() -> None:
    log = EventLog()
    await log.start("run", rx.of(StreamChunk("a"))).wait()
    assert await log.checkpoint("run") is None
    assert await log.checkpoint("unknown") is None


async def test_checkpoint_of_lone_surrogates() -> None:
    log, agent = EventLog(), FunctionAgent(ScriptedLLM("a"))
    await log.start("run", agent.run_stream("Say a\ud800.")).wait()
    assert texts(await checkpoint_of(log)) == ["user Say a?.", "assistant a"]


async def test_unreadable_checkpoint_is_storage_error() -> None:
    log = EventLog()
    store: Any = log.store
    store.save("run", store.begin("run").token, b"{}")
    with pytest.raises(StorageError, match="The checkpoint of the run 'run' cannot be read"):
        await log.checkpoint("run")
