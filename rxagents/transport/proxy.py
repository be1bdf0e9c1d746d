"""Choose the environment's proxy for a URL."""

from __future__ import annotations

import base64
import functools
import os
import sys
import urllib.request

from msgspec import Struct, field
from yarl import URL

from rxagents.core.errors import ConfigurationError
from rxagents.transport.urls import parse_url

_SYSTEM_HAS_PROXIES = sys.platform in {"darwin", "win32"}
"""Whether `urllib` finds proxies outside of the environment too."""


class Proxy(Struct, frozen=True):
    """A proxy of the environment.

    Attributes:
        url: Its URL, without a user name and a password.
        variable: The environment variable that names it.
        headers: The headers that it gets and the server does not.
    """

    url: URL
    variable: str
    headers: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"the proxy {self.url.host}:{self.url.port} of {self.variable}"


def proxy_of_environment(url: URL) -> Proxy | None:
    """Return the environment's proxy for `url`; `None` for no proxy.

    aiohttp's own `trust_env` would also read `.netrc`, and refuse a request that has both a key
    and a password from there.

    Raises:
        ConfigurationError: The proxy in the environment is not the URL of an HTTP proxy. aiohttp
            would speak HTTP to any other proxy too: a SOCKS proxy would get the request in clear.
    """
    if not _SYSTEM_HAS_PROXIES and not any(map(os.environ.get, _names(url.scheme))):
        return None
    proxies = urllib.request.getproxies()
    kind = url.scheme if proxies.get(url.scheme) else "all"
    address = proxies.get(kind, "").strip()
    if not address or urllib.request.proxy_bypass(url.host or ""):
        return None
    variable = f"{kind.upper()}_PROXY"
    scheme, colon, _ = address.partition("://")
    if not colon:
        hidden = "@" in address  # a password may stand before it
        raise ConfigurationError(
            f"The proxy in {variable} has no scheme. Write "
            f"{variable}=http://{'user:password@host:port' if hidden else address}."
        )
    if scheme.lower() not in {"http", "https"}:
        raise ConfigurationError(
            f"The proxy in {variable} is a {scheme} proxy, but only http:// and https:// proxies "
            f"are supported. Set {url.scheme.upper()}_PROXY to an HTTP proxy, add {url.host} to "
            f"NO_PROXY, or pass a session whose connector speaks {scheme}."
        )
    try:
        proxy = parse_url(address)
    except ValueError as error:
        raise ConfigurationError(
            f"The proxy in {variable} is not usable: {error}. Write {variable}=http://host:port."
        ) from None
    if proxy.user is None:
        return Proxy(proxy, variable)
    password = f"{proxy.user}:{proxy.password or ''}".encode()
    headers = {"proxy-authorization": f"Basic {base64.b64encode(password).decode()}"}
    return Proxy(proxy.with_user(None), variable, headers)


@functools.cache
def _names(scheme: str) -> tuple[str, ...]:
    """Return the variables that may name a proxy; `urllib` reads all there are, for 0.1 ms."""
    names = (f"{scheme}_proxy", "all_proxy")
    return *names, *map(str.upper, names)
