"""Let in who may come, and answer in the form of the protocol when something fails."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from hmac import compare_digest
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.serve.failures import RequestError, error_response

_log = logging.getLogger("rxagents.serve")

_OPEN: Final = frozenset({"/", "/health", "/ready"})
"""What is sent without a token: the page asks for it, and a load balancer has none."""

_ALLOWED_ORIGIN: Final = web.RequestKey("allowed_origin", str)
_CORS_METHODS: Final = "GET, POST, DELETE, OPTIONS"
_CORS_HEADERS: Final = "Authorization, Content-Type, Idempotency-Key, Last-Event-ID"


def errors_as_responses() -> Middleware:
    """Return a middleware that answers an exception without a traceback."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except web.HTTPException as error:
            return error_response(request, RequestError(error.status, error.reason))
        except Exception as error:
            response = error_response(request, error)
            if response.status >= 500:
                known = isinstance(error, RxAgentsError | RequestError)
                _log.error(
                    "%s %s failed: %s",
                    request.method,
                    request.path,
                    type(error).__name__,
                    exc_info=None if known else error,  # a fault in the code of the agent
                )
            return response

    return middleware


def checked_origin(origins: Sequence[str]) -> Middleware:
    """Return a middleware for CORS: only pages of these origins may call the server.

    A browser sends a plain POST of any page without asking, and only hides the response. So a page
    of another site is refused, else it could start runs at a server on the reader's machine.

    Args:
        origins: Such as `"https://example.org"`; `"*"` is any.

    Raises:
        ConfigurationError: One of them is no origin.
    """
    for each in origins:
        parts = urlsplit(each)
        if each != "*" and (not parts.netloc or each != f"{parts.scheme}://{parts.netloc}"):
            raise ConfigurationError(
                "cors must be origins such as 'https://example.org', without a path and a slash at "
                f"the end, or '*', not {each!r}."
            )

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        origin = request.headers.get("Origin", "")
        allowed = origin if origin and (origin in origins or "*" in origins) else ""
        if request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers:
            response: web.StreamResponse = web.Response(status=204 if allowed else 403)
            response.headers["Access-Control-Allow-Methods"] = _CORS_METHODS
            response.headers["Access-Control-Allow-Headers"] = _CORS_HEADERS
            if allowed:
                response.headers["Access-Control-Allow-Origin"] = allowed
            return response
        if allowed:
            request[_ALLOWED_ORIGIN] = allowed
        elif origin and request.method == "POST" and not _is_same_origin(request, origin):
            raise RequestError(403, "Pages of this origin may not call the server: see cors.")
        return await handler(request)

    return middleware


def _is_same_origin(request: web.Request, origin: str) -> bool:
    site = request.headers.get("Sec-Fetch-Site")  # right also where a proxy changes the host
    if site is not None:
        return site in {"same-origin", "none"}
    return urlsplit(origin).netloc == request.host


async def add_cors_header(request: web.BaseRequest, response: web.StreamResponse) -> None:
    """Add the header of CORS before a response begins; a signal of the application."""
    allowed = request.get(_ALLOWED_ORIGIN)
    if allowed:
        response.headers["Access-Control-Allow-Origin"] = allowed
        response.headers["Vary"] = "Origin"


def checked_host(origins: Sequence[str]) -> Middleware:
    """Return a middleware for a server without a token: it wants a host that needs no DNS.

    A page may let its own name resolve to the reader's machine (DNS rebinding), and is of the
    server's origin then. An address or `localhost` cannot be such a name.

    Args:
        origins: Those of CORS; their hosts are let in too.
    """
    known = {"localhost", *(urlsplit(each).hostname for each in origins)}

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        host = urlsplit(f"//{request.host}").hostname or ""
        if "*" in origins or host in known or request.path in _OPEN or _is_address(host):
            return await handler(request)
        raise RequestError(
            403,
            f"A server without a token does not answer to the name {host!r}. Use its address, give "
            "it a token, or name the origin in cors.",
        )

    return middleware


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def checked_token(token: str) -> Middleware:
    """Return a middleware that wants `Authorization: Bearer TOKEN`, compared in constant time."""
    expected = f"Bearer {token}".encode()

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "").encode("utf-8", "surrogateescape")
        if request.path in _OPEN or compare_digest(given, expected):
            return await handler(request)
        raise RequestError(401, "Send the server's token as Authorization: Bearer TOKEN.")

    return middleware
