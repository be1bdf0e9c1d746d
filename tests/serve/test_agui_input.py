"""The messages of an AG-UI client, and the agents that keep conversations themselves."""

from __future__ import annotations

from typing import Any

import pytest
from serving import serving

from rxagents import Conversation, FunctionAgent
from rxagents.serve.agui_input import role_dicts
from rxagents.testing import ScriptedLLM


def test_images_are_parts_of_a_message() -> None:
    parts = [
        {"type": "text", "text": "What is this?"},
        {"type": "image", "source": {"type": "url", "value": "https://x.example/a.png"}},
        {"type": "image", "source": {"type": "data", "value": "AAAA", "mimeType": "image/png"}},
    ]
    [message] = role_dicts({"id": "1", "role": "user", "content": parts})
    urls = [part["image_url"]["url"] for part in message["content"][1:]]
    assert urls == ["https://x.example/a.png", "data:image/png;base64,AAAA"]


@pytest.mark.parametrize("role", ["reasoning", "activity"])
def test_thinking_and_activities_are_left_out(role: str) -> None:
    assert list(role_dicts({"id": "1", "role": role, "content": "hm"})) == []


CONVERSATION = [("user", "Hi."), ("assistant", "Hello."), ("user", "Oslo?"), ("user", "Bergen?")]


def agui_body(thread: str) -> dict[str, Any]:
    messages = [{"id": text, "role": role, "content": text} for role, text in CONVERSATION]
    return {"threadId": thread, "runId": "r", "messages": messages}


def vercel_body(chat: str) -> dict[str, Any]:
    messages = [
        {"id": text, "role": role, "parts": [{"type": "text", "text": text}]}
        for role, text in CONVERSATION
    ]
    return {"id": chat, "messages": messages}


@pytest.mark.real_time
@pytest.mark.parametrize(("path", "body"), [("/agui", agui_body), ("/vercel", vercel_body)])
async def test_conversation_gets_only_what_is_new(path: str, body: Any) -> None:
    llm = ScriptedLLM("Cold.", "Warm.", "Wet.")
    async with serving(Conversation(FunctionAgent(llm))) as server:
        for name in ("a", "b", "a"):
            await server.frames(path, body(name))
    texts = [[each.text for each in request.messages] for request in llm.requests]
    new = ["Oslo?", "Bergen?"]
    assert texts == [new, new, [*new, "Cold.", *new]]


@pytest.mark.real_time
async def test_run_of_a_thread_is_followed_from_an_event_on() -> None:
    async with serving(FunctionAgent(ScriptedLLM("one two"))) as server:
        whole = await server.frames("/agui?keep=true", agui_body("t"))
        for after in (0, 3, len(whole)):
            headers = {"Last-Event-ID": str(after)}
            assert await server.frames("/agui/t/stream", headers=headers) == whole[after:]
        assert (await server.get("/agui/other/stream"))[0] == 204
        assert (await server.post("/agui/other/stop"))[0] == 404
        for wrong in ("-1", "x", "9" * 30):
            assert (await server.get("/agui/t/stream", headers={"Last-Event-ID": wrong}))[0] == 400
