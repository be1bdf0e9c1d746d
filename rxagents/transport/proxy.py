"""The environment's proxies."""

from __future__ import annotations

import base64
import urllib.request
from typing import TypedDict

from yarl import URL

from rxagents.core.errors import ConfigurationError


class Proxy(TypedDict, total=False):
    """How to reach a host by a proxy, as aiohttp's arguments; empty for none."""

    proxy: URL
    proxy_headers: dict[str, str]


def proxy_of_environment(url: URL) -> Proxy:
    """Return how to reach `url` by the environment's proxy, if it names one.

    aiohttp's own `trust_env` would read `.netrc` too, and refuse a key beside its password.

    Raises:
        ConfigurationError: What the environment names is no proxy.
    """
    named = urllib.request.getproxies()
    address = named.get(url.scheme) or named.get("all")
    if not address or urllib.request.proxy_bypass(url.host or ""):
        return {}
    try:
        proxy = URL(address)
    except ValueError:
        proxy = URL()
    if not proxy.host:
        raise ConfigurationError(
            f"The {url.scheme} proxy that the environment names is no URL: write http://host:port."
        )
    if proxy.user is None:
        return {"proxy": proxy}
    password = f"{proxy.user}:{proxy.password or ''}".encode()
    headers = {"proxy-authorization": f"Basic {base64.b64encode(password).decode()}"}
    return {"proxy": proxy.with_user(None), "proxy_headers": headers}
