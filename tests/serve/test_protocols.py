"""The endpoints for clients of OpenAI, AG-UI and Vercel."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from agent_runs import Calls, HeldTool, served
from frames import check_agui_order, check_vercel_order
from msgspec.structs import replace
from reactivex import Observable
from reactivex import operators as rx_ops
from serving import serving
from wires import WIRES, SpokenWire

from rxagents import (
    Answer,
    Complete,
    FunctionAgent,
    Reasoning,
    Reset,
    ServerError,
    StreamEvent,
    Token,
    ToolCall,
    TurnStart,
    Usage,
)
from rxagents.serve import ServeLimits
from rxagents.testing import Reply, ScriptedLLM

pytestmark = pytest.mark.real_time
two_wires = pytest.mark.parametrize("wire", WIRES[:2], ids=lambda wire: wire.name)

HELLO = {"messages": [{"role": "user", "content": "Hello."}]}
ASKS = Reply("I look. ", tool_calls=[ToolCall("c", "weather", '{"city": "Oslo"}')])
UI_MESSAGE = {"id": "1", "role": "user", "parts": [{"type": "text", "text": "Hello."}]}


async def test_chat_completion() -> None:
    usage = Usage(3, 2, 5, reasoning_tokens=1, cached_tokens=2)
    llm = ScriptedLLM(ASKS, Reply("Cold.", usage=usage))
    async with serving(FunctionAgent(llm, [Calls().weather()]), name="oslo") as server:
        status, body = await server.post("/v1/chat/completions", HELLO)
        assert status == 200
        [choice] = body["choices"]
        assert choice["message"]["content"] == "Cold."
        assert choice["finish_reason"] == "stop"
        assert body["usage"] == {
            "prompt_tokens": 3,
            "prompt_tokens_details": {"cached_tokens": 2},
            "completion_tokens": 2,
            "completion_tokens_details": {"reasoning_tokens": 1},
            "total_tokens": 5,
        }


async def test_agent_is_the_only_model() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi")), name="oslo") as server:
        assert '"id":"oslo"' in (await server.get("/v1/models"))[1]
        assert '"id":"oslo"' in (await server.get("/v1/models/oslo"))[1]
        assert (await server.get("/v1/models/gpt-5"))[0] == 404


async def test_chat_completion_as_a_stream() -> None:
    llm = ScriptedLLM(Reply("Hi there.", reasoning="hm", usage=Usage(3, 2, 5)))
    async with serving(FunctionAgent(llm)) as server:
        body = {**HELLO, "stream": True, "stream_options": {"include_usage": True}}
        *chunks, usage, done = await server.frames("/v1/chat/completions", body)
        assert done == "[DONE]"
        assert usage["choices"] == []
        assert usage["usage"]["total_tokens"] == 5
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert deltas[0]["role"] == "assistant"
        assert "".join(delta.get("content", "") for delta in deltas) == "Hi there."
        assert "".join(delta.get("reasoning_content", "") for delta in deltas) == "hm"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert len({chunk["id"] for chunk in chunks}) == 1


async def test_failure_of_a_chat_completion() -> None:
    llm = ScriptedLLM(*(Reply("Half", error=ServerError("no", status=500)) for _ in range(2)))
    async with serving(FunctionAgent(llm)) as server:
        *_, error, done = await server.frames("/v1/chat/completions", {**HELLO, "stream": True})
        assert done == "[DONE]"
        assert error["error"]["type"] == "ServerError"
        status, body = await server.post("/v1/chat/completions", HELLO)
        assert status == 502
        assert body["error"]["type"] == "server_error"


class Emitting:
    """An agent whose runs emit these events, and then wait.

    Attributes:
        disposed: How many runs were disposed.
    """

    def __init__(self, *events: StreamEvent) -> None:
        self.disposed = 0
        self._events = events

    def run_stream(self, _: Any) -> Observable[StreamEvent]:
        def end() -> None:
            self.disposed += 1

        ends = isinstance(self._events[-1], Complete)
        rest: Observable[Any] = rx.empty() if ends else rx.never()
        return rx.concat(rx.from_iterable(self._events), rest).pipe(rx_ops.finally_action(end))


RESET = Reset.of(ServerError("It broke off.", status=500))


@pytest.mark.parametrize(
    "events",
    [
        [TurnStart(1), Token("Half"), RESET],
        [TurnStart(1), Answer("Half"), RESET],
        [TurnStart(1), Token("I look."), TurnStart(2), Token("Half"), RESET],
    ],
    ids=["token", "answer", "second turn"],
)
async def test_chat_completion_ends_where_its_text_is_void(events: list[StreamEvent]) -> None:
    agent = Emitting(*events)
    async with asyncio.timeout(30), serving(agent) as server:
        *chunks, error, done = await server.frames(
            "/v1/chat/completions", {**HELLO, "stream": True}
        )
        assert chunks[-1]["choices"][0]["delta"]["content"] == "Half"
        assert (error["error"]["code"], done) == ("stream_reset", "[DONE]")
        assert agent.disposed == 1


async def test_chat_completion_goes_on_where_no_text_is_void() -> None:
    nested = Token("of a sub-agent", path=("expert",))
    events: list[StreamEvent] = [TurnStart(1), Token("I look."), TurnStart(2), Reasoning("hm")]
    events += [nested, RESET]
    agent = Emitting(*events, Token("Cold."), Complete("Cold."))
    async with serving(agent) as server:
        *chunks, done = await server.frames("/v1/chat/completions", {**HELLO, "stream": True})
        deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
        assert [each["content"] for each in deltas if each.get("content")] == ["I look.", "Cold."]
        assert done == "[DONE]"


async def test_whole_chat_completion_survives_a_reset() -> None:
    agent = Emitting(TurnStart(1), Token("Half"), RESET, Token("Cold."), Complete("Cold."))
    async with serving(agent) as server:
        status, body = await server.post("/v1/chat/completions", HELLO)
        assert (status, body["choices"][0]["message"]["content"]) == (200, "Cold.")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {**HELLO, "stream": True}),
        ("/v1/chat/completions", HELLO),
        ("/agui", {**HELLO, "threadId": "t", "runId": "r"}),
    ],
    ids=["streamed chat", "chat", "agui"],
)
@two_wires
async def test_client_that_leaves_closes_the_request(
    wire: SpokenWire, path: str, body: Any
) -> None:
    async with served(wire, Reply("never", delay=60)) as (provider, llm):
        async with serving(FunctionAgent(llm)) as server:
            waiting = asyncio.ensure_future(server.post(path, body))
            await provider.received()
            waiting.cancel()
            await provider.disconnected()
            await asyncio.wait([waiting])


async def test_agui() -> None:
    llm = ScriptedLLM(ASKS, "Cold.")
    async with serving(FunctionAgent(llm, [Calls().weather()])) as server:
        messages = [
            {"id": "1", "role": "user", "content": "Hello."},
            {"id": "2", "role": "assistant", "content": "Hi."},
            {"id": "3", "role": "user", "content": "Oslo?"},
        ]
        rest: dict[str, Any] = {"tools": [], "context": [], "state": {}, "forwardedProps": {}}
        body = {"threadId": "t", "runId": "r", "messages": messages, **rest}
        frames = await server.frames("/agui", body)
        check_agui_order(frames)
        assert (frames[0]["threadId"], frames[0]["runId"]) == ("t", "r")
        assert [message.text for message in llm.requests[0].messages] == ["Hello.", "Hi.", "Oslo?"]


async def test_vercel_chat_resumes_and_stops() -> None:
    held = HeldTool()
    llm = ScriptedLLM(Reply("I look.", tool_calls=[ToolCall("c", "held", "{}")]), "Done.")
    async with serving(FunctionAgent(llm, [held.tool])) as server:
        chat = {"id": "chat", "messages": [UI_MESSAGE], "trigger": "submit-message"}
        assert (await server.get("/vercel/chat/stream"))[0] == 204
        async with server.session.post("/vercel", json=chat) as response:
            assert response.headers["x-vercel-ai-ui-message-stream"] == "v1"
            await held.running.wait()
        async with server.session.get("/vercel/chat/stream") as response:
            assert response.status == 200
            assert b'"type":"start"' in await response.content.readuntil(b"\n\n")
        assert (await server.post("/vercel/chat/stop"))[0] == 202
        await held.cancelled.wait()
        assert (await server.post("/vercel/other/stop"))[0] == 404


async def test_vercel_frames_are_in_order() -> None:
    llm = ScriptedLLM(ASKS, "Cold.")
    async with serving(FunctionAgent(llm, [Calls().weather()])) as server:
        frames = await server.frames("/vercel", {"id": "chat", "messages": [UI_MESSAGE]})
        check_vercel_order(frames)
        assert frames[-2]["finishReason"] == "stop"


@pytest.mark.parametrize(("approved", "made"), [(True, 1), (False, 0)])
async def test_vercel_chat_goes_on_after_a_decision(approved: bool, made: int) -> None:
    calls = Calls()
    weather = replace(calls.weather(), requires_approval=True)
    agent = FunctionAgent(ScriptedLLM(ASKS, "Done."), [weather], approve="defer")
    async with serving(agent) as server:
        chat: dict[str, Any] = {"id": "chat", "messages": [UI_MESSAGE]}
        await server.frames("/vercel", chat)
        part = {
            "type": "dynamic-tool",
            "toolCallId": "c",
            "state": "approval-responded",
            "approval": {"id": "c", "approved": approved},
        }
        chat["messages"].append({"id": "m", "role": "assistant", "parts": [part]})
        frames = await server.frames("/vercel", chat)
        check_vercel_order(frames)
        assert frames[0] == {"type": "start", "messageId": "m"}
        assert len(calls.made) == made
        assert (await server.post("/vercel", {**chat, "id": "other"}))[0] == 404


async def test_chats_are_bounded() -> None:
    agent, limits = FunctionAgent(ScriptedLLM(*["hi"] * 2)), ServeLimits(runs=1)
    async with serving(agent, limits=limits) as server:
        for chat_id in ("one", "two"):
            await server.frames("/vercel", {"id": chat_id, "messages": [UI_MESSAGE]})
        answers = [await server.post(f"/vercel/{each}/stop") for each in ("one", "two")]
        said = [answer["error"]["message"] for _, answer in answers]
        assert said == ["This chat has no run here.", "No run with this id goes on here."]
