"""The list of a host's models."""

from __future__ import annotations

from typing import Any

import pytest

import rxagents
from rxagents import Anthropic, Gemini, Ollama, OpenAI
from rxagents.testing import ReceivedRequest, ScriptedServer, StatusReply

PAGES: dict[str, Any] = {
    "/v1/models": {"data": [{"id": "a"}, {"id": "b"}], "has_more": True, "last_id": "b"},
    "/v1/models?after_id=b": {"data": [{"id": "c"}], "has_more": False, "last_id": "c"},
    "/v1beta/models": {"models": [{"name": "models/a"}], "nextPageToken": "next"},
    "/v1beta/models?pageToken=next": {"models": [{"name": "models/b"}]},
    "/api/tags": {"models": [{"name": "a:8b", "size": 1}, {"name": "b"}]},
    "/openai/models": {"object": "list", "data": [{"id": "a"}, {"id": "b", "more": 1}]},
}


def answer(request: ReceivedRequest) -> StatusReply:
    assert request.method == "GET"
    assert "k-12345678" in str(request.headers)
    return StatusReply(200, PAGES[request.path])


@pytest.mark.parametrize(
    ("make", "path", "names"),
    [
        (OpenAI, "/openai", ["a", "b"]),
        (Anthropic, "", ["a", "b", "c"]),
        (Gemini, "", ["a", "b"]),
        (Ollama, "", ["a:8b", "b"]),
    ],
)
async def test_models_are_listed(make: Any, path: str, names: list[str]) -> None:
    async with ScriptedServer(answer) as server:
        url = f"http://127.0.0.1:{server.port}{path}"
        async with make("m", api_key="k-12345678", base_url=url) as llm:
            assert await llm.list_models() == names


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (StatusReply(401, {"error": {"message": "No: k-12345678"}}), rxagents.AuthenticationError),
        (StatusReply(200, "<html>"), rxagents.ResponseError),
        (StatusReply(200, "x" * 2000), rxagents.LimitExceededError),
    ],
)
async def test_invalid_model_list_is_typed(reply: StatusReply, error: type[Exception]) -> None:
    async with ScriptedServer(reply) as server:
        limits = rxagents.Limits(event_bytes=1000)
        async with OpenAI("m", api_key="k-12345678", base_url=server.url, limits=limits) as llm:
            with pytest.raises(error) as caught:
                await llm.list_models()
            assert "k-12345678" not in str(caught.value)


@pytest.mark.parametrize("make", [OpenAI, Anthropic, Gemini, Ollama])
async def test_scripted_server_lists_its_model(make: Any) -> None:
    async with ScriptedServer("first") as server:
        url = server.url if make is OpenAI else server.url.removesuffix("/v1")
        async with make("m", api_key="any", base_url=url) as llm:
            assert [name.removeprefix("models/") for name in await llm.list_models()] == [
                "scripted"
            ]
            assert (await llm.chat("Hi")).content == "first"
