"""Test `api_key` as a function, and the headers and timeout of one call."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest
from wires import WIRES, SpokenWire, any_wire

import rxagents
from rxagents import OpenAI, Timeouts
from rxagents.testing import Ending, NoReply, ReceivedRequest, Reply, ScriptedServer, StatusReply
from rxagents.testing.scripted_server import ServerReply

each_wire = pytest.mark.parametrize("wire", WIRES, ids=lambda wire: wire.name)


class Tokens:
    """A function that returns another token at each call."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self) -> str:
        self.count += 1
        return f"token-number-{self.count}"

    async def later(self) -> str:
        await asyncio.sleep(1)
        return self()


def echo(request: ReceivedRequest) -> StatusReply:
    return StatusReply(401, f"no: {sorted(request.headers.items())}")


def model(server: ScriptedServer, key: Any, **options: Any) -> OpenAI:
    return OpenAI("m", api_key=key, base_url=server.url, **options)


def shown_with_locals(error: BaseException) -> str:
    shown = traceback.TracebackException.from_exception(error, capture_locals=True)
    return "".join(shown.format())


async def failure_of(llm: Any, **settings: Any) -> BaseException:
    """Return the error of a request; the key is in no local variable here."""
    try:
        await llm.chat("hi", **settings)
    except rxagents.RxAgentsError as error:
        return error
    raise AssertionError("no error")


@each_wire
async def test_key_function_is_asked_on_every_wire(wire: SpokenWire) -> None:
    tokens = Tokens()
    async with ScriptedServer(Reply("x")) as server:
        async with wire.model(wire.url_of(server), api_key=tokens.later) as llm:
            await llm.chat("hi")
            await llm.chat("hi")
    sent = [str(request.headers) for request in server.requests]
    assert ["token-number-1" in sent[0], "token-number-2" in sent[1]] == [True, True]
    assert tokens.count == 2


async def test_each_attempt_has_a_key_of_its_own() -> None:
    replies: Iterator[ServerReply] = iter(
        [StatusReply(503, "later"), StatusReply(503, "later"), Reply("x")]
    )
    async with ScriptedServer(lambda _: next(replies)) as server, model(server, Tokens()) as llm:
        await llm.chat("hi")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == [f"Bearer token-number-{number}" for number in (1, 2, 3)]


async def test_own_headers_replace_those_of_the_key() -> None:
    async with ScriptedServer("x") as server:
        async with model(server, Tokens(), headers={"Authorization": "Basic abc"}) as llm:
            await llm.chat("hi")
    assert server.requests[0].headers["authorization"] == "Basic abc"


async def test_list_of_models_asks_for_a_key() -> None:
    async with ScriptedServer("x") as server, model(server, Tokens()) as llm:
        with suppress(rxagents.RxAgentsError):
            await llm.list_models()
    assert server.requests[0].headers["authorization"] == "Bearer token-number-1"


async def test_returned_key_is_hidden(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rxagents.http")
    async with ScriptedServer(echo) as server, model(server, Tokens()) as llm:
        error = await failure_of(llm)
        shown = shown_with_locals(error) + repr(error) + repr(llm) + repr(vars(llm)) + caplog.text
    assert "Bearer ***" in str(error)
    assert "token-number" not in shown
    assert "api_key='***'" in repr(llm)


async def test_returned_key_is_not_pickled() -> None:
    async with ScriptedServer("x") as server, model(server, give_token) as llm:
        await llm.chat("hi")
        pickled = pickle.dumps(llm)
    assert b"a-token-of-the-test" not in pickled
    assert repr(pickle.loads(pickled)) == repr(llm)


def give_token() -> str:
    return "-".join(("a", "token", "of", "the", "test"))


def _raise(error: Exception) -> Callable[[], str]:
    def function() -> str:
        raise error

    return function


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        (_raise(KeyError("vault")), rxagents.AuthenticationError, "raised KeyError"),
        (_raise(rxagents.ConnectError("no vault", retryable=False)), rxagents.ConnectError, "no v"),
        (lambda: "", rxagents.ConfigurationError, "api_key function returned must be a non-empty"),
        (lambda: None, rxagents.ConfigurationError, "must be a non-empty str"),
        (lambda: b"key", rxagents.ConfigurationError, "must be a non-empty str"),
        (lambda: "secret-a\r\nx: y", rxagents.ConfigurationError, "line ends"),
        (lambda: "secret-é", rxagents.ConfigurationError, "ASCII"),
    ],
    ids=["raises", "typed error", "empty", "none", "bytes", "line end", "not ASCII"],
)
async def test_bad_key_function_fails_typed(function: Any, kind: type, message: str) -> None:
    async with ScriptedServer("x") as server, model(server, function) as llm:
        error = await failure_of(llm)
        assert type(error) is kind
        assert message in str(error)
        assert "secret-" not in shown_with_locals(error)
        assert not server.requests


async def test_retryable_error_of_key_function_is_retried() -> None:
    tokens = Tokens()

    def unreliable() -> str:
        if tokens() == "token-number-1":
            raise rxagents.ConnectError("The vault is not there.")
        return tokens()

    async with ScriptedServer("x") as server, model(server, unreliable) as llm:
        assert (await llm.chat("hi")).content == "x"


async def test_failing_key_function_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "rxagents.http")
    async with ScriptedServer("x") as server:
        async with model(server, _raise(KeyError("vault"))) as llm:
            await failure_of(llm)
    assert "attempt 1 failed after 0.0" in caplog.text


async def test_slow_key_function_meets_the_timeout() -> None:
    async def never() -> str:
        await asyncio.Event().wait()
        return ""

    async with ScriptedServer("x") as server:
        async with model(server, never, timeout=2, max_retries=0) as llm:
            assert type(await failure_of(llm)) is rxagents.FirstEventTimeoutError


def test_key_must_be_text_or_function() -> None:
    with pytest.raises(
        rxagents.ConfigurationError, match="a str or a function that returns it, not bytes"
    ):
        OpenAI("m", api_key=b"key", base_url="http://127.0.0.1/v1")  # type: ignore[arg-type]  # on purpose


@any_wire
async def test_headers_of_a_call_replace_the_models(wire: SpokenWire) -> None:
    async with ScriptedServer(Reply("x")) as server:
        async with wire.model(wire.url_of(server), headers={"x-team": "a", "x-b": "b"}) as llm:
            await llm.chat("hi", headers={"X-Team": "c"})
            await llm.chat("hi")
    sent = [(request.headers["x-team"], request.headers["x-b"]) for request in server.requests]
    assert sent == [("c", "b"), ("a", "b")]


async def test_header_of_a_call_is_hidden() -> None:
    async with ScriptedServer(echo) as server, model(server, None) as llm:
        error = await failure_of(llm, headers={"x-tenant": "tenant-secret-1"})
    assert "'x-tenant', '***'" in str(error)
    assert "tenant-secret" not in str(error)


async def test_timeout_of_a_call_replaces_the_models() -> None:
    loop = asyncio.get_running_loop()
    async with ScriptedServer(NoReply(Ending.STALL)) as server:
        async with model(server, None, timeout=300, max_retries=0) as llm:
            for timeout in (3, Timeouts(first=3)):
                start = loop.time()
                error = await failure_of(llm, timeout=timeout)
                assert type(error) is rxagents.FirstEventTimeoutError
                assert loop.time() - start == pytest.approx(3, abs=0.2)


async def test_agent_passes_headers_and_timeout_on() -> None:
    async with ScriptedServer("x") as server, model(server, None) as llm:
        agent = rxagents.FunctionAgent(llm, headers={"x-user": "u-1"}, timeout=30)
        await agent.run("hi")
    assert server.requests[0].headers["x-user"] == "u-1"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"headers": {"x": "a\r\nb"}}, "line ends"),
        ({"headers": {"x-a: b": "c"}}, "without a colon"),
        ({"headers": "x: y"}, "must be a dict"),
        ({"timeout": -1}, "positive number"),
        ({"timeout": "soon"}, "positive number"),
    ],
)
def test_bad_headers_or_timeout_of_a_call_raise(settings: Any, message: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=message):
        OpenAI("m", base_url="http://127.0.0.1/v1").chat_stream("hi", **settings)


def test_settings_show_no_header_values() -> None:
    settings = rxagents.Settings(headers={"x-tenant": "secret-1"}, temperature=0.5)
    assert repr(settings) == "Settings(temperature=0.5, headers={'x-tenant': '***'})"
