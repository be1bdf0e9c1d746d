"""Runs that end while an asynchronous store still works, and dispose on another thread."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from agent_runs import RunSeen
from observing import Seen, in_thread, settle

from rxagents import (
    Conversation,
    ConversationalAgent,
    ConversationStore,
    EventLog,
    FunctionAgent,
    Memory,
    MemoryStore,
    RunLimitError,
    SQLiteStore,
    Token,
    ToolCall,
    tool,
)
from rxagents.storage.conversation_store import Snapshot
from rxagents.testing import Reply, ScriptedLLM

PAY = Reply(tool_calls=[ToolCall("call_1", "pay", '{"amount":7}')])


class SlowStore:
    """Does everything at once, but answers `take_deferred` and `append` when the test says so."""

    def __init__(self) -> None:
        self.inner = MemoryStore()
        self.answers = asyncio.Event()
        self.answers.set()
        self.taking = asyncio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    async def take_deferred(self, conversation_id: str, start: Snapshot) -> bool:
        taken = self.inner.take_deferred(conversation_id, start)
        self.taking.set()
        await self.answers.wait()
        return taken

    async def append(self, *arguments: Any, **named: Any) -> None:
        await self.answers.wait()
        self.inner.append(*arguments, **named)


def paying(store: ConversationStore, **options: Any) -> tuple[Conversation[str], list[int]]:
    paid: list[int] = []

    @tool(requires_approval=True)
    async def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    agent = FunctionAgent(ScriptedLLM(PAY, "Done."), [pay], approve="defer", **options)
    return Conversation(agent, memory=Memory(store=store)), paid


async def test_run_disposed_while_it_is_taken_waits_on() -> None:
    store: Any = SlowStore()
    conversation, paid = paying(store)
    await conversation.run("Pay 7")
    store.answers.clear()
    seen = RunSeen(conversation.resume_stream({"call_1": True}))
    await store.taking.wait()
    await seen.assert_silent()
    store.answers.set()
    await settle()
    assert [call.id for call in await conversation.pending()] == ["call_1"]
    assert (await conversation.resume({"call_1": True})).output == "Done."
    assert paid == [7]


async def test_run_that_expires_while_it_is_taken_waits_on() -> None:
    store: Any = SlowStore()
    conversation, paid = paying(store, max_seconds=5)
    await conversation.run("Pay 7")
    store.answers.clear()
    with pytest.raises(RunLimitError, match="max_seconds"):
        await conversation.resume({"call_1": True})
    store.answers.set()
    await settle()
    assert [call.id for call in await conversation.pending()] == ["call_1"]
    assert paid == []


async def test_run_taken_elsewhere_is_not_put_back() -> None:
    store: Any = SlowStore()
    conversation, _ = paying(store)
    await conversation.run("Pay 7")
    store.answers.clear()
    seen = RunSeen(conversation.resume_stream({"call_1": True}))
    await settle()
    await conversation.memory.forget("default")
    await seen.assert_silent()
    store.answers.set()
    await settle()
    assert await conversation.pending() == ()


@pytest.mark.real_time
async def test_dispose_on_another_thread_keeps_what_was_seen(tmp_path: Path) -> None:
    async with SQLiteStore(tmp_path / "conversations.db") as store:
        llm = ScriptedLLM(Reply("one two three", interval=0.05), "Yes.")
        agent = ConversationalAgent(llm, memory=Memory(store=store), on_stop="keep")
        seen = Seen(agent.run_stream("Count."))
        await seen.saw(Token, 2)
        in_thread(seen.subscription.dispose)
        await agent.run("Well?")
        kept = (await agent.memory.conversation("default")).exchanges
        assert [exchange[0].text for exchange in kept] == ["Count.", "Well?"]


async def test_resumed_run_of_a_conversation_has_checkpoints() -> None:
    conversation, _ = paying(MemoryStore())
    await conversation.run("Pay 7")
    async with EventLog() as log:
        await log.start("run", conversation.resume_stream({"call_1": True})).wait()
        checkpoint = await log.checkpoint("run")
        assert checkpoint is not None
        assert [message.text for message in checkpoint.messages][-1] == "Done."
