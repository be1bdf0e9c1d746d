"""Runs that readers join, leave and come back to, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from agent_runs import Calls, HeldTool, served
from msgspec.structs import replace
from serving import Served, serving
from wires import WIRES, SpokenWire

from rxagents import ConversationalAgent, FunctionAgent, ToolCall
from rxagents.serve import ServeLimits
from rxagents.serve.app import RUNS
from rxagents.testing import Ending, Reply, ScriptedLLM

pytestmark = pytest.mark.real_time
two_wires = pytest.mark.parametrize("wire", WIRES[:2], ids=lambda wire: wire.name)

ASKS = Reply(tool_calls=[ToolCall("c", "held", "{}")])


def kinds(frames: list[Any]) -> list[str]:
    return [frame.get("type", "") for frame in frames]


@two_wires
async def test_run_is_read_to_its_end(wire: SpokenWire) -> None:
    asks = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])
    async with served(wire, asks, "Cold.") as (_, llm):
        async with serving(FunctionAgent(llm, [Calls().weather()])) as server:
            status, body = await server.post("/runs", {"task": "Oslo?"})
            assert status == 201
            frames = await server.frames(f"/runs/{body['id']}/events")
            assert kinds(frames)[0] == "turn_start"
            assert kinds(frames)[-2:] == ["complete", ""]
            assert frames[-2]["content"] == "Cold."
            assert await server.frames(f"/runs/{body['id']}/events") == frames


async def test_reader_comes_back() -> None:
    agent = FunctionAgent(ScriptedLLM(Reply("one two three four", interval=0.02)))
    async with serving(agent) as server:
        _, body = await server.post("/runs", {"task": "Count."})
        path = f"/runs/{body['id']}/events"
        async with server.session.get(path) as response:
            assert await response.content.readuntil(b"\n\n") == b"retry: 1000\n\n"
            first = await response.content.readuntil(b"\n\n")
        last_id = first.split(b"\n")[0].removeprefix(b"id: ").decode()
        whole = await server.frames(path)
        assert await server.frames(path, headers={"Last-Event-ID": last_id}) == whole[1:]
        last = f"1-{len(whole) - 1}"
        assert (await server.get(path, headers={"Last-Event-ID": last}))[0] == 204


async def test_reader_that_leaves_does_not_stop_the_run() -> None:
    held = HeldTool()
    async with serving(FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool])) as server:
        _, body = await server.post("/runs", {"task": "hi"})
        path = f"/runs/{body['id']}/events"
        async with server.session.get(path):
            await held.running.wait()
        held.release.set()
        assert "Done." in [frame.get("content") for frame in await server.frames(path)]
        assert not held.cancelled.is_set()


@two_wires
async def test_stop_closes_the_request(wire: SpokenWire) -> None:
    stalled = Reply("one two three", ending=Ending.STALL, cut_after=5)
    async with served(wire, stalled) as (provider, llm):
        async with serving(FunctionAgent(llm)) as server:
            _, body = await server.post("/runs", {"task": "hi"})
            await provider.received()
            assert (await server.post(f"/runs/{body['id']}/stop"))[0] == 202
            await provider.disconnected()
            frames = await server.frames(f"/runs/{body['id']}/events")
            assert frames[-2]["finish_reason"] == "cancelled"


async def test_steer_reaches_the_model() -> None:
    held = HeldTool()
    llm = ScriptedLLM(ASKS, "Wet.")
    async with serving(FunctionAgent(llm, [held.tool])) as server:
        _, body = await server.post("/runs", {"task": "Oslo?"})
        await held.running.wait()
        status, _ = await server.post(f"/runs/{body['id']}/steer", {"text": "No, Bergen."})
        assert status == 202
        held.release.set()
        await server.frames(f"/runs/{body['id']}/events")
        assert "No, Bergen." in str(llm.requests[1].messages)


async def test_waiting_calls_are_approved() -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')]), "Cold.")
    async with serving(FunctionAgent(llm, [weather], approve="defer")) as server:
        _, body = await server.post("/runs", {"task": "Oslo?"})
        frames = await server.frames(f"/runs/{body['id']}/events")
        assert frames[-2]["finish_reason"] == "approval"
        [waiting] = frames[-2]["pending"]
        decision = {"approved": True, "arguments": {"city": "Bergen"}}
        path = f"/runs/{body['id']}/approve"
        status, resumed = await server.post(path, {"decisions": {waiting["id"]: decision}})
        assert status == 201
        frames = await server.frames(f"/runs/{resumed['id']}/events")
        assert frames[-2]["content"] == "Cold."
        assert calls.made == [("weather", {"city": "Bergen", "days": 1})]


async def test_reader_who_comes_back_learns_of_a_stop() -> None:
    held = HeldTool()
    async with serving(FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool])) as server:
        _, body = await server.post("/runs", {"task": "hi"})
        path = f"/runs/{body['id']}/events"
        await held.running.wait()
        assert server.app[RUNS].log.stop(body["id"])
        _, text = await server.get(path)
        *_, last = [line[4:] for line in text.split("\n") if line.startswith("id: ")]
        status, rest = await server.get(path, headers={"Last-Event-ID": last})
        assert status == 200
        assert "StreamCancelledError" in rest


async def test_run_that_the_log_leaves_ends() -> None:
    held = HeldTool()
    async with serving(FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool])) as server:
        _, body = await server.post("/runs", {"task": "hi"})
        await held.running.wait()
        assert server.app[RUNS].log.stop(body["id"])
        await asyncio.wait_for(held.cancelled.wait(), 5)


async def approve_all(server: Served, run_id: str) -> str:
    """Approve the calls that wait, and return the id of the run that goes on."""
    frames = await server.frames(f"/runs/{run_id}/events")
    assert frames[-2]["finish_reason"] == "approval"
    decisions = {each["id"]: {"approved": True} for each in frames[-2]["pending"]}
    status, resumed = await server.post(f"/runs/{run_id}/approve", {"decisions": decisions})
    assert status == 201
    return str(resumed["id"])


@pytest.mark.parametrize("kind", [FunctionAgent, ConversationalAgent])
async def test_resumed_run_waits_again(kind: Any) -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    asks = [
        Reply(tool_calls=[ToolCall(f"c{city}", "weather", f'{{"city": "{city}"}}')])
        for city in ("Oslo", "Rome")
    ]
    agent = kind(ScriptedLLM(*asks, "Both."), [weather], approve="defer")
    async with serving(agent) as server:
        _, body = await server.post("/runs", {"task": "Oslo and Rome?"})
        run_id = await approve_all(server, await approve_all(server, body["id"]))
        frames = await server.frames(f"/runs/{run_id}/events")
        assert frames[-2]["content"] == "Both."
        assert [arguments["city"] for _, arguments in calls.made] == ["Oslo", "Rome"]


async def test_wrong_decisions_leave_the_run_waiting() -> None:
    weather = replace(Calls().weather(), requires_approval=True)
    asks = Reply(tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])
    async with serving(
        FunctionAgent(ScriptedLLM(asks, "Cold."), [weather], approve="defer")
    ) as server:
        _, body = await server.post("/runs", {"task": "Oslo?"})
        await server.frames(f"/runs/{body['id']}/events")
        wrong = {"decisions": {"other": {"approved": True}}}
        assert (await server.post(f"/runs/{body['id']}/approve", wrong))[0] == 400
        run_id = await approve_all(server, body["id"])
        assert (await server.frames(f"/runs/{run_id}/events"))[-2]["content"] == "Cold."
        again = await server.post(f"/runs/{body['id']}/approve", wrong)
        assert again[0] == 404


async def test_resumed_run_is_stopped_and_steered() -> None:
    held = HeldTool()
    waiting = replace(Calls().weather(), requires_approval=True)
    asks = Reply(tool_calls=[ToolCall("c1", "weather", '{"city": "Oslo"}')])
    llm = ScriptedLLM(asks, ASKS, "Never.")
    async with serving(FunctionAgent(llm, [waiting, held.tool], approve="defer")) as server:
        _, body = await server.post("/runs", {"task": "Oslo?"})
        run_id = await approve_all(server, body["id"])
        await held.running.wait()
        assert (await server.post(f"/runs/{run_id}/steer", {"text": "Hurry."}))[0] == 202
        assert (await server.post(f"/runs/{run_id}/stop"))[0] == 202
        frames = await server.frames(f"/runs/{run_id}/events")
        assert frames[-2]["finish_reason"] == "cancelled"


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/runs", {}, 400),
        ("/runs", {"task": 3}, 400),
        ("/runs", {"task": "hi", "odd": 1}, 400),
        ("/runs", {"task": []}, 400),
        ("/runs/none/stop", None, 404),
        ("/runs/none/steer", {"text": "hi"}, 404),
        ("/runs/none/approve", {"decisions": {}}, 404),
        ("/nothing", {}, 404),
        ("/v1/chat/completions", {"messages": []}, 400),
    ],
)
async def test_bad_requests_are_explained(path: str, body: Any, status: int) -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        found, answer = await server.post(path, body)
        assert found == status
        assert answer["error"]["message"]
        assert "Traceback" not in str(answer)


async def test_unknown_run_is_not_found() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        assert (await server.get("/runs/run_1/events"))[0] == 404
        assert (await server.get("/runs/..%2f..%2fetc/events"))[0] == 404
        _, body = await server.post("/runs", {"task": "hi"})
        assert (await server.get(f"/runs/{body['id']}/events?after=odd"))[0] == 400


async def test_bodies_are_bounded() -> None:
    limits = ServeLimits(body_bytes=1000)
    async with serving(FunctionAgent(ScriptedLLM("hi")), limits=limits) as server:
        assert (await server.post("/runs", {"task": "x" * 2000}))[0] == 413
        deep: Any = []
        for _ in range(150):
            deep = [deep]
        assert (await server.post("/runs", {"task": deep}))[0] == 400


async def test_runs_are_bounded() -> None:
    held = HeldTool()
    agent, limits = FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool]), ServeLimits(runs=1)
    async with serving(agent, limits=limits) as server:
        _, body = await server.post("/runs", {"task": "hi"})
        await held.running.wait()
        assert (await server.post("/runs", {"task": "hi"}))[0] == 503
        assert (await server.get("/ready"))[0] == 503
        assert "rxagents_runs 1\n" in (await server.get("/metrics"))[1]
        held.release.set()
        await server.frames(f"/runs/{body['id']}/events")
        assert (await server.get("/ready"))[0] == 200


async def test_token_is_wanted() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi")), token="secret-token") as server:
        assert (await server.get("/health"))[0] == 200
        refused: list[dict[str, str]] = [
            {},
            {"Authorization": "Bearer other"},
            {"Authorization": "secret-token"},
        ]
        for headers in refused:
            status, answer = await server.post("/runs", {"task": "hi"}, headers=headers)
            assert status == 401
            assert "secret-token" not in str(answer)
        headers = {"Authorization": "Bearer secret-token"}
        assert (await server.post("/runs", {"task": "hi"}, headers=headers))[0] == 201


async def test_pages_of_other_origins_are_refused() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi")), cors=["https://a.example"]) as server:
        for origin, allowed in (("https://a.example", True), ("https://b.example", False)):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            async with server.session.options("/runs", headers=headers) as response:
                assert ("Access-Control-Allow-Origin" in response.headers) is allowed
            async with server.session.get("/health", headers={"Origin": origin}) as response:
                assert ("Access-Control-Allow-Origin" in response.headers) is allowed
            status, _ = await server.post("/runs", {"task": "hi"}, headers={"Origin": origin})
            assert status == (201 if allowed else 403)


async def test_pages_of_other_sites_start_no_run() -> None:
    """A browser sends a plain POST without asking first; it only hides the response."""
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        own = {"Origin": server.url}
        behind_proxy = {"Origin": "https://public.example", "Sec-Fetch-Site": "same-origin"}
        for headers in (own, behind_proxy):
            assert (await server.post("/runs", {"task": "hi"}, headers=headers))[0] == 201
        cross = {**own, "Sec-Fetch-Site": "cross-site"}
        for headers in ({"Origin": "https://b.example"}, {"Origin": "null"}, cross):
            assert (await server.post("/runs", {"task": "hi"}, headers=headers))[0] == 403


async def test_stopped_server_ends_its_runs() -> None:
    held = HeldTool()
    limits = ServeLimits(drain_seconds=0.05)
    agent = FunctionAgent(ScriptedLLM(ASKS, "Done."), [held.tool])
    async with serving(agent, limits=limits) as server:
        await server.post("/runs", {"task": "hi"})
        await held.running.wait()
    await asyncio.wait_for(held.cancelled.wait(), 5)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 403),
        ("evil.example:8000", 403),
        ("localhost:8000", 201),
        ("127.0.0.1", 201),
        ("[::1]:8000", 201),
        ("a.example", 201),
    ],
)
async def test_name_of_another_host_is_refused(host: str, status: int) -> None:
    agent = FunctionAgent(ScriptedLLM("hi"))
    async with serving(agent, cors=["https://a.example"]) as server:
        found, _ = await server.post("/runs", {"task": "hi"}, headers={"Host": host})
        assert found == status
    async with serving(agent, token="secret-token") as server:
        headers = {"Host": host, "Authorization": "Bearer secret-token"}
        assert (await server.post("/runs", {"task": "hi"}, headers=headers))[0] == 201
