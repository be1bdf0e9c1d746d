"""The URL and the key of each provider's requests."""

from __future__ import annotations

from typing import Any

import pytest

import rxagents
from rxagents import Anthropic, ConfigurationError, Gemini, Ollama, OpenAIResponses, get_model
from rxagents.providers.ollama import host_url
from rxagents.testing import ScriptedServer

HOME = {
    Anthropic: "ANTHROPIC_API_KEY",
    Gemini: "GEMINI_API_KEY",
    Ollama: "OLLAMA_API_KEY",
    OpenAIResponses: "OPENAI_API_KEY",
}
KEY = "k-0123456789"


async def headers_of(llm: Any, server: ScriptedServer) -> dict[str, str]:
    async with llm:
        await llm.chat("hi")
    return server.requests[-1].headers


@pytest.mark.parametrize(("make", "variable"), HOME.items())
async def test_environment_key_stays_with_its_host(
    make: Any, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, KEY)
    async with ScriptedServer("x") as server:
        url = f"http://127.0.0.1:{server.port}"
        headers = await headers_of(make("m", base_url=url), server)
        assert KEY not in str(headers)
        headers = await headers_of(make("m", base_url=url, api_key=KEY), server)
        assert KEY in str(headers)


@pytest.mark.parametrize("make", [Anthropic, Gemini, OpenAIResponses])
def test_own_host_needs_a_key(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="needs a key"):
        make("m")
    monkeypatch.setenv(HOME[make], KEY)
    assert KEY not in repr(make("m"))


async def test_anthropic_version_key_and_token(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer("x") as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:{server.port}")
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "t-0123456789")
        headers = await headers_of(Anthropic("m"), server)
        assert headers["authorization"] == "Bearer t-0123456789"
        assert headers["anthropic-version"] == "2026-10-21"
        monkeypatch.setenv("ANTHROPIC_API_KEY", KEY)
        headers = await headers_of(Anthropic("m", api_version="2023-06-01"), server)
        assert (headers["x-api-key"], "authorization" in headers) == (KEY, False)
        assert headers["anthropic-version"] == "2023-06-01"
        assert server.requests[-1].path == "/v1/messages"


async def test_gemini_path_query_and_key(monkeypatch: pytest.MonkeyPatch) -> None:
    async with ScriptedServer("x") as server:
        url = f"http://127.0.0.1:{server.port}/proxy?team=blue"
        headers = await headers_of(Gemini("models/a/../b?c", base_url=url, api_key=KEY), server)
        path = "/proxy/v1beta/models/a%2F..%2Fb%3Fc:streamGenerateContent"
        assert server.requests[-1].path == f"{path}?team=blue&alt=sse"
        assert headers["x-goog-api-key"] == KEY
    monkeypatch.setenv("GEMINI_API_KEY", "k-gemini-1234")
    monkeypatch.setenv("GOOGLE_API_KEY", "k-google-1234")
    assert Gemini("m")._prepare("x", None).headers["x-goog-api-key"] == "k-google-1234"


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("box:80", "http://box"),
        (":5000", "http://127.0.0.1:5000"),
        ("http://box", "http://box"),
        ("https://box/path", "https://box/path"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("0.0.0.0:7000", "http://127.0.0.1:7000"),
        ("::1", "http://[::1]:11434"),
        ("[::1]:5000", "http://[::1]:5000"),
        (' "box" ', "http://box:11434"),
    ],
)
def test_ollama_host_forms(host: str, url: str) -> None:
    assert host_url(host).removesuffix(":80").rstrip("/") == url


async def test_ollama_host_and_key_from_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with ScriptedServer("x") as server:
        monkeypatch.setenv("OLLAMA_HOST", f"127.0.0.1:{server.port}")
        monkeypatch.setenv("OLLAMA_API_KEY", KEY)
        headers = await headers_of(Ollama("m"), server)
        assert headers["authorization"] == f"Bearer {KEY}"
        assert headers["accept"] == "application/x-ndjson"
        assert server.requests[-1].path == "/api/chat"


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("anthropic:a", rxagents.Anthropic),
        ("gemini:a", rxagents.Gemini),
        ("ollama:a:8b", rxagents.Ollama),
        ("openai-responses:a", rxagents.OpenAIResponses),
    ],
)
def test_model_string_names_a_provider(name: str, made: type) -> None:
    llm: Any = get_model(name, api_key=KEY)
    assert (type(llm), llm.model) == (made, name.partition(":")[2])
