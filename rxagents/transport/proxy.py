"""Choose the environment's proxy for a URL."""

from __future__ import annotations

import base64
import urllib.request
from typing import TypedDict

from yarl import URL

from rxagents.core.errors import ConfigurationError


class Proxy(TypedDict, total=False):
    """The proxy for a request, as arguments of aiohttp; empty for no proxy."""

    proxy: URL
    proxy_headers: dict[str, str]


def proxy_of_environment(url: URL) -> Proxy:
    """Return the environment's proxy for `url`.

    aiohttp's own `trust_env` would also read `.netrc`, and refuse a request that has both a key
    and a password from there.

    Raises:
        ConfigurationError: The proxy in the environment is no URL.
    """
    proxies = urllib.request.getproxies()
    address = proxies.get(url.scheme) or proxies.get("all")
    if not address or urllib.request.proxy_bypass(url.host or ""):
        return {}
    try:
        proxy = URL(address)
    except ValueError:
        proxy = URL()
    if not proxy.host:
        raise ConfigurationError(
            f"The environment's proxy for {url.scheme} is not a URL. Check "
            f"{url.scheme.upper()}_PROXY and ALL_PROXY: write http://host:port."
        )
    if proxy.user is None:
        return {"proxy": proxy}
    password = f"{proxy.user}:{proxy.password or ''}".encode()
    headers = {"proxy-authorization": f"Basic {base64.b64encode(password).decode()}"}
    return {"proxy": proxy.with_user(None), "proxy_headers": headers}
