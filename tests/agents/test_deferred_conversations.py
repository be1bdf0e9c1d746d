"""Conversations whose runs wait for decisions, in memory and in a SQLite file."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from agent_runs import AgentKind, Function, HeldTool, RunSeen, each_agent, seen_to_end, served
from child import started
from msgspec.structs import replace
from reactivex.testing import TestScheduler
from timed_tools import TimedTools
from wires import SpokenWire, any_wire

from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    Conversation,
    ConversationStore,
    Deny,
    Memory,
    MemoryStore,
    ServerError,
    SQLiteStore,
    Token,
    ToolCall,
    tool,
)
from rxagents.agents.control import RunControl
from rxagents.testing import Reply, ScriptedLLM

PAY = ("pay", {"amount": 7})


class Payments:
    """The tool `pay`, which needs approval, and what was paid."""

    def __init__(self) -> None:
        self.paid: list[int] = []
        self.tool = tool(requires_approval=True, name="pay")(self._pay)

    async def _pay(self, amount: int) -> str:
        self.paid.append(amount)
        return f"paid {amount}"


@asynccontextmanager
async def memory_store(_: Path) -> AsyncIterator[ConversationStore]:
    yield MemoryStore()


@asynccontextmanager
async def sqlite_store(folder: Path) -> AsyncIterator[ConversationStore]:
    async with SQLiteStore(folder / "conversations.db") as store:
        yield store


Make = Callable[[Path], Any]
any_store = pytest.mark.parametrize("make", [memory_store, sqlite_store], ids=["memory", "sqlite"])


def talking(
    agent: AgentKind, llm: Any, store: ConversationStore, **options: Any
) -> tuple[Conversation, Payments]:
    payments = Payments()
    made = agent.make(llm, [payments.tool], approve="defer")
    return Conversation(made, memory=Memory(store=store), **options), payments


async def decisions(conversation: Conversation, decision: Any) -> dict[str, Any]:
    return {call.id: decision for call in await conversation.pending()}


async def kept(conversation: Conversation) -> list[str]:
    """Return the text of each message of each exchange."""
    stored = await conversation.memory.conversation("default")
    return [str(message.parts) for exchange in stored.exchanges for message in exchange]


real_time = pytest.mark.real_time  # SQLite has a thread


@real_time
@each_agent
@any_wire
@any_store
async def test_run_is_resumed_in_another_process(
    agent: AgentKind, wire: SpokenWire, make: Make, tmp_path: Path
) -> None:
    turns = agent.answers("Hello."), agent.calls(PAY), agent.answers("Paid."), agent.answers("Yes.")
    async with make(tmp_path) as store, served(wire, *turns) as (server, llm):
        first, _ = talking(agent, llm, store)
        await first.run("Hi")
        result = await first.run("Pay 7")
        assert result.finish_reason == "approval"
        assert len(await kept(first)) == 2

        other, payments = talking(agent, llm, store)
        [call] = await other.pending()
        assert (call.name, call.parse()) == PAY
        result = await other.resume(conversation_id="default", decisions={call.id: True})
        assert (result.output, payments.paid) == ("Paid.", [7])
        assert await other.pending() == ()
        stored = await other.memory.conversation("default")
        assert [exchange[0].text for exchange in stored.exchanges] == ["Hi", "Pay 7"]
        assert stored.deferred == ()
        await other.run("Really?")
        body = server.requests[3].body.decode()
        assert 0 < body.index("Hello.") < body.index("paid 7") < body.index("Really?")
        assert body.count("paid 7") == 1


@real_time
@each_agent
@any_wire
@any_store
async def test_new_message_denies_the_waiting_calls(
    agent: AgentKind, wire: SpokenWire, make: Make, tmp_path: Path
) -> None:
    turns = agent.calls(PAY), agent.answers("All right."), agent.answers("Yes.")
    async with make(tmp_path) as store, served(wire, *turns) as (server, llm):
        conversation, payments = talking(agent, llm, store)
        await conversation.run("Pay 7")
        known = await decisions(conversation, True)
        assert (await conversation.run("No, wait.")).output == "All right."
        body = server.requests[1].body.decode()
        assert 0 < body.index("denied: superseded") < body.index("No, wait.")
        assert await conversation.pending() == ()
        stored = await conversation.memory.conversation("default")
        assert [len(exchange) for exchange in stored.exchanges] == [5]
        with pytest.raises(ConfigurationError, match="no run of the conversation 'default' waits"):
            await conversation.resume(known)
        await conversation.run("Good.")
        assert server.requests[2].body.decode().count("denied: superseded") == 1
        assert payments.paid == []


@each_agent
async def test_failed_run_leaves_the_calls_waiting(agent: AgentKind) -> None:
    broken = Reply("", error=ServerError("broken", status=500))
    llm = ScriptedLLM(agent.calls(PAY), broken, agent.answers("Paid."))
    conversation, payments = talking(agent, llm, MemoryStore())
    await conversation.run("Pay 7")
    with pytest.raises(ServerError):
        await conversation.run("No, wait.")
    result = await conversation.resume(await decisions(conversation, True))
    assert (result.output, payments.paid) == ("Paid.", [7])
    assert "No, wait." not in str(await kept(conversation))


@real_time
@each_agent
@any_store
async def test_failed_resume_keeps_the_results(
    agent: AgentKind, make: Make, tmp_path: Path
) -> None:
    broken = Reply("He", error=ServerError("broken", status=500))
    llm = ScriptedLLM(agent.calls(PAY), broken, agent.answers("It was paid."))
    async with make(tmp_path) as store:
        conversation, payments = talking(agent, llm, store)
        await conversation.run("Pay 7")
        with pytest.raises(ServerError):
            await conversation.resume(await decisions(conversation, True))
        assert await conversation.pending() == ()
        assert "paid 7" in str(await kept(conversation))
        assert len(await kept(conversation)) == 3  # without the answer that was cut
        await conversation.run("Did you pay?")
        assert "paid 7" in str(llm.requests[2].messages)
        assert payments.paid == [7]


@real_time
@each_agent
@any_wire
@any_store
async def test_disposed_resume_keeps_the_results(
    agent: AgentKind, wire: SpokenWire, make: Make, tmp_path: Path
) -> None:
    long = agent.answers("word " * 1000, interval=0.02)
    turns = agent.calls(PAY), long, agent.answers("Yes.")
    async with make(tmp_path) as store, served(wire, *turns) as (server, llm):
        conversation, payments = talking(agent, llm, store)
        await conversation.run("Pay 7")
        seen = RunSeen(conversation.resume_stream(await decisions(conversation, True)))
        await seen.saw(Token)
        await seen.assert_silent()
        await server.disconnected()
        assert "paid 7" in str(await kept(conversation))
        await conversation.run("Did you pay?")
        assert "paid 7" in server.requests[2].body.decode()
        assert payments.paid == [7]


@real_time
@each_agent
async def test_dispose_while_the_resumed_run_is_written(agent: AgentKind, tmp_path: Path) -> None:
    llm = ScriptedLLM(agent.calls(PAY), agent.answers("Paid."), agent.answers("Yes."))
    async with SQLiteStore(tmp_path / "a.db") as store:
        conversation, payments = talking(agent, llm, store)
        await conversation.run("Pay 7")
        go_on = threading.Event()

        def hold(event: Any) -> None:
            if isinstance(event, Answer):
                store._writer.submit(lambda _: go_on.wait(30))

        stream = conversation.resume_stream(await decisions(conversation, True))
        seen = RunSeen(stream, hold)
        await seen.saw(Answer)
        for _ in range(20):
            await asyncio.sleep(0)
        await seen.assert_silent()
        go_on.set()
        await conversation.run("Did you pay?")
        stored = await conversation.memory.conversation("default")
        assert [exchange[0].text for exchange in stored.exchanges] == ["Pay 7", "Did you pay?"]
        assert str(stored.exchanges[0]).count("paid 7") == 1
        assert payments.paid == [7]


@each_agent
async def test_dispose_during_the_resumed_call_is_kept(agent: AgentKind) -> None:
    held = HeldTool()
    llm = ScriptedLLM(agent.calls(("held", {})), agent.answers("Yes."))
    made = agent.make(llm, [replace(held.tool, requires_approval=True)], approve="defer")
    conversation = Conversation(made)
    await conversation.run("hi")
    seen = RunSeen(conversation.resume_stream(await decisions(conversation, True)))
    await held.running.wait()
    await seen.assert_silent()
    await held.cancelled.wait()
    assert "The run was stopped before this call ended" in str(await kept(conversation))


@each_agent
async def test_wrong_decisions_leave_the_calls_waiting(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(PAY), agent.answers("Denied."))
    conversation, payments = talking(agent, llm, MemoryStore())
    await conversation.run("Pay 7")
    [call] = await conversation.pending()
    wrongs: list[Any] = [{}, {"x": True}, {call.id: "yes"}]
    for wrong in wrongs:
        seen = await seen_to_end(conversation.resume_stream(wrong))
        seen.assert_failed(ConfigurationError)
    result = await conversation.resume({call.id: Deny("not now")})
    assert (result.output, payments.paid) == ("Denied.", [])
    assert "not now" in str(await kept(conversation))


@real_time
@any_store
async def test_two_resumes_run_the_calls_once(make: Make, tmp_path: Path) -> None:
    agent = Function()
    async with make(tmp_path) as store:
        llm = ScriptedLLM(agent.calls(PAY), agent.answers("Paid."))
        first, payments = talking(agent, llm, store)
        second, more = talking(agent, llm, store)  # has a queue of its own, as another process
        await first.run("Pay 7")
        known = await decisions(first, True)
        results = await asyncio.gather(
            first.resume(known), second.resume(known), return_exceptions=True
        )
        assert [type(each) for each in results].count(ConfigurationError) == 1
        assert payments.paid + more.paid == [7]


@each_agent
async def test_resumed_run_waits_again_beside_the_conversation(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(PAY), agent.calls(PAY), agent.answers("Twice."))
    conversation, payments = talking(agent, llm, MemoryStore())
    await conversation.run("Pay twice")
    result = await conversation.resume(await decisions(conversation, True))
    assert result.finish_reason == "approval"
    assert await kept(conversation) == []
    result = await conversation.resume(await decisions(conversation, True))
    assert (result.output, result.iterations, payments.paid) == ("Twice.", 3, [7, 7])
    stored = await conversation.memory.conversation("default")
    assert len(stored.exchanges) == 1


@each_agent
async def test_stopped_resume_is_remembered(agent: AgentKind) -> None:
    held = HeldTool()
    llm = ScriptedLLM(agent.calls(("held", {})))
    made = agent.make(llm, [replace(held.tool, requires_approval=True)], approve="defer")
    conversation = Conversation(made)
    await conversation.run("hi")
    control = RunControl()
    options = made.run_options()
    events = conversation._events(
        (), "default", options, control, await decisions(conversation, True)
    )
    seen = RunSeen(events)
    await held.running.wait()
    control.stop()
    await seen.over.wait()
    last = seen.events[-1]
    assert isinstance(last, Complete)
    assert last.finish_reason == "cancelled"
    assert "The run was stopped before this call ended" in str(await kept(conversation))


async def test_forgotten_run_cannot_be_resumed() -> None:
    agent = Function()
    conversation, payments = talking(agent, ScriptedLLM(agent.calls(PAY)), MemoryStore())
    await conversation.run("Pay 7")
    known = await decisions(conversation, True)
    await conversation.memory.forget("default")
    with pytest.raises(ConfigurationError, match="nothing to resume"):
        await conversation.resume(known)
    assert payments.paid == []


@each_agent
async def test_exported_conversation_waits_in_another_store(agent: AgentKind) -> None:
    llm = ScriptedLLM(agent.calls(PAY), agent.answers("Paid."))
    conversation, _ = talking(agent, llm, MemoryStore())
    await conversation.run("Pay 7")
    exported = await conversation.memory.export("default")
    other, payments = talking(agent, llm, MemoryStore())
    await other.memory.load("default", exported)
    result = await other.resume(await decisions(other, True))
    assert (result.output, payments.paid) == ("Paid.", [7])


async def test_agent_of_the_user_cannot_be_resumed() -> None:
    class Own:
        def run_stream(self, task: Any, /) -> Any:
            call = ToolCall("call_1", "pay", "{}")
            return rx.of(Complete("", finish_reason="approval", pending=(call,)))

    conversation = Conversation(Own())
    with pytest.raises(ConfigurationError, match="A run of Own cannot be resumed"):
        conversation.resume_stream({"call_1": True})
    with pytest.raises(ConfigurationError, match="use an approve function"):
        await conversation.run("hi")


@each_agent
def test_resumed_run_in_virtual_time(agent: AgentKind) -> None:
    tools = TimedTools()
    waiting = tools.taking("a", 10, requires_approval=True)
    llm = ScriptedLLM(agent.calls(("a", {})), agent.answers("done", delay=10))
    conversation = Conversation(agent.make(llm, [waiting], approve="defer"))
    ends: list[float] = []

    def run(stream: Any) -> list[Any]:
        scheduler = TestScheduler()
        observer: Any = scheduler.start(lambda: stream)
        last = observer.messages[-2]
        ends.append(last.time)
        return [last.value.value.finish_reason, last.value.value.pending]

    reason, pending = run(conversation.run_stream("hi"))
    assert reason == "approval"
    decided = dict.fromkeys((call.id for call in pending), True)
    assert run(conversation.resume_stream(decided)) == ["stop", ()]
    assert ends[1] == 200 + 10 + 10
    assert tools.ended == ["a"]


PROGRAM = """
    import asyncio, os, signal, sys
    from rxagents import Conversation, FunctionAgent, Memory, SQLiteStore, ToolCall, tool
    from rxagents.testing import Reply, ScriptedLLM

    @tool(requires_approval=True)
    async def pay() -> str:
        print("paying", flush=True)
        if sys.argv[2] == "resume and die":
            os.kill(os.getpid(), signal.SIGKILL)
        return "paid"

    async def main():
        reply = Reply(tool_calls=[ToolCall("call_1", "pay", "{}")])
        llm = ScriptedLLM(reply if sys.argv[2] == "ask and die" else "Paid.")
        memory = Memory(store=SQLiteStore(sys.argv[1]))
        conversation = Conversation(FunctionAgent(llm, [pay], approve="defer"), memory=memory)
        if sys.argv[2] == "ask and die":
            async def die(events):
                from rxagents import to_aiter
                async with to_aiter(events) as items:
                    async for event in items:
                        if event.type == "complete":
                            os.kill(os.getpid(), signal.SIGKILL)
            await die(conversation.run_stream("Pay"))
        print((await conversation.resume({"call_1": True})).output, flush=True)

    asyncio.run(main())
"""


@real_time
async def test_killed_processes_run_the_call_once(tmp_path: Path) -> None:
    path = str(tmp_path / "a.db")

    def run(what: str) -> tuple[int, str]:
        command = [sys.executable, "-c", textwrap.dedent(PROGRAM), path, what]
        with started(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
            assert process.stdout is not None
            output = process.stdout.read().decode()
        return process.returncode, output

    assert run("ask and die") == (-9, "")
    assert run("resume and die") == (-9, "paying\n")
    code, output = run("resume")
    assert (code, output) == (1, "")
    async with SQLiteStore(path) as store:
        read = await store.read("default")
        assert (read.exchanges, read.deferred) == ((), ())
