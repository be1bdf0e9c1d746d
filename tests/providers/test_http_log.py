"""What is logged of requests, responses and retries, on the logger `rxagents.http`."""

from __future__ import annotations

import logging
import re

import pytest

import rxagents
from rxagents import OpenAI, Timeouts
from rxagents.testing import NoReply, Reply, ScriptedServer, StatusReply

pytestmark = pytest.mark.real_time

KEY = "sk-very-secret-1234"
BUSY = StatusReply(503, {"error": {"message": f"busy, {KEY}"}}, headers={"x-request-id": "req_1"})


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG, "rxagents.http")
    return caplog


def lines(logged: pytest.LogCaptureFixture) -> list[str]:
    """Return the records without their figures of time and the port."""
    return [re.sub(r"\d+\.\d+ s|:\d+/", "…", line) for line in logged.messages]


async def test_retry_and_success_are_logged(
    logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxagents.providers.stream.wait_before_retry", lambda *_: 0.0)
    async with ScriptedServer(BUSY, Reply("Hi")) as server:
        url = f"{server.url}?api-key=query-secret"
        async with OpenAI("m", base_url=url, api_key=KEY) as llm:
            await llm.chat("My question")
    first, refused, failed, second, answered, complete = lines(logged)
    assert first.startswith("openai: POST http://127.0.0.1…v1/chat/completions, ")
    assert first.endswith(" bytes, attempt 1")
    assert refused == "openai: status 503 after …, request id req_1"
    assert failed.startswith("openai: attempt 1 failed after … with OverloadedError: ")
    assert failed.endswith("(attempt 2 in …)")
    assert second.endswith("attempt 2")
    assert answered == "openai: status 200 after …"
    assert complete == "openai: complete after …"
    for secret in (KEY, "query-secret", "My question"):
        assert secret not in logged.text


async def test_last_failure_is_logged(logged: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(BUSY) as server:
        async with OpenAI("m", base_url=server.url, api_key=KEY, max_retries=0) as llm:
            with pytest.raises(rxagents.OverloadedError):
                await llm.chat("?")
            with pytest.raises(rxagents.OverloadedError):
                await llm.list_models()
    failures = [line for line in lines(logged) if "failed" in line]
    assert len(failures) == 2
    assert all(line.endswith("(no retry)") for line in failures)
    assert KEY not in logged.text


async def test_total_timeout_is_logged(logged: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(NoReply()) as server:
        async with OpenAI("m", base_url=server.url, timeout=Timeouts(total=0.01)) as llm:
            with pytest.raises(rxagents.TotalTimeoutError):
                await llm.chat("?")
    assert "failed after … with TotalTimeoutError" in lines(logged)[-1]


async def test_nothing_is_logged_by_default(caplog: pytest.LogCaptureFixture) -> None:
    async with ScriptedServer(Reply("Hi")) as server, OpenAI("m", base_url=server.url) as llm:
        await llm.chat("?")
    assert [r for r in caplog.records if r.name.startswith("rxagents")] == []
