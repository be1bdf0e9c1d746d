"""Let a model send HTTP requests, to public addresses only."""

from __future__ import annotations

import codecs
from collections.abc import Collection
from functools import partial
from typing import Literal, TypeAlias, get_args

import aiohttp

from rxagents.core.checks import checked_count, checked_seconds
from rxagents.core.errors import ConfigurationError, ToolError
from rxagents.core.tools import Tool, tool
from rxagents.tools.guarded_http import (
    GuardedRequest,
    HttpLimits,
    parse_url,
    read_up_to,
    send_guarded,
)
from rxagents.tools.host_names import checked_hosts
from rxagents.tools.http_headers import checked_headers

Method: TypeAlias = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]

_TEXTS = ("text/", "+json", "+xml", "/json", "/xml", "/javascript", "/yaml", "/x-yaml", "/x-ndjson")

_CHARSETS = frozenset({"ascii", "cp1252", "gb18030", "iso8859-1", "shift_jis", "utf-16", "utf-8"})


def http_request_tool(
    *,
    allowed_hosts: Collection[str] | None = None,
    allow_private: bool = False,
    timeout: float = 20.0,
    max_bytes: int = 64 * 1024,
    methods: Collection[Method] = get_args(Method),
    max_body_bytes: int = 1024 * 1024,
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
        methods: The methods that the model may use, such as `("GET", "HEAD")`; all six by default.
        max_body_bytes: The number of bytes that a request's body may have.

    Raises:
        ConfigurationError: An argument is of the wrong type or size.
    """
    limits = HttpLimits(
        hosts=None if allowed_hosts is None else checked_hosts(allowed_hosts),
        allow_private=allow_private,
        timeout=checked_seconds("timeout", timeout),
    )
    read = partial(_render, max_bytes=checked_count("max_bytes", max_bytes))
    allowed = _checked_methods(methods)
    checked_count("max_body_bytes", max_body_bytes)

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
        if method not in allowed:
            raise ToolError(f"The method {method} is not allowed. Use {', '.join(allowed)}.")
        data = None if body is None else body.encode("utf-8", "replace")
        if data is not None and len(data) > max_body_bytes:
            raise ToolError(
                f"The body has {len(data)} bytes, and at most {max_body_bytes} are allowed. Send "
                "less."
            )
        request = GuardedRequest(
            url=parse_url(url), method=method, headers=checked_headers(headers or {}), body=data
        )
        return await send_guarded(request, limits, read)

    return http_request


def _checked_methods(methods: Collection[Method]) -> tuple[Method, ...]:
    known = get_args(Method)
    if isinstance(methods, str) or not isinstance(methods, Collection) or not methods:
        raise ConfigurationError(f"methods must be a list such as ['GET'], not {methods!r}.")
    unknown = [method for method in methods if method not in known]
    if unknown:
        raise ConfigurationError(
            f"methods must hold names of {', '.join(known)}, not {unknown[0]!r}."
        )
    return tuple(method for method in known if method in methods)


async def _render(response: aiohttp.ClientResponse, max_bytes: int) -> str:
    kind = response.content_type
    head = f"HTTP {response.status} {response.reason or ''}".rstrip()
    lines = [head, f"URL: {response.url}", f"Content-Type: {kind}", ""]
    if not any(kind.startswith(text) or kind.endswith(text) for text in _TEXTS):
        return "\n".join([*lines, "(The body is not text and is not shown.)"])
    body = await read_up_to(response.content, max_bytes + 1)
    lines.append(body[:max_bytes].decode(_charset(response), "replace"))
    if len(body) > max_bytes:
        lines.append(f"(Truncated: the body is longer than {max_bytes} bytes.)")
    return "\n".join(lines)


def _charset(response: aiohttp.ClientResponse) -> str:
    """Return the response's charset if it is a common one, else UTF-8."""
    try:
        name = codecs.lookup(response.charset or "utf-8").name
    except LookupError:
        return "utf-8"
    return name if name in _CHARSETS else "utf-8"


http_request = http_request_tool()
