"""Parse URLs, and refuse those whose host no connection can be made to."""

from __future__ import annotations

import ipaddress
import re

from yarl import URL

_NUMERIC = re.compile(r"[0-9.]+")
"""A host of digits and dots is an IPv4 address and no name (RFC 3986, section 3.2.2)."""


def parse_url(address: str) -> URL:
    """Return a URL that has a scheme and a host.

    yarl and aiohttp find some invalid hosts only when they connect.

    Raises:
        ValueError: It is no such URL, or its host is no valid name or IP address. The message does
            not quote a user name or a password.
    """
    try:
        url = URL(address)
        host = url.host
    except UnicodeError:
        raise ValueError("its host is not a valid name") from None
    except ValueError:
        raise ValueError("it is not a valid URL, or its port is not a number up to 65535") from None
    if not url.scheme or not host:
        raise ValueError("it has no scheme or no host")
    if _NUMERIC.fullmatch(host):
        try:
            ipaddress.IPv4Address(host)
        except ValueError:
            raise ValueError(f"{host} is not a valid IPv4 address") from None
    try:
        host.encode("idna")  # as `socket.getaddrinfo` does
    except UnicodeError:
        raise ValueError(f"{host} is not a valid host name") from None
    return url
