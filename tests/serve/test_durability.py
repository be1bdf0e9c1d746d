"""What a served run leaves in the log, and what another server makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any
from uuid import uuid4

import msgspec
import pytest
import reactivex as rx
from agent_runs import Calls, HeldTool
from log_stores import Clock, SlowStore
from msgspec.structs import replace
from observing import settle
from serving import Served, serving

from rxagents import (
    Checkpoint,
    Complete,
    EventLog,
    FunctionAgent,
    MemoryLogStore,
    Message,
    SQLiteLogStore,
    SQLiteStore,
    StorageError,
    Token,
    ToolCall,
    Usage,
)
from rxagents.agents.conversational import ConversationalAgent
from rxagents.agents.memory import Memory
from rxagents.runtime.event_log.log_store import LEASE_SECONDS, Begun
from rxagents.serve import ServeLimits
from rxagents.serve.app import RUNS
from rxagents.serve.kept_request import KeptRequest
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time

ASKS_WEATHER = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])
ASKS_HELD = Reply(tool_calls=[ToolCall("c", "held", "{}")])


async def started(server: Served, task: Any = "Oslo?", **headers: str) -> str:
    """Start a run, and return its id."""
    status, body = await server.post("/runs", {"task": task}, headers=headers)
    assert status == 201, body
    return str(body["id"])


async def checkpoint_of(server: Served, run_id: str) -> Checkpoint:
    checkpoint = await server.app[RUNS].log.checkpoint(run_id)
    assert checkpoint is not None
    return checkpoint


def kinds(frames: list[Any]) -> list[str]:
    return [frame.get("type", "") for frame in frames]


async def test_served_run_keeps_checkpoints() -> None:
    held = HeldTool()
    replies = replace(ASKS_HELD, usage=Usage(3, 2, 5)), Reply("Cold.", usage=Usage(4, 1, 5))
    async with serving(FunctionAgent(ScriptedLLM(*replies), [held.tool])) as server:
        run_id = await started(server, [{"role": "user", "content": "Oslo?"}])
        first = await checkpoint_of(server, run_id)
        assert first.request == {"task": [{"role": "user", "content": "Oslo?"}]}
        await held.running.wait()
        held.release.set()
        await server.frames(f"/runs/{run_id}/events")
        last = await checkpoint_of(server, run_id)
        assert [message.role for message in last.messages] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]
        assert last.messages[-1].text == "Cold."
        assert last.usage is not None
        assert (last.usage.total_tokens, last.iterations, last.tool_calls) == (10, 2, 1)
        assert last.request == first.request


async def test_resumed_run_keeps_checkpoints() -> None:
    weather = replace(Calls().weather(), requires_approval=True)
    agent = FunctionAgent(ScriptedLLM(ASKS_WEATHER, "Cold."), [weather], approve="defer")
    async with serving(agent) as server:
        run_id = await started(server)
        await server.frames(f"/runs/{run_id}/events")
        body = {"decisions": {"c": {"approved": True}}}
        _, resumed = await server.post(f"/runs/{run_id}/approve", body)
        await server.frames(f"/runs/{resumed['id']}/events")
        checkpoint = await checkpoint_of(server, resumed["id"])
        assert checkpoint.messages[-1].text == "Cold."
        request = KeptRequest.of(checkpoint)
        assert request is not None
        assert [call.id for call in request.messages[-1].tool_calls] == ["c"]


async def test_agent_without_checkpoints_keeps_its_request() -> None:
    class Plain:
        def run_stream(self, task: Any) -> Any:
            return rx.of(Token(str(task)), Complete(str(task)))

    async with serving(Plain()) as server:
        run_id = await started(server, "hi")
        await server.frames(f"/runs/{run_id}/events")
        assert await checkpoint_of(server, run_id) == Checkpoint(
            (), request={"task": "hi"}, after=""
        )


async def test_run_that_cannot_be_kept_is_not_started() -> None:
    class Full(MemoryLogStore):
        def begin(self, key: str) -> Begun:
            raise StorageError("The disk is full.")

    llm = ScriptedLLM("never")
    async with serving(FunctionAgent(llm), log=EventLog(Full())) as server:
        status, body = await server.post("/runs", {"task": "hi"})
        assert (status, body["error"]["type"]) == (502, "StorageError")
        assert llm.requests == []
        await settle()
        assert server.app[RUNS].going_on == 0


async def test_run_starts_once_the_log_has_it() -> None:
    store, llm = SlowStore(), ScriptedLLM("Cold.")
    async with serving(FunctionAgent(llm), log=EventLog(store)) as server:
        asking = asyncio.create_task(started(server))
        while not store.waiting:
            await settle()
        assert (llm.requests, asking.done()) == ([], False)
        store.answer()
        run_id = await asking
        while server.app[RUNS].goes_on(run_id):
            store.answer(len(store.waiting))
            await asyncio.sleep(0.001)
        assert len(llm.requests) == 1


# -- asking again with an Idempotency-Key


async def test_request_that_comes_again_starts_no_run(tmp_path: Path) -> None:
    llm, key = ScriptedLLM("one", "two"), str(uuid4())
    log = EventLog(SQLiteLogStore(tmp_path / "log.db"))
    async with serving(FunctionAgent(llm), log=log) as server:
        ids = await asyncio.gather(*[started(server, **{"Idempotency-Key": key}) for _ in range(3)])
        await server.frames(f"/runs/{ids[0]}/events")
        ids.append(await started(server, **{"Idempotency-Key": key}))
        assert len(set(ids)) == 1
        assert len(llm.requests) == 1
        assert await started(server, **{"Idempotency-Key": str(uuid4())}) not in ids


async def test_client_that_was_cut_asks_again() -> None:
    store, llm, headers = SlowStore(), ScriptedLLM("Cold."), {"Idempotency-Key": str(uuid4())}
    async with serving(FunctionAgent(llm), log=EventLog(store)) as server:
        asking = asyncio.create_task(started(server, **headers))
        while not store.waiting:
            await settle()
        asking.cancel()
        await asyncio.wait([asking])
        again = asyncio.create_task(started(server, **headers))
        while not again.done():
            store.answer(len(store.waiting))
            await asyncio.sleep(0.001)
        while server.app[RUNS].going_on:
            store.answer(len(store.waiting))
            await asyncio.sleep(0.001)
        assert len(llm.requests) == 1
        frames = await server.frames(f"/runs/{again.result()}/events")
        assert "Cold." in [frame.get("content") for frame in frames]


async def test_key_is_known_to_another_server(tmp_path: Path) -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    ids = []
    for llm in (ScriptedLLM("one"), ScriptedLLM("two")):
        log = EventLog(SQLiteLogStore(tmp_path / "log.db"))
        async with serving(FunctionAgent(llm), log=log) as server:
            ids.append(await started(server, **headers))
            frames = await server.frames(f"/runs/{ids[-1]}/events")
            assert frames[-2]["content"] == "one"
    assert ids[0] == ids[1]


async def test_key_of_another_request_is_refused() -> None:
    headers = {"Idempotency-Key": str(uuid4())}
    async with serving(FunctionAgent(ScriptedLLM("one"))) as server:
        await started(server, "one", **headers)
        status, body = await server.post("/runs", {"task": "two"}, headers=headers)
        assert (status, body["error"]["type"]) == (422, "RequestError")


@pytest.mark.parametrize("key", ["1", "x" * 15, "x" * 256, "with a space in it"])
async def test_key_that_can_be_guessed_is_refused(key: str) -> None:
    async with serving(FunctionAgent(ScriptedLLM("one"))) as server:
        status, body = await server.post("/runs", {"task": "hi"}, headers={"Idempotency-Key": key})
        assert status == 400
        assert "Idempotency-Key must" in body["error"]["message"]


# -- asking lost runs again


class Lost:
    """A log with runs whose process is gone."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryLogStore(clock=self.clock)
        self.log = EventLog(self.store)

    def leave(self, run_id: str, request: Any, token: str = "Half of") -> None:
        """Write the beginning of a run as a process does that is killed then."""
        begun = self.store.begin(run_id)
        data = msgspec.json.encode(Checkpoint((), request=request))
        self.store.save(run_id, begun.token, data)
        line = msgspec.json.encode({"at": 0.0, "item": Token(token)})
        self.store.append(run_id, begun.token, 1, [line], ends=False)

    def lose(self) -> None:
        """Let all leases run out."""
        self.clock.now += LEASE_SECONDS + 1


def texts(frames: list[Any]) -> list[str]:
    return [frame["content"] for frame in frames if frame.get("type") == "token"]


async def test_lost_run_is_asked_again_at_start() -> None:
    lost, llm = Lost(), ScriptedLLM(ASKS_WEATHER, "Cold.")
    lost.leave("run_1", {"task": "Oslo?"})
    lost.lose()
    async with serving(FunctionAgent(llm, [Calls().weather()]), log=lost.log, rerun=True) as server:
        assert server.app[RUNS].started == 1
        frames = await server.frames("/runs/run_1/events")
        assert kinds(frames)[:3] == ["token", "reset", "turn_start"]
        assert frames[1]["scope"] == "run"
        assert frames[1]["error"]["kind"] == "RunInterruptedError"
        assert "".join(texts(frames)[1:]) == "Cold."
        assert [message.text for message in llm.requests[0].messages] == ["Oslo?"]
        request = KeptRequest.of(await checkpoint_of(server, "run_1"))
        assert request is not None
        assert request.losses == 1


async def test_lost_run_goes_on_after_its_tools() -> None:
    lost, llm, calls = Lost(), ScriptedLLM("Cold."), Calls()
    begun = lost.store.begin("run_1")
    checkpoint = Checkpoint(
        (Message.user("Oslo?"),),
        (
            Message.assistant(ToolCall("c", "weather", '{"city": "Oslo"}')),
            Message.tool("c", "-3 degrees", name="weather"),
        ),
        iterations=1,
        tool_calls=1,
        request={"task": "Oslo?"},
    )
    lost.store.save("run_1", begun.token, msgspec.json.encode(checkpoint))
    lost.lose()
    async with serving(FunctionAgent(llm, [calls.weather()]), log=lost.log, rerun=True) as server:
        frames = await server.frames("/runs/run_1/events")
        assert kinds(frames)[:5] == ["reset", "tool_start", "tool_end", "turn_end", "turn_start"]
        assert frames[0]["scope"] == "turn"
        assert llm.requests[0].messages[-1] == Message.tool("c", "-3 degrees", name="weather")
        assert (await checkpoint_of(server, "run_1")).messages[-1].text == "Cold."


async def test_reader_goes_on_with_the_next_attempt() -> None:
    lost = Lost()
    agent = FunctionAgent(ScriptedLLM("Cold."))
    async with serving(agent, log=lost.log, rerun=True) as server:
        lost.leave("run_1", {"task": "Oslo?"})
        lost.lose()
        async with asyncio.timeout(4):  # the server itself looks after 5 s only
            frames = await server.frames("/runs/run_1/events")
        assert kinds(frames)[:3] == ["token", "reset", "turn_start"]
        assert kinds(frames)[-2] == "complete"


async def test_lost_run_is_only_marked_without_rerun() -> None:
    lost, llm = Lost(), ScriptedLLM("never")
    lost.leave("run_1", {"task": "Oslo?"})
    lost.lose()
    async with serving(FunctionAgent(llm), log=lost.log) as server:
        frames = await server.frames("/runs/run_1/events")
        assert kinds(frames) == ["token", "error", ""]
        assert llm.requests == []


@pytest.mark.parametrize(
    "request_",
    [None, {"other": 1}, {"task": 3}, {"task": "Oslo?", "losses": 3}, {"task": []}],
    ids=["none", "unknown", "wrong type", "often lost", "refused"],
)
async def test_run_that_cannot_be_asked_again_is_marked(request_: Any) -> None:
    lost, llm = Lost(), ScriptedLLM("never")
    lost.leave("run_1", request_)
    lost.lose()
    async with serving(FunctionAgent(llm), log=lost.log, rerun=True) as server:
        frames = await server.frames("/runs/run_1/events")
        assert kinds(frames) == ["token", "error", ""]
        assert frames[1]["error"]["kind"] == "RunInterruptedError"
        assert llm.requests == []


async def test_lost_runs_wait_for_room() -> None:
    lost, held = Lost(), HeldTool()
    for number in range(3):
        lost.leave(f"run_{number}", {"task": "Oslo?"})
    lost.lose()
    agent = FunctionAgent(ScriptedLLM(*[ASKS_HELD] * 3, *["Cold."] * 3), [held.tool])
    limits = ServeLimits(runs=2)
    async with serving(agent, log=lost.log, rerun=True, limits=limits) as server:
        assert [await server.app[RUNS].log.lost()] == [["run_2"]]
        held.release.set()
        frames = await asyncio.gather(*[server.frames(f"/runs/run_{n}/events") for n in range(3)])
        assert [kinds(each)[-2] for each in frames] == ["complete"] * 3


async def test_decisions_of_a_lost_run_are_asked_again() -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    agent = FunctionAgent(ScriptedLLM(ASKS_WEATHER), [weather], approve="defer")
    waiting = await agent.run("Oslo?")
    lost = Lost()
    request = KeptRequest("", None, {"c": True}, waiting.messages)
    lost.leave("run_1", msgspec.to_builtins(request))
    lost.lose()
    agent = FunctionAgent(ScriptedLLM("Cold."), [weather], approve="defer")
    async with serving(agent, log=lost.log, rerun=True) as server:
        frames = await server.frames("/runs/run_1/events")
        assert frames[-2]["content"] == "Cold."
        assert calls.made == [("weather", {"city": "Oslo", "days": 1})]


async def test_lost_run_of_a_conversation_is_asked_again(tmp_path: Path) -> None:
    lost = Lost()
    async with SQLiteStore(tmp_path / "talk.db") as store:
        llm = ScriptedLLM("one", "two")
        agent = ConversationalAgent(llm, memory=Memory(store=store))
        await agent.run("First.", "talk")
        lost.leave("run_1", {"task": "Second.", "conversation_id": "talk"})
        lost.lose()
        async with serving(agent, log=lost.log, rerun=True) as server:
            frames = await server.frames("/runs/run_1/events")
            assert frames[-2]["content"] == "two"
        said = [message.text for message in llm.requests[1].messages if message.role != "system"]
        assert said == ["First.", "one", "Second."]
        assert "Second." in await agent.memory.export("talk")


async def test_run_that_another_server_has_is_left_to_it() -> None:
    class Late(MemoryLogStore):
        """Returns a run as lost that another server has taken meanwhile."""

        def lost(self) -> list[str]:
            return ["run_1"]

    lost, llm = Lost(), ScriptedLLM("never")
    lost.log.store = lost.store = Late()
    lost.leave("run_1", {"task": "Oslo?"})
    async with serving(FunctionAgent(llm), log=lost.log, rerun=True) as server:
        assert server.app[RUNS].going_on == 0
        page = lost.store.read("run_1", None, 10)
        assert (len(page.entries), page.state) == (1, "live")


async def test_run_that_pauses_here_is_not_asked_again() -> None:
    lost, held = Lost(), HeldTool()
    llm = ScriptedLLM(ASKS_HELD, "Cold.")
    async with serving(FunctionAgent(llm, [held.tool]), log=lost.log, rerun=True) as server:
        run_id = await started(server)
        await held.running.wait()
        lost.lose()  # as after a pause of the process: it still goes on
        asking = asyncio.create_task(server.frames(f"/runs/{run_id}/events"))
        await asyncio.sleep(0.05)
        held.release.set()
        frames = await asking
        assert kinds(frames)[-2] == "complete"
        assert "reset" not in kinds(frames)
        assert len(llm.requests) == 2


AGUI = {"threadId": "t", "runId": "r", "messages": [{"id": "1", "role": "user", "content": "hi"}]}


@pytest.mark.parametrize(("query", "is_kept"), [("", False), ("?keep=true", True)])
async def test_run_that_ends_with_its_client_is_not_repeated(query: str, is_kept: bool) -> None:
    lost, held = Lost(), HeldTool()
    agent = FunctionAgent(ScriptedLLM(ASKS_HELD, "Cold."), [held.tool])
    async with serving(agent, log=lost.log) as server:
        asking = asyncio.create_task(server.frames(f"/agui{query}", AGUI))
        await held.running.wait()
        [run_id] = server.app[RUNS]._kept
        request = KeptRequest.of(await lost.log.checkpoint(run_id))
        assert (request is not None) is is_kept
        held.release.set()
        await asking


async def test_client_that_leaves_while_the_log_is_slow_ends_its_run() -> None:
    store, llm = SlowStore(), ScriptedLLM(Reply("never", delay=60))
    async with serving(FunctionAgent(llm), log=EventLog(store)) as server:
        asking = asyncio.create_task(server.post("/agui", AGUI))
        while not store.waiting:
            await settle()
        asking.cancel()
        await asyncio.wait([asking])
        while server.app[RUNS].going_on:
            store.answer(len(store.waiting))
            await asyncio.sleep(0.001)
        assert llm.requests == []
