"""Send HTTP requests for models, to public addresses only.

Theory of operation. A model's URL must not reach services of the private network. A check of the
URL or of its host name proves nothing: a name can resolve to another address at the next lookup
(DNS rebinding), and a number has many spellings. So the check is in `_Guard.make_socket`, which
aiohttp calls with the very address that it connects to next. A redirect is another request with
another address: aiohttp's own redirects are off, and each hop passes `_url`, the allowed hosts,
the guard and the header rules again.

Each hop has a session and a connector of its own, whose socket factory is its guard; a shared one
could reuse a connection that another policy allowed. `trust_env=False` must stay: behind a proxy
the proxy connects, and no check of an address would apply.
"""

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
from rxagents.core.errors import ToolError
from rxagents.core.tools import Tool, tool
from rxagents.runtime.name_lookup import make_resolver
from rxagents.tools.host_names import checked_hosts, host_of, is_valid_host
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

    The tool connects only to addresses of the public internet. It checks the address that the
    socket connects to, so that neither a name that resolves differently the next time, nor
    another spelling of a number, nor a redirect leads elsewhere. It does not use cookies,
    `.netrc` or the proxies of the environment: a proxy would connect to unchecked addresses. Up
    to 5 redirects are followed; a redirect to another origin gets no headers that may contain a
    key, and no body.

    Args:
        allowed_hosts: The names of the hosts that requests may go to, in Unicode or in punycode,
            without a port; `None` for any host.
        allow_private: Whether the tool may connect to addresses that are not public.
        timeout: Seconds that a request may take, redirects included.
        max_bytes: The number of bytes of a response's body that the model gets at most.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    limits = _Limits(
        hosts=None if allowed_hosts is None else checked_hosts(allowed_hosts),
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
        """Send an HTTP request and return the status and the text of the response.

        Args:
            url: The URL, with http:// or https://.
            method: The HTTP method.
            headers: The headers to send.
            body: The text to send; set its content-type in the headers.
        """
        request = _Request(
            url=_url(url), method=method, headers=checked_headers(headers or {}), body=body
        )
        try:
            async with asyncio.timeout(limits.timeout):
                return await _follow_redirects(request, limits)
        except TimeoutError:
            raise ToolError(
                f"{request.url.host} did not respond within {limits.timeout:g} seconds. Try again "
                "later, or request less."
            ) from None

    return http_request


def _url(text: str) -> URL:
    try:
        url = URL(text.strip())
        port = url.port
    except ValueError as error:
        raise ToolError(f"Invalid URL ({error}). Write it like https://example.com/x.") from None
    if url.scheme not in {"http", "https"} or not url.raw_host or not port:
        raise ToolError("The URL must begin with http:// or https:// and contain a host.")
    if url.user is not None or url.password is not None:
        raise ToolError("The URL must not contain a user name or password. Omit them.")
    if not is_valid_host(url):
        raise ToolError(f"Invalid host name {url.raw_host[:80]!r}. Check its spelling.")
    return url


async def _follow_redirects(request: _Request, limits: _Limits) -> str:
    """Send a request, follow its redirects, and return the text for the model."""
    for _ in range(_REDIRECTS + 1):
        if limits.hosts is not None and host_of(request.url) not in limits.hosts:
            raise ToolError(
                f"The host {request.url.host!r} is not allowed. Use one of "
                f"{', '.join(sorted(limits.hosts))}."
                if limits.hosts
                else "No host is allowed. Go on without this tool."
            )
        outcome = await _send(request, limits)
        if isinstance(outcome, str):
            return outcome
        request = outcome
    raise ToolError(f"The host redirected more than {_REDIRECTS} times. Request another URL.")


async def _send(request: _Request, limits: _Limits) -> str | _Request:
    """Send one request; return the text for the model, or the request of a redirect."""
    guard = _Guard(allow_private=limits.allow_private)
    connector = aiohttp.TCPConnector(
        socket_factory=guard.make_socket, resolver=make_resolver(), force_close=True
    )
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
            return await _render(response, limits.max_bytes)
    except (aiohttp.ClientError, OSError, ValueError) as error:
        failure = _failure(request.url, error, guard)
    # Raised outside of `except`, without a cause: aiohttp's errors contain the request's headers.
    raise failure


class _Guard:
    """Creates the sockets of a request, only for addresses that it may connect to.

    Attributes:
        refused: The last address that was refused; empty if none was.
    """

    def __init__(self, *, allow_private: bool) -> None:
        self._allow_private = allow_private
        self.refused = ""

    def make_socket(self, info: tuple[Any, ...]) -> socket.socket:
        """Create the socket for an address of `getaddrinfo`, to which aiohttp then connects it."""
        family, kind, protocol, _, (address, *_) = info
        if not self._allow_private and not is_public(str(address)):
            self.refused = str(address)
            raise PermissionError(f"{address} is not public")
        return socket.socket(family, kind, protocol)


def _failure(url: URL, error: Exception, guard: _Guard) -> ToolError:
    where = f"{url.host}:{url.port}"
    if guard.refused and isinstance(error, aiohttp.ClientConnectorError):
        return ToolError(
            f"{where} has the address {guard.refused}, which is not on the public internet. Use a "
            "public host."
        )
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return ToolError(f"Unknown host {url.host!r}. Check its name.")
    if isinstance(error, aiohttp.ClientSSLError):
        return ToolError(f"The TLS certificate of {where} cannot be verified. Use another host.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return ToolError(f"Cannot connect to {where}. Check the host, or try again later.")
    if isinstance(error, aiohttp.InvalidURL):
        return ToolError(f"Invalid host name {url.host!r}. Check its spelling.")
    if isinstance(error, ValueError):
        return ToolError("The headers cannot be sent: names and values must not contain line ends.")
    return ToolError(f"{where} sent no complete HTTP response. Try again later.")


def _redirected(request: _Request, status: int, location: str) -> _Request:
    """Return the request after a redirect, following https://fetch.spec.whatwg.org."""
    try:
        url = _url(str(request.url.join(URL(location))))
    except ValueError:
        raise ToolError("The host redirected to an invalid URL. Use another URL.") from None
    to_get = (status == 303 and request.method != "HEAD") or (
        status in {301, 302} and request.method == "POST"
    )
    if to_get:
        request = structs.replace(request, method="GET", body=None)
    if url.origin() == request.url.origin():
        return structs.replace(request, url=url)
    if request.body is not None:
        raise ToolError(
            f"The host redirected to {url.origin()}; the body is not forwarded to another origin. "
            "If that host is right, send the request there."
        )
    return structs.replace(request, url=url, headers=for_any_origin(request.headers))


async def _render(response: aiohttp.ClientResponse, max_bytes: int) -> str:
    kind = response.content_type
    head = f"HTTP {response.status} {response.reason or ''}".rstrip()
    lines = [head, f"URL: {response.url}", f"Content-Type: {kind}", ""]
    if not any(kind.startswith(text) or kind.endswith(text) for text in _TEXTS):
        return "\n".join([*lines, "(The body is not text and is not shown.)"])
    body = await _read_up_to(response.content, max_bytes + 1)
    lines.append(body[:max_bytes].decode(_charset(response), "replace"))
    if len(body) > max_bytes:
        lines.append(f"(Truncated: the body is longer than {max_bytes} bytes.)")
    return "\n".join(lines)


async def _read_up_to(content: aiohttp.StreamReader, size: int) -> bytes:
    body = b""
    while len(body) < size and (data := await content.read(size - len(body))):
        body += data
    return body


def _charset(response: aiohttp.ClientResponse) -> str:
    """Return the response's charset if it is a common one, else UTF-8."""
    try:
        name = codecs.lookup(response.charset or "utf-8").name
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


http_request = http_request_tool()
