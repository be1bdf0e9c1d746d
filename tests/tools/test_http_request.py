"""Requests, responses, redirects and errors of the HTTP tool."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest
from http_site import KEY, OPEN, ask, refusal, running_site

from rxagents import ConfigurationError, ToolArgumentsError
from rxagents.tools import http_request, http_request_tool


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
    [
        {"allowed_hosts": "example.com"},
        {"allowed_hosts": 5},
        {"timeout": 0},
        {"max_bytes": 0},
        *(
            {"allowed_hosts": [name]}
            for name in (5, "", "*.example.com", "a.example:80", "http://a")
        ),
    ],
)
def test_bad_options_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        http_request_tool(**options)


async def test_method_must_be_allowed() -> None:
    async with running_site() as site:
        reading = http_request_tool(allow_private=True, methods=["HEAD", "GET"])
        site.answer("/", "read")
        assert "read" in await ask(reading, url=site.url())
        message = await refusal(reading, url=site.url(), method="POST", body="x")
        assert "The method POST is not allowed. Use GET, HEAD." in message
        assert len(site.requests) == 1


async def test_long_request_body_is_refused() -> None:
    async with running_site() as site:
        small = http_request_tool(allow_private=True, max_body_bytes=10)
        site.answer("/", "taken")
        assert "taken" in await ask(small, url=site.url(), method="POST", body="0123456789")
        message = await refusal(small, url=site.url(), method="POST", body="ü" * 6)
        assert "The body has 12 bytes, and at most 10 are allowed" in message
        assert len(site.requests) == 1


@pytest.mark.parametrize("methods", [[], "GET", ["TRACE"], 5])
def test_bad_methods_raise(methods: Any) -> None:
    with pytest.raises(ConfigurationError, match="methods must"):
        http_request_tool(methods=methods)
