"""Statuses and headers, with whole bodies from aioresponses and without a server."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import aiohttp
import http_site
import pytest
import yarl
from aiohttp.client_reqrep import ClientResponse
from aioresponses import aioresponses

import rxagents
from rxagents import OpenAI
from rxagents.testing import ScriptedServer

BASE = "https://llm.example/v1"
URL = f"{BASE}/chat/completions"
KEY = "sk-abcdefgh12345678"
ANSWER = (
    b'data: {"id":"c1","model":"m","choices":[{"index":0,"delta":{"content":"hi"},'
    b'"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
)


class Response(ClientResponse):
    """Adds an argument that aiohttp 3.14 requires and aioresponses 0.7.9 does not pass."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, stream_writer=Mock(), **kwargs)


@pytest.fixture
def mocked() -> Iterator[aioresponses]:
    with aioresponses() as mock:
        post = functools.partial(mock.post, response_class=Response)
        mock.post = post  # type: ignore[method-assign]  # for every response of this file
        yield mock


def ask(**arguments: Any) -> rxagents.Response:
    settings = {"api_key": KEY, "base_url": BASE, "max_retries": 0, **arguments}

    async def chat() -> rxagents.Response:
        async with OpenAI("gpt-x", **settings) as llm:
            return await llm.chat("hello")

    return asyncio.run(chat())


def failure(**arguments: Any) -> rxagents.ProviderError:
    with pytest.raises(rxagents.ProviderError) as caught:
        ask(**arguments)
    return caught.value


def sent(mock: aioresponses) -> dict[str, Any]:
    ((call,),) = mock.requests.values()
    return dict(call.kwargs)


@pytest.mark.parametrize(
    ("status", "error", "retryable"),
    [
        (204, rxagents.ResponseError, False),
        (400, rxagents.BadRequestError, False),
        (401, rxagents.AuthenticationError, False),
        (402, rxagents.StatusError, False),
        (403, rxagents.AuthenticationError, False),
        (404, rxagents.NotFoundError, False),
        (408, rxagents.StreamTimeoutError, True),
        (409, rxagents.ConflictError, True),
        (413, rxagents.PayloadTooLargeError, False),
        (422, rxagents.BadRequestError, False),
        (429, rxagents.RateLimitError, True),
        (500, rxagents.ServerError, True),
        (502, rxagents.ServerError, True),
        (503, rxagents.OverloadedError, True),
        (529, rxagents.OverloadedError, True),
        (599, rxagents.ServerError, True),
    ],
)
def test_each_status_has_its_error(
    mocked: aioresponses, status: int, error: type[Exception], retryable: bool
) -> None:
    body = {"error": {"message": f"No, {KEY} will not do.", "type": "some_error"}}
    headers = {"x-request-id": "req_7"}
    mocked.post(URL, status=status, payload=body, headers=headers)
    caught = failure()
    assert type(caught) is error
    assert (caught.status, caught.request_id, caught.provider) == (status, "req_7", "openai")
    assert caught.retryable is retryable
    assert "will not do" in str(caught)
    assert KEY not in str(caught) + repr(caught)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Thu, 01 Jan 1970 00:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-1"}, None),
        ({}, None),
    ],
)
def test_retry_after_headers_are_read(
    mocked: aioresponses, headers: dict[str, str], seconds: float | None
) -> None:
    mocked.post(URL, status=429, headers=headers)
    assert failure().retry_after == seconds


@pytest.mark.parametrize("header", ["7", None])
def test_header_wait_wins_over_body(mocked: aioresponses, header: str | None) -> None:
    headers = {} if header is None else {"retry-after": header}
    payload = {"error": {"message": "Slow.", "details": [{"retryDelay": "48s"}]}}
    mocked.post(URL, status=429, headers=headers, payload=payload)
    assert failure().retry_after == (48 if header is None else 7)


def test_advice_is_a_separate_sentence(mocked: aioresponses) -> None:
    mocked.post(URL, status=404, payload={"error": {"message": "No such model"}})
    assert "No such model. Check the model's name" in str(failure())


@pytest.mark.parametrize(("word", "retryable"), [("true", True), ("false", False), ("maybe", True)])
def test_x_should_retry_wins_over_status(mocked: aioresponses, word: str, retryable: bool) -> None:
    mocked.post(URL, status=429, headers={"x-should-retry": word})
    assert failure().retryable is retryable


@pytest.mark.parametrize(
    ("location", "words"),
    [
        ("https://elsewhere.example/v1?key=a#b", "to https://elsewhere.example/v1, and"),
        ("https://user:pass@elsewhere.example:8443/v2", "to https://elsewhere.example:8443/v2,"),
        ("/login?next=x", "to https://llm.example/login, and"),
        ("v2", "to https://llm.example/v1/chat/v2, and"),
        ("http://[", "not a URL"),
        ("mailto:me", "not a URL"),
        ("", "without saying where"),
    ],
)
def test_redirect_names_host_and_path(mocked: aioresponses, location: str, words: str) -> None:
    mocked.post(URL, status=307, headers={"location": location} if location else {})
    caught = failure()
    assert type(caught) is rxagents.RedirectError
    assert words in str(caught)
    assert "base_url" in str(caught)
    assert "pass@" not in str(caught)
    assert [str(url) for _, url in mocked.requests] == [URL]
    assert sent(mocked)["allow_redirects"] is False


def test_request_carries_key_and_body(mocked: aioresponses) -> None:
    mocked.post(URL, body=ANSWER)
    assert ask(headers={"X-Team": "blue"}).content == "hi"
    headers = sent(mocked)["headers"]
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["x-team"] == "blue"
    assert headers["user-agent"] == f"rxagents/{rxagents.__version__}"
    assert b'"model":"gpt-x"' in sent(mocked)["data"]


def test_metadata_has_request_id_and_model(mocked: aioresponses) -> None:
    mocked.post(URL, body=ANSWER, headers={"x-request-id": "req_9"})
    assert ask().metadata == {
        "request_id": "req_9",
        "id": "c1",
        "model": "m",
        "finish_reason": "stop",
    }


def test_base_url_query_is_kept(mocked: aioresponses) -> None:
    mocked.post(f"{URL}?api-version=2024-10-21", body=ANSWER)
    assert ask(base_url=f"{BASE}/?api-version=2024-10-21").content == "hi"


@pytest.mark.parametrize(
    ("body", "kind", "words"),
    [
        (b'{"error": {"message": "Quota is used up."}}', "application/json", "Quota is used up."),
        (b"<html><h1>Log in</h1></html>", "text/html", "Log in"),
        (b'{"choices": [{"message": {"content": "x"}}]}', "application/json", "choices"),
    ],
)
def test_body_that_is_no_stream_is_quoted(
    mocked: aioresponses, body: bytes, kind: str, words: str
) -> None:
    mocked.post(URL, body=body, headers={"content-type": kind})
    caught = failure()
    assert type(caught) is rxagents.ResponseError
    assert words in str(caught)


def test_empty_body_is_truncated(mocked: aioresponses) -> None:
    mocked.post(URL, body=b"")
    assert type(failure()) is rxagents.TruncatedStreamError


def test_errors_never_hold_the_key(mocked: aioresponses) -> None:
    headers: Any = {"authorization": f"Bearer {KEY}"}
    address = yarl.URL(URL)
    request = aiohttp.RequestInfo(address, "POST", headers, address)
    failed = aiohttp.ClientResponseError(request, (), status=400, message=f"bad {KEY}")
    mocked.post(URL, exception=failed)
    caught = failure()
    assert type(caught) is rxagents.ProtocolError
    chain = [caught, caught.__cause__, caught.__context__]
    assert KEY not in "".join(f"{error!r} {error} {vars(error)}" for error in chain if error)


def test_echoed_request_id_is_redacted(mocked: aioresponses) -> None:
    mocked.post(URL, status=500, headers={"x-request-id": KEY})
    assert failure().request_id == "***"


async def test_netrc_password_is_ignored(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    async with ScriptedServer("hi") as server:
        async with OpenAI("m", api_key=KEY, base_url=server.url) as llm:
            assert (await llm.chat("hello")).content == "hi"
        assert server.requests[0].headers["authorization"] == f"Bearer {KEY}"


def test_proxy_password_becomes_a_header(
    mocked: aioresponses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://user:pass@proxy.example:3128")
    mocked.post(URL, body=ANSWER)
    ask()
    assert str(sent(mocked)["proxy"]) == "http://proxy.example:3128"
    assert sent(mocked)["proxy_headers"] == {"proxy-authorization": "Basic dXNlcjpwYXNz"}


def test_closed_session_is_refused() -> None:
    async def check() -> None:
        session = aiohttp.ClientSession()
        await session.close()
        with pytest.raises(rxagents.ConfigurationError, match="session"):
            await OpenAI("m", api_key=KEY, base_url=BASE, session=session).chat("hello")

    asyncio.run(check())


def test_long_error_bodies_are_cut(mocked: aioresponses) -> None:
    mocked.post(URL, status=500, body=b"x" * 100_000)
    assert len(str(failure())) < 1000


# Retries: only while nothing was delivered.


def test_retryable_statuses_are_retried(mocked: aioresponses) -> None:
    mocked.post(URL, status=500, headers={"retry-after-ms": "1"})
    mocked.post(URL, status=429, headers={"retry-after-ms": "1"})
    mocked.post(URL, body=ANSWER)
    assert ask(max_retries=2).content == "hi"


@pytest.mark.parametrize(
    ("status", "headers", "requests"),
    [
        (500, {"retry-after-ms": "1"}, 3),
        (400, {"retry-after-ms": "1"}, 1),
        (400, {"x-should-retry": "true", "retry-after-ms": "1"}, 3),
        (500, {"x-should-retry": "false"}, 1),
        (429, {"retry-after": "61"}, 1),
    ],
)
def test_status_decides_number_of_requests(
    mocked: aioresponses, status: int, headers: dict[str, str], requests: int
) -> None:
    mocked.post(URL, status=status, headers=headers, repeat=True)
    assert failure(max_retries=2).status == status
    assert sum(map(len, mocked.requests.values())) == requests


def test_own_session_stays_open(mocked: aioresponses) -> None:
    mocked.post(URL, body=ANSWER)

    async def check() -> None:
        async with aiohttp.ClientSession() as session:
            async with OpenAI("m", api_key=KEY, base_url=BASE, session=session) as llm:
                assert (await llm.chat("hello")).content == "hi"
            assert not session.closed

    asyncio.run(check())


NOT_UTF8 = {
    "reason": b"HTTP/1.1 500 b\xff\xfed\r\ncontent-length: 0\r\n\r\n",
    "content type": b"HTTP/1.1 200 OK\r\ncontent-type: text/\xff\r\ncontent-length: 2\r\n\r\nno",
    "location": b"HTTP/1.1 302 x\r\nlocation: http://h\xff/\r\ncontent-length: 0\r\n\r\n",
    "request id": b"HTTP/1.1 500 x\r\nx-request-id: a\xff\r\ncontent-length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("head", NOT_UTF8)
async def test_error_of_bytes_can_be_encoded(head: str) -> None:
    async with http_site.running_site() as site:
        site.answers["/chat/completions"] = NOT_UTF8[head]
        async with OpenAI("m", api_key=KEY, base_url=site.url(""), max_retries=0) as llm:
            with pytest.raises(rxagents.ProviderError) as caught:
                await llm.chat("hello")
    assert str(caught.value).encode()
    assert (caught.value.request_id or "").encode() == (b"a?" if head == "request id" else b"")
