"""The chat page: its headers, its token, and what it asks about the agent."""

from __future__ import annotations

import base64
import hashlib
import json
import re

import pytest
from serving import serving

from rxagents import Conversation, FunctionAgent
from rxagents.testing import ScriptedLLM

pytestmark = pytest.mark.real_time


def sources_of(policy: str) -> dict[str, str]:
    return dict(part.split(" ", 1) for part in policy.split("; "))


async def test_page_may_only_run_itself() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        async with server.session.get("/") as response:
            assert response.status == 200
            assert response.headers["Content-Type"] == "text/html; charset=utf-8"
            assert response.headers["X-Content-Type-Options"] == "nosniff"
            assert response.headers["Referrer-Policy"] == "no-referrer"
            policy = sources_of(response.headers["Content-Security-Policy"])
            page = await response.text()
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == "'none'"
    assert policy["connect-src"] == "'self'"
    for element in ("script", "style"):
        [content] = re.findall(f"<{element}>(.*?)</{element}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert policy[f"{element}-src"] == f"'sha256-{digest}'"


async def test_page_makes_no_html_of_text() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi"))) as server:
        _, page = await server.get("/")
    assert not re.findall(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", page)
    addresses = set(re.findall(r"https?://[\w.]+", page))
    assert addresses == {"http://www.w3.org"}  # the namespace of SVG


async def test_page_is_sent_without_token() -> None:
    async with serving(FunctionAgent(ScriptedLLM("hi")), token="secret-token") as server:
        status, page = await server.get("/")
        assert status == 200
        assert "secret-token" not in page
        assert (await server.get("/agent"))[0] == 401
        headers = {"Authorization": "Bearer secret-token"}
        assert (await server.get("/agent", headers=headers))[0] == 200


async def test_page_knows_agents_with_conversations() -> None:
    agent = FunctionAgent(ScriptedLLM("hi"))
    for served, has_conversations in ((agent, False), (Conversation(agent), True)):
        async with serving(served, name="oslo") as server:
            answer = json.loads((await server.get("/agent"))[1])
            assert answer == {"name": "oslo", "has_conversations": has_conversations}
