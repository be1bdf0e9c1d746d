"""Durable runs whose process dies before a write to its log, at one write after the other."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeAlias

import pytest
from log_stores import Clock
from matrix import only_full, size
from msgspec.structs import replace
from observing import Seen
from watched_store import WatchedStore

from rxagents import (
    AgentResult,
    Complete,
    ConfigurationError,
    Conversation,
    ConversationalAgent,
    EventLog,
    FunctionAgent,
    Memory,
    MemoryLogStore,
    MemoryStore,
    Message,
    ReActAgent,
    Reset,
    StorageError,
    ToolCall,
    ToolContext,
    ToolEnd,
    ToolResult,
    Usage,
    from_log,
    tool,
)
from rxagents.runtime.event_log.log_store import LEASE_SECONDS
from rxagents.testing import Reply, ScriptedLLM

USED = Usage(input_tokens=3, output_tokens=2, total_tokens=5)


class World:
    """What is outside of the processes: the tools' effects, by the ids of their calls."""

    def __init__(self) -> None:
        self.began: Counter[str] = Counter()
        self.has_begun = asyncio.Event()

        @tool
        async def pay(context: ToolContext) -> str:
            """Pay."""
            return await self._act("pay", context)

        @tool(idempotent=True)
        async def look(context: ToolContext) -> str:
            """Look."""
            return await self._act("look", context)

        @tool
        async def fail(context: ToolContext) -> str:
            """Fail."""
            await self._act("fail", context)
            raise ValueError("no luck")

        self.tools = [pay, look, fail]

    async def _act(self, name: str, context: ToolContext) -> str:
        place = f"{name} {context.call_id}"
        self.began[place] += 1
        self.has_begun.set()
        await asyncio.sleep(0.5)
        return f"{name} done"


class ByMessages:
    """Replies by what the messages have, as a new process has no memory of its own.

    Args:
        reply: Returns the reply to the number of messages of the model in the request.
    """

    def __init__(self, reply: Callable[[int, Sequence[Message]], Reply]) -> None:
        self._reply = reply

    def chat_stream(self, messages: Any, tools: Any = None, **settings: Any) -> Any:
        reply = self._reply(sum(each.role == "assistant" for each in messages), messages)
        return ScriptedLLM(reply).chat_stream(messages, tools, **settings)


def model_of(reply: Callable[[int, Sequence[Message]], Reply]) -> Any:
    return ByMessages(reply)


def calling(turn: int, *names: str) -> Reply:
    calls = [ToolCall(f"call_{turn}_{n}", name, "{}") for n, name in enumerate(names)]
    return Reply(f"Turn {turn}. ", tool_calls=calls, usage=USED, interval=0.1)


def answer(text: str = "All is done.") -> Reply:
    return Reply(text, usage=USED, interval=0.1)


def three_turns(turn: int, _: Sequence[Message]) -> Reply:
    match turn:
        case 0:
            return calling(0, "pay", "look", "fail")
        case 1:
            return calling(1, "look")
        case 2:
            return calling(2, "pay", "pay")
        case _:
            return answer()


def check_messages(messages: Sequence[Message]) -> None:
    """Check that each call has one result, after the message with the calls."""
    calls = [call.id for each in messages for call in each.tool_calls]
    results = [p.call_id for each in messages for p in each.parts if isinstance(p, ToolResult)]
    assert sorted(calls) == sorted(results)
    assert len(calls) == len(set(calls))


def react_turns(turn: int, _: Sequence[Message]) -> Reply:
    match turn:
        case 0:
            text = "Thought: First.\nAction: pay()\nAction: look()\nAction: fail()\n"
        case 1:
            text = "Thought: Second.\nAction: look()\n"
        case 2:
            text = "Thought: Third.\nAction: pay()\n"
        case _:
            text = "Thought: Done.\nAnswer: All is done."
    return Reply(text, usage=USED, interval=0.1)


def handing_turns(turn: int, _: Sequence[Message]) -> Reply:
    match turn:
        case 0:
            return calling(0, "look", "to_expert", "pay")
        case 1:
            return calling(1, "pay", "back")
        case 2:
            return calling(2, "fail")
        case _:
            return answer()


def handing(world: World) -> Any:
    expert = FunctionAgent(model_of(handing_turns), world.tools, system_prompt="Expert.")
    first = FunctionAgent(
        model_of(handing_turns), [*world.tools, expert.as_handoff("to_expert", "x")]
    )
    expert.add_tool(first.as_handoff("back", "y"))
    return first


def outer_turns(turn: int, _: Sequence[Message]) -> Reply:
    match turn:
        case 0:
            return Reply(tool_calls=[ToolCall("sub", "ask", '{"task": "Do it."}')], usage=USED)
        case 1:
            return calling(7, "pay")
        case _:
            return answer()


def nested(world: World) -> Any:
    inner = FunctionAgent(model_of(three_turns), world.tools)
    return FunctionAgent(model_of(outer_turns), [*world.tools, inner.as_tool("ask", "Asks.")])


def typed_turns(turn: int, messages: Sequence[Message]) -> Reply:
    match turn:
        case 0:
            return calling(0, "pay")
        case 1:
            return answer("no JSON")
        case 2:
            return calling(2, "look")
        case _:
            return answer('{"value": [1, 2]}')


def approving(world: World) -> Any:
    tools = [replace(each, requires_approval=True) for each in world.tools]
    return FunctionAgent(model_of(three_turns), tools, approve=lambda _: True)


def at_turn_end(world: World) -> Any:
    return FunctionAgent(model_of(three_turns), world.tools, start_tools="turn_end")


def one_by_one(world: World) -> Any:
    return FunctionAgent(model_of(three_turns), world.tools, tool_concurrency=1)


KINDS: dict[str, Callable[[World], Any]] = {
    "function": lambda world: FunctionAgent(model_of(three_turns), world.tools),
    "react": lambda world: ReActAgent(model_of(react_turns), world.tools),
    "one by one": one_by_one,
    "at turn end": at_turn_end,
    "handoffs": handing,
    "sub-agent": nested,
    "output type": lambda world: FunctionAgent(
        model_of(typed_turns), world.tools, output_type=list[int]
    ),
    "approval": approving,
}

each_kind = pytest.mark.parametrize(
    "kind",
    [pytest.param(kind, marks=() if n < 2 else only_full) for n, kind in enumerate(KINDS)],
)


Start: TypeAlias = Callable[[EventLog], Any]
"""Starts a run, or goes on with it; returns a handle with `result` or `wait`."""


class Processes:
    """The processes of one run, one after the other, and the log that they share.

    Args:
        start: Starts the run in each process.

    Attributes:
        process: The store of the newest process.
    """

    def __init__(self, start: Start) -> None:
        self._clock = Clock()
        self.store = MemoryLogStore(clock=self._clock)
        self._start = start
        self.process: Any = None

    async def die(self, writes: int) -> bool:
        """Start a process that dies before a write; return whether it came so far."""
        process = self.process = WatchedStore(self.store, writes)
        log = EventLog(process)
        handle = self._start(log)
        with suppress(StorageError):
            await (handle.result if hasattr(handle, "result") else handle.wait())
        await log.aclose()
        self._clock.now += LEASE_SECONDS + 1
        return process.has_acted

    async def end(self) -> tuple[Any, list[Any]]:
        """Start a process that lives; return what its handle returns, and all events."""
        log = EventLog(self.store)
        handle = self._start(log)
        result = await (handle.result if hasattr(handle, "result") else handle.wait())
        seen = Seen(from_log(log, "run"))
        await seen.over.wait()
        assert seen.completed
        await log.aclose()
        return result, [entry.item for entry in seen.items]


def check_events(events: Sequence[Any]) -> None:
    """Check that no call of the last attempt has ended twice."""
    assert isinstance(events[-1], Complete)
    last = max((n for n, event in enumerate(events) if isinstance(event, Reset)), default=-1)
    ends = Counter(event.call_id for event in events[last + 1 :] if isinstance(event, ToolEnd))
    assert set(ends.values()) <= {1}


def check_run(world: World, result: AgentResult[Any], events: Sequence[Any]) -> None:
    check_messages(result.messages)
    check_events(events)
    assert result.output in ("All is done.", [1, 2])
    assert {n for place, n in world.began.items() if not place.startswith("look")} <= {1}


def started_by(agent: Any) -> Start:
    return lambda log: agent.start("Do it.", log=log, key="run")


@each_kind
async def test_killed_between_writes(kind: str) -> None:
    number, is_dead = 0, True
    while is_dead:
        world = World()
        agent = KINDS[kind](world)
        processes = Processes(started_by(agent))
        is_dead = await processes.die(number)
        check_run(world, *await processes.end())
        number += size(4, quick=9)
    assert number > 30


@only_full
@each_kind
async def test_killed_several_times(kind: str) -> None:
    rng = random.Random(1)
    for _ in range(5):
        world = World()
        agent = KINDS[kind](world)
        processes = Processes(started_by(agent))
        for _ in range(rng.randint(2, 4)):
            await processes.die(rng.randrange(40))
        check_run(world, *await processes.end())


def deferring(world: World) -> Any:
    tools = [replace(each, requires_approval=each.name != "look") for each in world.tools]
    return FunctionAgent(model_of(deferred_turns), tools, approve="defer")


def deferred_turns(turn: int, messages: Sequence[Message]) -> Reply:
    return three_turns(turn, messages) if turn < 2 else answer()


class Deferred:
    """A run that waits for decisions.

    Args:
        world: Its tools.
        result: Its result.
        deny: The calls that are denied.
    """

    def __init__(
        self, world: World, result: AgentResult[Any], deny: Sequence[str] = ("call_0_2",)
    ) -> None:
        self._agent = deferring(world)
        self._messages = result.messages
        self.decisions = {call.id: call.id not in deny for call in result.pending}

    def resume(self, log: EventLog) -> Any:
        return self._agent.start_resumed(self._messages, self.decisions, log=log, key="run")


async def test_decided_calls_run_once_after_each_kill() -> None:
    number, is_dead = 0, True
    while is_dead:
        world = World()
        run = Deferred(world, await deferring(world).run("Do it."))
        processes = Processes(run.resume)
        is_dead = await processes.die(number)
        result, events = await processes.end()
        check_run(world, result, events)
        asked = [call.id for each in result.messages for call in each.tool_calls]
        assert asked[:3] == ["call_0_0", "call_0_1", "call_0_2"]
        assert world.began["fail call_0_2"] == 0
        text = "\n".join(str(each) for each in result.messages)
        assert "was not approved" in text
        assert world.began["pay call_0_0"] == 1 or "outcome unknown" in text
        assert world.began["look call_0_1"] == 1
        assert result.iterations == 3
        assert result.usage is not None
        assert result.usage.total_tokens in (10, 15)  # a lost turn has none
        number += size(2, quick=3)
    assert number > 20


async def test_decided_calls_that_did_not_start_are_not_forgotten() -> None:
    world = World()
    run = Deferred(world, await deferring(world).run("Do it."), deny=())
    processes, writes = Processes(run.resume), 0
    while b"call_0_0" not in getattr(processes.store.saved("run"), "data", b""):
        writes += 1
        processes = Processes(run.resume)
        assert await processes.die(writes)
    assert world.began.total() == 1  # only `look`, in the run before
    await processes.end()
    assert (world.began["pay call_0_0"], world.began["fail call_0_2"]) == (0, 1)


async def test_resumed_run_that_has_completed_is_in_log() -> None:
    world = World()
    run = Deferred(world, await deferring(world).run("Do it."))
    processes = Processes(run.resume)
    result, events = await processes.end()
    assert await processes.end() == (result, events)
    assert world.began["pay call_0_0"] == 1


async def test_run_is_resumed_under_key_of_its_own() -> None:
    agent = deferring(World())
    async with EventLog() as log:
        waiting = await agent.start("Do it.", log=log, key="run").result
        decisions = {call.id: True for call in waiting.pending}
        with pytest.raises(ConfigurationError, match="under a key of its own"):
            await agent.start_resumed(waiting.messages, decisions, log=log, key="run").result
        stream = agent.resume_stream(waiting.messages, decisions)
        await log.start("run", stream, durable=True).wait()
        seen = Seen(from_log(log, "run"))
        await seen.over.wait()
        assert isinstance(seen.error, ConfigurationError)


async def die_after(world: World, act: Callable[[Any], None]) -> Processes:
    """Let a process die whose last write is what `act` lets it write while tools run."""
    agent = FunctionAgent(model_of(three_turns), world.tools)
    runs: list[Any] = []

    def start(log: EventLog) -> Any:
        runs.append(agent.start("Do it.", log=log, key="run"))
        return runs[-1]

    processes = Processes(start)
    dying = asyncio.ensure_future(processes.die(1000))
    await world.has_begun.wait()
    processes.process.left = 1  # the last write
    act(runs[0])
    assert await dying
    return processes


async def test_message_from_outside_outlasts_process() -> None:
    processes = await die_after(World(), lambda run: run.steer("Be quick."))
    result, _ = await processes.end()
    assert [each.text for each in result.messages if each.role == "user"] == [
        "Do it.",
        "Be quick.",
    ]


async def test_run_that_was_stopped_stays_stopped() -> None:
    world = World()
    processes = await die_after(world, lambda run: run.stop())
    began = world.began.total()
    result, _ = await processes.end()
    assert (result.finish_reason, result.iterations) == ("cancelled", 1)
    check_messages(result.messages)
    assert world.began.total() == began


def said_in(agent: Conversation[str]) -> Start:
    return lambda log: log.start("run", agent.run_stream("Do it."), durable=True)


async def test_conversation_keeps_one_exchange_after_each_kill() -> None:
    number, is_dead = 0, True
    while is_dead:
        world, memory = World(), Memory(store=MemoryStore())
        agent = ConversationalAgent(model_of(three_turns), world.tools, memory=memory)
        processes = Processes(said_in(agent))
        is_dead = await processes.die(number)
        _, events = await processes.end()
        check_events(events)
        kept = await memory.conversation("default")
        assert [exchange[0].text for exchange in kept.exchanges] == ["Do it."]
        check_messages(kept.exchanges[0])
        assert {n for place, n in world.began.items() if not place.startswith("look")} <= {1}
        number += size(4, quick=9)
    assert number > 30


@pytest.mark.parametrize("waits", [False, True], ids=["answered", "waiting"])
async def test_exchange_that_was_stored_is_not_stored_again(waits: bool) -> None:
    """The process dies between the change of the memory and the end mark in the log."""
    writes, kept = 0, ""
    while not kept:
        memory = Memory(store=MemoryStore())
        if waits:
            agent = Conversation(deferring(World()), memory=memory)
        else:
            agent = ConversationalAgent(model_of(lambda *_: answer()), memory=memory)
        processes = Processes(said_in(agent))
        assert await processes.die(writes)
        kept = str(await memory.conversation("default"))
        kept = kept if "Do it." in kept else ""
        writes += 1
    _, events = await processes.end()
    assert str(await memory.conversation("default")) == kept
    assert events[-1].finish_reason == ("approval" if waits else "stop")
