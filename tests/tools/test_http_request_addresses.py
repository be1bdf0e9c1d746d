"""The HTTP tool connects only to public addresses and allowed hosts."""

from __future__ import annotations

import importlib
import socket
from typing import Any

import pytest
from http_site import KEY, OPEN, REFUSED, ask, refusal, running_site

from rxagents.tools import http_request, http_request_tool
from rxagents.tools.public_addresses import is_public

_module = importlib.import_module("rxagents.tools.guarded_http")


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
        ("http://xn--a/", "Invalid host name 'xn--a'"),
        ("http://xn--/", "Invalid host name 'xn--'"),
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


@pytest.mark.parametrize(
    ("allowed", "url"),
    [
        ("xn--strae-oqa.example", "http://xn--strae-oqa.example/"),
        ("xn--strae-oqa.example", "http://stra\u00dfe.example/"),
        ("stra\u00dfe.example", "http://xn--strae-oqa.example/"),
        ("STRA\u00dfE.example", "http://stra\u00dfe.EXAMPLE/"),
        ("a.example", "http://a.example./"),
        ("a.example.", "http://a.example/"),
        ("::1", "http://[::1]/"),
        ("[::1]", "http://[::1]/"),
    ],
)
async def test_spelling_of_allowed_host_does_not_matter(
    allowed: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def find_nothing(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "")

    monkeypatch.setattr(socket, "getaddrinfo", find_nothing)
    request = http_request_tool(allowed_hosts=[allowed])
    assert "is not allowed" not in await refusal(request, url=url)
    assert "is not allowed" in await refusal(request, url="http://b.example/")


async def test_empty_list_allows_no_host() -> None:
    request = http_request_tool(allowed_hosts=[])
    assert await refusal(request, url="http://a.example/") == (
        "No host is allowed. Go on without this tool."
    )


async def test_only_allowed_hosts_are_requested() -> None:
    async with running_site() as site:
        narrow = http_request_tool(allowed_hosts=["127.0.0.1"], allow_private=True)
        site.answer("/", "here")
        site.redirect("/away", site.url(host="localhost"))
        assert (await ask(narrow, url=site.url())).endswith("here")
        for url in (site.url(host="localhost"), site.url("/away"), "http://example.com/"):
            assert "is not allowed. Use one of 127.0.0.1" in await refusal(narrow, url=url)
