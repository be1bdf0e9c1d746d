"""Send HTTP requests of tools, to public addresses only.

Theory of operation. A model's URL must not reach services of the private network. A check of the
URL or of its host name proves nothing: a name can resolve to another address at the next lookup
(DNS rebinding), and a number has many spellings. So the check is in `_Guard.make_socket`, which
aiohttp calls with the very address that it connects to next. A redirect is another request with
another address: aiohttp's own redirects are off, and each hop passes `parse_url`, the allowed
hosts, the guard and the header rules again.

Each hop has a session and a connector of its own, whose socket factory is its guard; a shared one
could reuse a connection that another policy allowed. `trust_env=False` must stay: behind a proxy
the proxy connects, and no check of an address would apply.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias, TypeVar

import aiohttp
from msgspec import Struct, structs
from yarl import URL

from rxagents.core.errors import ToolError
from rxagents.runtime.name_lookup import make_resolver
from rxagents.tools.host_names import host_of, is_valid_host
from rxagents.tools.http_headers import for_any_origin
from rxagents.tools.public_addresses import is_public

T = TypeVar("T")

Read: TypeAlias = Callable[[aiohttp.ClientResponse], Awaitable[T]]
"""Reads the response that is no redirect."""

_REDIRECTS = 5


class HttpLimits(Struct, frozen=True, kw_only=True):
    """The limits of requests.

    Attributes:
        hosts: The hosts that they may go to, as `host_of` spells them; `None` for any.
        allow_private: Whether they may connect to addresses that are not public.
        timeout: Seconds of a request, with its redirects.
    """

    hosts: frozenset[str] | None
    allow_private: bool
    timeout: float


class GuardedRequest(Struct, frozen=True, kw_only=True):
    """A request; its URL is one that `parse_url` has returned."""

    url: URL
    method: str
    headers: dict[str, str]
    body: bytes | None


def parse_url(text: str) -> URL:
    """Return a URL of http or https with a host, and without a password.

    Raises:
        ToolError: It is none.
    """
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


async def send_guarded(request: GuardedRequest, limits: HttpLimits, read: Read[T]) -> T:
    """Send a request, follow its redirects, and return what `read` makes of the response.

    Raises:
        ToolError: The host is not allowed or cannot be reached, or it redirects too often.
    """
    try:
        async with asyncio.timeout(limits.timeout):
            return await _follow_redirects(request, limits, read)
    except TimeoutError:
        raise ToolError(
            f"{request.url.host} did not respond within {limits.timeout:g} seconds. Try again "
            "later, or request less."
        ) from None


async def _follow_redirects(request: GuardedRequest, limits: HttpLimits, read: Read[T]) -> T:
    for _ in range(_REDIRECTS + 1):
        if limits.hosts is not None and host_of(request.url) not in limits.hosts:
            raise ToolError(
                f"The host {request.url.host!r} is not allowed. Use one of "
                f"{', '.join(sorted(limits.hosts))}."
                if limits.hosts
                else "No host is allowed. Go on without this tool."
            )
        outcome = await _send(request, limits, read)
        if not isinstance(outcome, GuardedRequest):
            return outcome
        request = outcome
    raise ToolError(f"The host redirected more than {_REDIRECTS} times. Request another URL.")


async def _send(request: GuardedRequest, limits: HttpLimits, read: Read[T]) -> T | GuardedRequest:
    """Send one request; return what `read` makes of it, or the request of a redirect."""
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
            return await read(response)
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


def _redirected(request: GuardedRequest, status: int, location: str) -> GuardedRequest:
    """Return the request after a redirect, following https://fetch.spec.whatwg.org."""
    try:
        url = parse_url(str(request.url.join(URL(location))))
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


async def read_up_to(content: aiohttp.StreamReader, size: int) -> bytes:
    """Return the first bytes of a body, at most `size`."""
    body = b""
    while len(body) < size and (data := await content.read(size - len(body))):
        body += data
    return body
