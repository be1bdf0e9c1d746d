"""HTTP for models: every address is checked where it is connected to, on every hop."""

from __future__ import annotations

import asyncio
import codecs
import socket
from collections.abc import Collection
from typing import Any, Literal, TypeAlias

import aiohttp
from msgspec import Struct, structs
from yarl import URL

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.tools import Tool, tool
from rxagents.tools.http_headers import checked_headers, for_any_origin
from rxagents.tools.public_addresses import is_public

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

_REDIRECTS = 5

_TEXTS = ("text/", "+json", "+xml", "/json", "/xml", "/javascript", "/yaml", "/x-yaml", "/x-ndjson")

_CHARSETS = frozenset({"ascii", "cp1252", "gb18030", "iso8859-1", "shift_jis", "utf-16", "utf-8"})


class _Limits(Struct, frozen=True, kw_only=True):
    hosts: frozenset[str] | None
    allow_private: bool
    timeout: float
    max_bytes: int


class _Request(Struct, frozen=True, kw_only=True):
    url: URL
    method: str
    headers: dict[str, str]
    body: str | None


def http_request_tool(
    *,
    allowed_hosts: Collection[str] | None = None,
    allow_private: bool = False,
    timeout: float = 20.0,
    max_bytes: int = 64 * 1024,
) -> Tool:
    """Make a tool that sends HTTP requests.

    It connects to addresses of the public internet only: the check is made on the very address
    that the socket gets, so that neither a name that changes its mind, nor a number written in
    another way, nor a redirect leads elsewhere. Cookies, `.netrc` and the proxies of the
    environment are not used: behind a proxy nobody could tell what is connected to. Redirects
    are followed up to 5 times, and to another origin without headers that may hold a key and
    without a body.

    Args:
        allowed_hosts: The only hosts it may ask, by their names; `None` for any.
        allow_private: Whether addresses that are not public may be connected to.
        timeout: How many seconds a request may take, redirects included.
        max_bytes: How much of an answer's body the model gets.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    if isinstance(allowed_hosts, str) or not isinstance(allowed_hosts, Collection | None):
        raise ConfigurationError(f"allowed_hosts must be a list of names, not {allowed_hosts!r}.")
    limits = _Limits(
        hosts=None if allowed_hosts is None else frozenset(map(str.lower, allowed_hosts)),
        allow_private=allow_private,
        timeout=checked_seconds("timeout", timeout),
        max_bytes=checked_count("max_bytes", max_bytes),
    )

    @tool
    async def http_request(
        url: str,
        method: Method = "GET",
        headers: dict[str, str] | None = None,
        body: str | None = None,
    ) -> str:
        """Send an HTTP request and return the status and the text of the answer.

        Args:
            url: The address, with http:// or https://.
            method: The method.
            headers: Headers to send.
            body: The text to send, with its content-type among the headers.
        """
        request = _Request(
            url=_url(url), method=method, headers=checked_headers(headers or {}), body=body
        )
        try:
            async with asyncio.timeout(limits.timeout):
                return await _answer(request, limits)
        except TimeoutError:
            raise ToolError(
                f"{request.url.host} did not answer within {limits.timeout:g} seconds. Try again "
                "later, or ask for less."
            ) from None

    return http_request


def _url(text: str) -> URL:
    try:
        url = URL(text.strip())
        port = url.port
    except ValueError as error:
        raise ToolError(
            f"The URL is not valid ({error}). Write it like https://example.com/x."
        ) from None
    if url.scheme not in {"http", "https"} or not url.host or not port:
        raise ToolError("The URL must begin with http:// or https:// and name a host.")
    if url.user is not None or url.password is not None:
        raise ToolError("The URL must not hold a user name or password. Leave them out.")
    if not _can_be_looked_up(url.raw_host or ""):
        raise ToolError(f"There cannot be a host {url.host[:80]!r}. Check how it is written.")
    return url


def _can_be_looked_up(host: str) -> bool:
    """Whether each label of a host's name is there, and not too long."""
    try:
        host.encode("idna")
    except UnicodeError:
        return False
    return True


async def _answer(request: _Request, limits: _Limits) -> str:
    """Send a request, follow its redirects, and return what the model sees."""
    for _ in range(_REDIRECTS + 1):
        if limits.hosts is not None and request.url.host not in limits.hosts:
            raise ToolError(
                f"The host {request.url.host!r} is not allowed. Use one of "
                f"{', '.join(sorted(limits.hosts))}."
            )
        outcome = await _exchange(request, limits)
        if isinstance(outcome, str):
            return outcome
        request = outcome
    raise ToolError(f"The host redirected more than {_REDIRECTS} times. Ask for another URL.")


async def _exchange(request: _Request, limits: _Limits) -> str | _Request:
    """Send one request; return the answer's text, or the request that it redirects to."""
    guard = _Guard(allow_private=limits.allow_private)
    connector = aiohttp.TCPConnector(socket_factory=guard.make_socket, force_close=True)
    try:
        async with (
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            ) as session,
            session.request(
                request.method,
                request.url,
                headers={"accept-encoding": "identity", **request.headers},
                data=request.body,
                allow_redirects=False,
            ) as response,
        ):
            if response.status in {301, 302, 303, 307, 308} and "location" in response.headers:
                return _redirected(request, response.status, response.headers["location"])
            return await _told(response, limits.max_bytes)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failure = _failure(request.url, error, guard)
    # Raised out here, without a cause: aiohttp's errors hold the request with its headers.
    raise failure


class _Guard:
    """Makes the sockets of a request, for addresses that it may connect to.

    Attributes:
        refused: An address it may not.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.refused = ""

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Return a socket for an address as `getaddrinfo` gives it, which is then connected."""
        family, kind, protocol, _, (address, *_) = info
        if not self._allow_private and not is_public(str(address)):
            self.refused = str(address)
            raise PermissionError(f"{address} is not public")
        return socket.socket(family, kind, protocol)


def _failure(url: URL, error: Exception, guard: _Guard) -> ToolError:
    where = f"{url.host}:{url.port}"
    if guard.refused and isinstance(error, aiohttp.ClientConnectorError):
        return ToolError(
            f"{where} is at {guard.refused}, which is not an address of the public internet: it "
            "must not be connected to. Use a public host."
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ToolError(f"There is no host {url.host!r}. Check its name.")
    if isinstance(error, aiohttp.ClientSSLError):
        return ToolError(f"The TLS certificate of {where} cannot be verified. Use another host.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ToolError(f"Cannot connect to {where}. Check the host, or try again later.")
    if isinstance(error, aiohttp.InvalidURL):
        return ToolError(f"There cannot be a host {url.host!r}. Check how it is written.")
    if isinstance(error, ValueError):
        return ToolError("The headers cannot be sent: names and values must not hold line ends.")
    return ToolError(f"{where} sent no whole answer in HTTP. Try again later.")


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """Return the request after a redirect, as https://fetch.spec.whatwg.org has it."""
    try:
        url = _url(str(request.url.join(URL(location))))
    except ValueError:
        raise ToolError("The host redirected to a URL that is not valid. Use another.") from None
    to_get = (status == 303 and request.method != "HEAD") or (
        status in {301, 302} and request.method == "POST"
    )
    if to_get:
        request = structs.replace(request, method="GET", body=None)
    if url.origin() == request.url.origin():
        return structs.replace(request, url=url)
    if request.body is not None:
        raise ToolError(
            f"The host redirected to {url.origin()}, where the body is not sent unasked. If that "
            "is right, send the request there."
        )
    return structs.replace(request, url=url, headers=for_any_origin(request.headers))


async def _told(response: aiohttp.ClientResponse, max_bytes: int) -> str:
    kind = response.content_type
    head = f"HTTP {response.status} {response.reason or ''}".rstrip()
    lines = [head, f"URL: {response.url}", f"Content-Type: {kind}", ""]
    if not any(kind.startswith(text) or kind.endswith(text) for text in _TEXTS):
        return "\n".join([*lines, "(The body is not text, and not shown.)"])
    body = await _beginning(response.content, max_bytes + 1)
    lines.append(body[:max_bytes].decode(_charset(response), "replace"))
    if len(body) > max_bytes:
        lines.append(f"(Cut here: the body is longer than {max_bytes} bytes.)")
    return "\n".join(lines)


async def _beginning(content: aiohttp.StreamReader, size: int) -> bytes:
    body = b""
    while len(body) < size and (data := await content.read(size - len(body))):
        body += data
    return body


def _charset(response: aiohttp.ClientResponse) -> str:
    """Return the charset that is told, if it is one of the common ones; others are UTF-8."""
    try:
        name = codecs.lookup(response.charset or "utf-8").name
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


http_request = http_request_tool()
