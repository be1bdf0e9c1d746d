"""Bad input raises one typed error at once, with a message that names the fix."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest

import rxagents
from rxagents import Message, OpenAI, get_model

HOST = "http://127.0.0.1:9/v1"
SECRET = "sk-very-secret-key"


def local(**arguments: Any) -> OpenAI:
    return OpenAI("m", **{"base_url": HOST, **arguments})


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"model": ""}, "model must"),
        ({"model": None}, "model must"),
        ({"model": "a\r\nb"}, "line ends"),
        ({"base_url": "localhost:8000"}, "must be a URL"),
        ({"base_url": "ftp://host/v1"}, "must be a URL"),
        ({"base_url": "http://"}, "must be a URL"),
        ({"base_url": 7}, "must be a URL"),
        ({"base_url": "http://xn--a/v1"}, "not a valid name"),
        ({"base_url": "http://a..b/v1"}, "a..b is not a valid host name"),
        ({"base_url": f"http://{'a' * 64}.example/v1"}, "not a valid host name"),
        ({"base_url": "http://256.1.1.1/v1"}, "not a valid IPv4 address"),
        ({"base_url": "http://host:99999/v1"}, "port is not a number up to 65535"),
        ({"base_url": "http://host/\r\nx"}, "must be a URL"),
        ({"base_url": "http://user:pass@host/v1"}, "must not contain a password"),
        ({"api_key": ""}, "api_key must"),
        ({"api_key": f"{SECRET}\n"}, "line ends"),
        ({"api_key": f"{SECRET}é"}, "ASCII"),
        ({"api_key": 7}, "api_key must"),
        ({"headers": {"x-a": f"{SECRET}\0"}}, "line ends"),
        ({"headers": {"x\r\na": "b"}}, "line ends"),
        ({"headers": ["x"]}, "headers must be a dict"),
        ({"timeout": -1}, "timeout must be a positive"),
        ({"timeout": "soon"}, "timeout must be a positive"),
        ({"max_retries": -1}, "max_retries"),
        ({"max_retries": 1.5}, "max_retries"),
        ({"session": object()}, "aiohttp.ClientSession"),
        ({"temperature": -0.1}, "temperature"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": float("nan")}, "temperature"),
        ({"top_p": 1.1}, "top_p"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"max_tokens": True}, "max_tokens"),
        ({"stop": 7}, "stop"),
        ({"stop": [""]}, "stop"),
        ({"tool_choice": 7}, "tool_choice"),
        ({"response_format": 7}, "response_format"),
        ({"extra_body": []}, "extra_body"),
        ({"temprature": 1}, "temprature"),
    ],
)
def test_bad_model_arguments(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(rxagents.ConfigurationError) as caught:
        OpenAI(**{"model": "m", "base_url": HOST, **arguments})
    assert words in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        (),
        None,
        7,
        b"hello",
        [7],
        [None],
        {},
        {"role": "user"},
        {"role": "robot", "content": "x"},
        {"role": "user", "contents": "x"},
        {"role": "user", "content": 7},
        {"role": "user", "content": [{"type": "song"}]},
        {"role": "tool", "content": "x"},
        {"role": "assistant", "tool_calls": [{"name": "x"}]},
    ],
)
def test_bad_messages_are_refused(messages: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError):
        local().chat_stream(messages)


@pytest.mark.parametrize(
    ("tools", "words"),
    [
        ("search", "sequence"),
        ([7], "a Tool, a dict or a function"),
        ([{"description": "x"}], "needs a name"),
        ([{"name": "no spaces"}], "Invalid tool name"),
        ([{"name": "a"}, {"name": "a"}], "distinct name"),
        ([{"name": "a", "params": {}}], "unknown keys"),
        ([{"name": "a", "parameters": {"x": object()}}], "JSON"),
    ],
)
def test_bad_tools_are_refused(tools: Any, words: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        local().chat_stream("hi", tools=tools)


def test_bad_setting_of_call() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="temprature"):
        local().chat_stream("hi", temprature=1)  # type: ignore[call-arg]  # what the test is about
    with pytest.raises(rxagents.ConfigurationError, match="not among the tools"):
        local().chat_stream("hi", tool_choice="search")


def test_prompt_must_be_str() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="prompt"):
        local().complete_stream([Message.user("hi")])  # type: ignore[arg-type]  # the test


@pytest.mark.parametrize("model", ["gpt-5", "openai", "opnai:gpt-5", "", ":", None, 7])
def test_unknown_model_string(model: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="openai"):
        get_model(model)


def test_model_string_without_model() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="model must"):
        get_model("openai:", base_url=HOST)


def test_unknown_argument_of_provider() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="colour"):
        get_model("openai:m", base_url=HOST, colour="red")
    with pytest.raises(rxagents.ConfigurationError, match=r"takes no such .*base_url"):
        get_model("scripted:", base_url=HOST)


def test_missing_key_names_variable() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="OPENAI_API_KEY"):
        get_model("openai:gpt-5-mini")


def test_unreachable_host_fails() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
        with pytest.raises(
            rxagents.ConnectError, match=r"Connection refused.*that the server runs"
        ):
            asyncio.run(local(base_url=url, max_retries=0).chat("hi"))


def test_unreachable_environment_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    with pytest.raises(rxagents.ConnectError, match=r"proxy 127\.0\.0\.1:1.*NO_PROXY"):
        asyncio.run(local(base_url="http://llm.example/v1", max_retries=0).chat("hi"))


def test_unknown_host_fails() -> None:
    async def ask() -> None:
        async with local(base_url="http://no-such-host.invalid/v1", max_retries=0) as llm:
            await llm.chat("hi")

    with pytest.raises(rxagents.ConnectError, match=r"no-such-host\.invalid"):
        asyncio.run(ask())


def auth_headers(llm: OpenAI) -> dict[str, str]:
    assert not callable(llm._api_key)
    return llm._auth_headers(llm._api_key)


class TestKeys:
    def test_environment_key_for_own_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        assert SECRET in str(auth_headers(OpenAI("m")))
        assert auth_headers(OpenAI("m"))["openai-organization"] == "org-1"

    def test_environment_key_not_sent_elsewhere(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", SECRET)
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        assert auth_headers(local()) == {}
        monkeypatch.setenv("OPENAI_BASE_URL", "https://gateway.example/v1")
        assert SECRET in str(auth_headers(OpenAI("m")))
        assert auth_headers(OpenAI("m", base_url="https://gateway.example/v2")) != {}
        with pytest.raises(rxagents.ConfigurationError, match="needs a key"):
            OpenAI("m", base_url="https://api.openai.com/v1")

    def test_unused_environment_host_is_ignored(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", "no url")
        assert local().base_url.host == "127.0.0.1"
        with pytest.raises(rxagents.ConfigurationError, match="base_url"):
            OpenAI("m")

    def test_passed_key_goes_to_base_url(self) -> None:
        assert SECRET in str(auth_headers(local(api_key=SECRET)))

    @pytest.mark.parametrize("shown", [SECRET, SECRET[:-4], f"a {SECRET} b"])
    def test_echoed_key_is_redacted(self, shown: str) -> None:
        for llm in (
            local(api_key=SECRET),
            local(headers={"authorization": f"Bearer {SECRET}"}),
            local(base_url=f"{HOST}?key={SECRET}"),
        ):
            redacted = llm._prepare("x", None).redact(f"said {shown}")
            assert redacted == "said " + shown.replace(SECRET, "***").replace(SECRET[:-4], "***")

    def test_repr_hides_key(self) -> None:
        url = f"{HOST}?key={SECRET}"
        llm = local(api_key=SECRET, headers={"x-key": SECRET}, base_url=url)
        shown = repr(llm) + str(llm) + repr(llm.chat_stream("hi")) + repr(vars(llm)["settings"])
        assert SECRET not in shown
