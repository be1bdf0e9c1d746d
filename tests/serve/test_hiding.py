"""What a client reads when the code of an agent fails."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from serving import serving

from rxagents import ServerError

pytestmark = pytest.mark.real_time

HELLO = {"messages": [{"role": "user", "content": "Hello."}]}
PARTS = [{"type": "text", "text": "Hello."}]
REQUESTS: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {**HELLO, "stream": True},
    "/v1/responses": {"input": "Hello.", "stream": True},
    "/agui": {**HELLO, "threadId": "t", "runId": "r"},
    "/vercel": {"id": "chat", "messages": [{"id": "1", "role": "user", "parts": PARTS}]},
}


class Failing:
    """An agent that fails."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def run_stream(self, task: object) -> Any:
        return rx.throw(self.error)


async def bodies(error: Exception) -> str:
    async with serving(Failing(error)) as server:
        frames = [await server.frames(path, body) for path, body in REQUESTS.items()]
        _, run = await server.post("/runs", {"task": "hi"})
        frames.append(await server.frames(f"/runs/{run['id']}/events"))
    return str(frames)


async def test_message_of_foreign_code_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    sent = await bodies(KeyError("password=hunter2"))
    assert "hunter2" not in sent
    assert sent.count("The agent failed.") == 5
    assert caplog.text.count("hunter2") >= 5  # the operator of the server reads it


async def test_message_of_the_library_is_sent() -> None:
    sent = await bodies(ServerError("The provider is down.", status=500))
    assert sent.count("The provider is down.") == 5
