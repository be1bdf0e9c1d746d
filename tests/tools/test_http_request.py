"""The HTTP tool: its results, and the addresses that it does not connect to."""

from __future__ import annotations

import asyncio
import importlib
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from rxagents import ConfigurationError, Tool, ToolArgumentsError, ToolContext, ToolError
from rxagents.tools import http_request, http_request_tool
from rxagents.tools.public_addresses import is_public

OPEN = http_request_tool(allow_private=True)
KEY = "sk-the-key"

REFUSED = re.compile("not on the public internet|Invalid host name|Unknown host")
"""aiohttp rejects some spellings of addresses itself, before the tool checks them."""

# `rxagents.tools.http_request` is the tool, which hides the module of the same name.
_module = importlib.import_module("rxagents.tools.http_request")


class Site:
    """A server on the loopback address that answers from a table of paths.

    Attributes:
        requests: The heads and bodies of the received requests.
        connections: The number of accepted connections.
    """

    def __init__(self) -> None:
        self.answers: dict[str, bytes] = {}
        self.requests: list[str] = []
        self.connections = 0
        self.asked = asyncio.Event()
        self.port = 0

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.port}{path}"

    def answer(
        self, path: str, body: bytes | str, *, status: str = "200 OK", **headers: str
    ) -> None:
        data = body.encode() if isinstance(body, str) else body
        headers.setdefault("content_type", "text/plain")
        lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        head = "\r\n".join([f"HTTP/1.1 {status}", *lines, f"content-length: {len(data)}", "", ""])
        self.answers[path] = head.encode() + data

    def redirect(self, path: str, location: str, status: str = "302 Found") -> None:
        self.answer(path, "", status=status, location=location)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = head.lower().partition("content-length: ")[2].partition("\r")[0]
            body = await reader.readexactly(int(length or 0))
            self.requests.append(head + body.decode())
            self.asked.set()
            answer = self.answers.get(head.split(" ")[1], b"HTTP/1.1 404 Not Found\r\n\r\n")
            if answer == b"hang":
                await reader.read()
            writer.write(answer)
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_site() -> AsyncIterator[Site]:
    site = Site()
    server = await asyncio.start_server(site.serve, "127.0.0.1", 0)
    site.port = server.sockets[0].getsockname()[1]
    try:
        yield site
    finally:
        server.close()
        await server.wait_closed()


async def ask(tool: Tool, **arguments: Any) -> str:
    text = await tool.bind(arguments, ToolContext("1", "http_request"))()
    assert isinstance(text, str)
    return text


async def refusal(tool: Tool, **arguments: Any) -> str:
    with pytest.raises(ToolError) as failure:
        await ask(tool, **arguments)
    assert failure.value.__cause__ is None
    assert KEY not in str(failure.value)
    return str(failure.value)


async def test_response_has_status_url_and_text() -> None:
    async with running_site() as site:
        site.answer("/a?b=c", '{"ok": true}', content_type="application/json")
        site.answer("/gone", "Gone for good", status="410 Gone")
        assert await ask(OPEN, url=site.url("/a?b=c")) == (
            f"HTTP 200 OK\nURL: {site.url('/a?b=c')}\nContent-Type: application/json\n"
            '\n{"ok": true}'
        )
        gone = await ask(OPEN, url=site.url("/gone"))
        assert gone.startswith("HTTP 410 Gone\n")
        assert gone.endswith("\n\nGone for good")


async def test_method_headers_and_body_are_sent() -> None:
    async with running_site() as site:
        site.answer("/", "made", status="201 Created")
        headers = {"Content-Type": "application/json", "X-Key": KEY}
        await ask(OPEN, url=site.url(), method="PUT", headers=headers, body='{"a": "ü"}')
        (request,) = site.requests
        assert request.startswith("PUT / HTTP/1.1\r\n")
        assert f"x-key: {KEY}\r\n" in request.lower()
        assert request.lower().count("content-type") == 1
        assert request.endswith('\r\n\r\n{"a": "ü"}')


async def test_machine_configuration_is_not_sent(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login me password secret")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with running_site() as site:
        monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
        site.answer("/", "", set_cookie="a=b")
        await ask(OPEN, url=site.url())
        await ask(OPEN, url=site.url())
        assert not any("cookie" in r.lower() or "authorization" in r.lower() for r in site.requests)
        assert len(site.requests) == 2


@pytest.mark.parametrize(
    ("body", "kind", "shown"),
    [
        ("grüß".encode(), "text/html", "grüß"),
        ("grüß".encode("latin-1"), "text/html; charset=iso-8859-1", "grüß"),
        (b"\xff\xfea", "text/plain; charset=none-such", "\ufffd\ufffda"),
        (b"xn--80ak6aa92e", "text/plain; charset=punycode", "xn--80ak6aa92e"),
        (b"<a/>", "application/rss+xml", "<a/>"),
        (b"\x89PNG", "image/png", "(The body is not text and is not shown.)"),
        (b"\x00\x01", "application/octet-stream", "(The body is not text and is not shown.)"),
    ],
)
async def test_only_text_is_shown(body: bytes, kind: str, shown: str) -> None:
    async with running_site() as site:
        site.answer("/", body, content_type=kind)
        assert (await ask(OPEN, url=site.url())).partition("\n\n")[2] == shown


async def test_long_body_is_truncated() -> None:
    async with running_site() as site:
        small = http_request_tool(allow_private=True, max_bytes=10)
        site.answer("/", "0123456789")
        site.answer("/long", "0123456789" * 100_000)
        assert (await ask(small, url=site.url())).endswith("\n\n0123456789")
        assert (await ask(small, url=site.url("/long"))).endswith(
            "\n\n0123456789\n(Truncated: the body is longer than 10 bytes.)"
        )


async def test_request_times_out() -> None:
    async with running_site() as site:
        site.answers["/"] = b"hang"
        quick = http_request_tool(allow_private=True, timeout=0.05)
        assert "did not respond within 0.05 seconds" in await refusal(quick, url=site.url())


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0x7f.1"),
        *("0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]"),
        *("[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]", "[fe80::1]", "[fd00:ec2::254]"),
        *("169.254.169.254", "100.100.100.200", "10.0.0.1", "192.168.0.1", "224.0.0.1"),
    ],
)
async def test_private_hosts_are_refused(host: str) -> None:
    async with running_site() as site:
        message = await refusal(http_request, url=site.url(host=host))
        assert REFUSED.search(message), message
        assert site.connections == 0


@pytest.mark.parametrize(
    "address",
    [
        *("127.0.0.1", "127.255.255.254", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192"),
        *("224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "198.18.0.1"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "168.63.129.16", "192.88.99.1"),
        *("::", "::1", "fe80::1", "fe80::1%eth0", "fec0::1", "fc00::1", "fd00:ec2::254", "ff02::1"),
        *("::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:a9fe:a9fe", "64:ff9b::7f00:1"),
        *("64:ff9b::a9fe:a9fe", "64:ff9b:1::808:808", "2002:7f00:1::", "2002:808:808::"),
        *("2001:0:7f00:1::", "2001:db8::1", "::127.0.0.1", "::8.8.8.8", "100::1", "3fff::1"),
        *("5f00::1", "localhost", "2130706433", "0177.0.0.1", "", "127.1"),
    ],
)
def test_address_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.63.255.255", "100.128.0.1", "192.0.1.1", "223.5.5.5",
     "2606:4700::1111", "2a00:1450::1", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)  # fmt: skip
def test_address_is_public(address: str) -> None:
    assert is_public(address)


async def test_rebinding_host_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """DNS rebinding: the name resolves to a public address first, then to a private one."""
    async with running_site() as site:
        lookups: list[Any] = []

        def rebinding(host: Any, port: Any, *_: Any, **__: Any) -> list[Any]:
            lookups.append(host)
            address = "203.0.113.7" if len(lookups) == 1 else "127.0.0.1"
            return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, site.port))]

        monkeypatch.setattr(_module, "is_public", lambda address: address == "203.0.113.7")
        monkeypatch.setattr(socket, "getaddrinfo", rebinding)
        site.answer("/", "reached")
        quick = http_request_tool(timeout=0.3)
        assert "reached" not in await refusal(quick, url=site.url(host="rebinding.example"))
        assert "public internet" in await refusal(
            http_request, url=site.url(host="rebinding.example")
        )
        assert site.connections == 0


async def test_redirect_address_is_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(_module, "is_public", lambda address: address == "127.0.0.1")
    async with running_site() as site:
        for host in ("127.0.0.2", "2130706434", "[::ffff:127.0.0.2]"):
            site.redirect("/", site.url(host=host))
            assert REFUSED.search(await refusal(http_request, url=site.url()))
        assert all("127.0.0.1" in request for request in site.requests)


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("file:///etc/passwd", "must begin with http"),
        ("ftp://example.com/", "must begin with http"),
        ("gopher://127.0.0.1/", "must begin with http"),
        ("//example.com/", "must begin with http"),
        ("example.com", "must begin with http"),
        ("http:///path", "contain a host|Invalid URL"),
        ("", "must begin with http"),
        (f"http://user:{KEY}@example.com/", "must not contain a user name or password"),
        ("http://user@example.com/", "must not contain a user name or password"),
        ("http://example.com:99999/", "Invalid URL"),
        ("http://[::1/", "Invalid URL"),
        ("http://exa mple.com/", "Invalid URL|Unknown host"),
        ("http://a\r\nb/", "Unknown host 'ab'"),
        ("http://a..b/", "Invalid host name 'a..b'"),
        (f"http://{'a' * 300}/", "Invalid host name 'aaa"),
    ],
)
async def test_bad_urls_are_refused(url: str, sentence: str) -> None:
    message = await refusal(http_request, url=url)
    assert any(part in message for part in sentence.split("|")), message


@pytest.mark.parametrize(
    "location", ["file:///etc/passwd", "gopher://127.0.0.1/", "http://me:pw@127.0.0.1/", "http://["]
)
async def test_bad_redirect_urls_are_refused(location: str) -> None:
    async with running_site() as site:
        site.redirect("/", location)
        await refusal(OPEN, url=site.url())
        assert len(site.requests) == 1


async def test_five_redirects_are_followed() -> None:
    async with running_site() as site:
        for number in range(6):
            site.redirect(f"/{number}", f"{number + 1}")
        site.answer("/6", "there")
        assert (await ask(OPEN, url=site.url("/1"))).endswith("there")
        assert "more than 5 times" in await refusal(OPEN, url=site.url("/0"))


@pytest.mark.parametrize(
    ("status", "method", "then", "body"),
    [
        ("301 Moved", "POST", "GET", False),
        ("302 Found", "POST", "GET", False),
        ("303 See Other", "PUT", "GET", False),
        ("303 See Other", "HEAD", "HEAD", False),
        ("302 Found", "PUT", "PUT", True),
        ("307 Temporary Redirect", "POST", "POST", True),
        ("308 Permanent Redirect", "POST", "POST", True),
    ],
)
async def test_redirect_changes_method_like_browsers(
    status: str, method: str, then: str, body: bool
) -> None:
    async with running_site() as site:
        site.redirect("/", "/new", status)
        site.answer("/new", "")
        sent = None if method == "HEAD" else "text"
        await ask(OPEN, url=site.url(), method=method, body=sent)
        assert site.requests[1].startswith(f"{then} /new ")
        assert site.requests[1].endswith("\r\n\r\ntext") == body


async def test_keys_stay_with_their_origin() -> None:
    async with running_site() as site:
        async with running_site() as other:
            other.answer("/", "there")
            headers = {"Authorization": KEY, "X-Api-Key": KEY, "Cookie": KEY, "Accept": "a/b"}
            site.redirect("/same", "/")
            site.answer("/", "here")
            await ask(OPEN, url=site.url("/same"), headers=headers)
            assert site.requests[1].count(KEY) == 3
            site.redirect("/away", other.url(), "307 Temporary Redirect")
            assert (await ask(OPEN, url=site.url("/away"), headers=headers)).endswith("there")
            assert KEY not in other.requests[0]
            assert "accept: a/b" in other.requests[0].lower()
            message = await refusal(OPEN, url=site.url("/away"), method="POST", body=KEY)
            assert "send the request there" in message
            assert len(other.requests) == 1


async def test_only_allowed_hosts_are_requested() -> None:
    async with running_site() as site:
        narrow = http_request_tool(allowed_hosts=["127.0.0.1"], allow_private=True)
        site.answer("/", "here")
        site.redirect("/away", site.url(host="localhost"))
        assert (await ask(narrow, url=site.url())).endswith("here")
        for url in (site.url(host="localhost"), site.url("/away"), "http://example.com/"):
            assert "is not allowed. Use one of 127.0.0.1" in await refusal(narrow, url=url)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "internal"},
        {"content-length": "5"},
        {"Transfer-Encoding": "chunked"},
        {"Proxy-Authorization": KEY},
        {"X-Key": f"{KEY}\r\nHost: internal"},
        {"X\r\nHost": KEY},
        *({name: "internal"} for name in ("host ", " host", "host\t", "host: internal", "")),
        *({name: "5"} for name in ("content-length ", "transfer-encoding\t", "x y", "ü", "x\n")),
    ],
)
async def test_connection_headers_are_refused(
    headers: dict[str, str],
) -> None:
    async with running_site() as site:
        message = await refusal(OPEN, url=site.url(), headers=headers)
        assert re.search("Invalid header name|cannot be set|line ends", message)
        assert site.requests == []


async def test_unknown_method_is_refused() -> None:
    assert "DELETE" in http_request.parameters["properties"]["method"]["enum"]
    with pytest.raises(ToolArgumentsError, match="TRACE"):
        await ask(http_request, url="http://example.com", method="TRACE")


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (b"", "no complete HTTP response"),
        (b"not HTTP at all\r\n\r\n", "no complete HTTP response"),
        (
            b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 9\r\n\r\nhalf",
            "no complete HTTP response",
        ),
        (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 100_000 + b"\r\n\r\n", "no complete HTTP response"),
    ],
)
async def test_broken_response_is_explained(answer: bytes, sentence: str) -> None:
    async with running_site() as site:
        site.answers["/?key=" + KEY] = answer
        message = await refusal(OPEN, url=site.url(f"/?key={KEY}"), headers={"x": KEY})
        assert sentence in message


async def test_connect_error_omits_url() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        message = await refusal(OPEN, url=f"http://127.0.0.1:{port}/?key={KEY}")
    assert message.startswith(f"Cannot connect to 127.0.0.1:{port}.")


async def test_cancel_closes_the_connection() -> None:
    async with running_site() as site:
        site.answers["/"] = b"hang"
        task = asyncio.ensure_future(ask(OPEN, url=site.url()))
        await site.asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


@pytest.mark.parametrize(
    "options",
    [{"allowed_hosts": "example.com"}, {"allowed_hosts": 5}, {"timeout": 0}, {"max_bytes": 0}],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        http_request_tool(**options)
