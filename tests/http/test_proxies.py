"""Proxies of the environment that refuse, cut or cannot be used."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from faults import head, whole
from faulty_server import Act, Cue, FaultyServer

import rxagents
from rxagents import OpenAI

KEY = "sk-abcdefgh12345678"
SERVER = "https://llm.example/v1"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxagents.providers.retry.backoff", lambda attempt: 0.001)


async def failure(base_url: str = SERVER, **arguments: object) -> Exception:
    settings = {"api_key": KEY, "base_url": base_url, "max_retries": 1, "timeout": 5}
    async with OpenAI("m", **{**settings, **arguments}) as llm:  # type: ignore[arg-type]  # any setting
        with pytest.raises(rxagents.RxAgentsError) as caught:
            await llm.chat("hi")
    return caught.value


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy"])
@pytest.mark.parametrize(
    ("status", "requests"), [(403, 1), (405, 1), (407, 1), (408, 2), (429, 2), (502, 2), (504, 2)]
)
async def test_status_of_connect_is_proxys(
    status: int, requests: int, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultyServer([*whole(status, b""), Cue.FIN]) as proxy:
        monkeypatch.setenv(variable, proxy.url)
        error = await failure()
        assert len(proxy.requests) == requests
        assert not any(KEY.encode() in head for head, _ in proxy.requests)
    assert isinstance(error, rxagents.ConnectError)
    assert (error.status, error.retryable) == (status, requests == 2)
    words = (
        f"The proxy 127.0.0.1:{proxy.port} of {variable.upper()} refused to connect",
        SERVER[:-3],
    )
    assert all(word in str(error) for word in words)
    assert ("password" in str(error)) is (status == 407)
    assert "valid HTTP" not in str(error)


async def test_status_407_of_plain_request() -> None:
    async with FaultyServer(whole(407, b"")) as proxy:
        error = await failure(proxy.url)
    assert isinstance(error, rxagents.StatusError)
    assert str(error).startswith("The proxy answered with status 407")
    assert "HTTP_PROXY" in str(error)


TUNNEL = b"HTTP/1.1 200 OK\r\n\r\n"
PARTIAL_HELLO = b"\x16\x03\x03\x00\x7a\x02"


@pytest.mark.parametrize(
    "before",
    [[], [TUNNEL], [TUNNEL, Cue.PAUSE, PARTIAL_HELLO]],
    ids=["CONNECT", "tunnel", "handshake"],
)
@pytest.mark.parametrize("end", [Cue.FIN, Cue.RESET])
async def test_proxy_that_cuts_is_asked_again(
    before: Act, end: Cue, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultyServer([*before, Cue.PAUSE, end]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        error = await failure()
        assert len(proxy.requests) == 2
    assert isinstance(error, rxagents.TransportError)
    assert f"through the proxy 127.0.0.1:{proxy.port} of HTTPS_PROXY" in str(error)
    assert "Error" not in str(error)


@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4", "ftp"])
@pytest.mark.parametrize("url", [SERVER, "http://llm.example/v1"])
async def test_socks_proxy_receives_nothing(
    scheme: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FaultyServer([Cue.FIN]) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"{scheme}://127.0.0.1:{proxy.port}")
        error = await failure(url)
        assert proxy.accepted == 0
    assert isinstance(error, rxagents.ConfigurationError)
    assert f"The proxy in ALL_PROXY is a {scheme} proxy" in str(error)
    assert "NO_PROXY" in str(error)


async def test_http_proxy_wins_over_socks(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultyServer([*whole(403, b""), Cue.FIN]) as proxy:
        monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        assert isinstance(await failure(), rxagents.ConnectError)
        assert len(proxy.requests) == 1


@pytest.mark.parametrize(
    ("proxy", "words"),
    [
        ("127.0.0.1:3128", "has no scheme. Write HTTPS_PROXY=http://127.0.0.1:3128."),
        ("nonsense", "has no scheme. Write HTTPS_PROXY=http://nonsense."),
        (
            "me:secret@proxy:3128",
            "has no scheme. Write HTTPS_PROXY=http://user:password@host:port.",
        ),
        ("http://", "no host"),
        ("http://[bad", "not a valid URL"),
        ("http://me:secret@127.0.0.1:99999", "port is not a number up to 65535"),
        ("http://a..b:3128", "a..b is not a valid host name"),
        ("http://xn--a:3128", "not a valid name"),
        ("http://256.1.1.1:3128", "256.1.1.1 is not a valid IPv4 address"),
    ],
)
async def test_unusable_proxy_is_refused(
    proxy: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = await failure()
    assert isinstance(error, rxagents.ConfigurationError)
    assert str(error).startswith("The proxy in HTTPS_PROXY ")
    assert words in str(error)
    assert "secret" not in str(error)
    assert "session" not in str(error)


async def test_unknown_proxy_host_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://no-such-host.invalid:3128")
    error = await failure()
    assert isinstance(error, rxagents.ConnectError)
    assert "through the proxy no-such-host.invalid:3128 of HTTPS_PROXY" in str(error)


@pytest.mark.parametrize("status", [407, 502])
async def test_own_sessions_proxy_is_not_environments(status: int) -> None:
    async with FaultyServer([*whole(status, b""), Cue.FIN]) as proxy:
        async with aiohttp.ClientSession(proxy=proxy.url) as session:
            error = await failure(session=session, max_retries=0)
    assert isinstance(error, rxagents.ConnectError)
    assert str(error).startswith("The session's proxy refused to connect")


async def test_host_without_tls_is_no_certificate_problem() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(10)
        writer.write(head(400))
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        error = await failure(f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
    assert isinstance(error, rxagents.ConnectError)
    assert str(error).startswith("The TLS handshake with https://127.0.0.1")
    assert not error.retryable
