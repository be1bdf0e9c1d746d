"""Read what a client sends."""

from __future__ import annotations

import asyncio
from typing import Final, TypeVar

import msgspec
from aiohttp import web

from rxagents.core.json_depth import is_deeper
from rxagents.serve.failures import RequestError

T = TypeVar("T")

_DEPTH: Final = 100
"""How many levels of JSON a body may have; a conversation needs ten."""


BODY_SECONDS: Final = web.AppKey("body_seconds", float)
"""How long a body may take."""


async def read_body(request: web.Request, kind: type[T]) -> T:
    """Return the JSON body of a request.

    Raises:
        RequestError: The body is too large (413) or too slow (408), or is not of this type (400).
    """
    body = await read_bytes(request)
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, f"The body cannot be read: {error}.") from error


async def read_bytes(request: web.Request) -> bytes:
    """Return the body of a request, which is JSON or empty.

    Raises:
        RequestError: The body is too large (413), too slow (408), or nested too deeply (400).
    """
    seconds = request.app[BODY_SECONDS]
    try:
        async with asyncio.timeout(seconds):
            body = await request.read()
    except TimeoutError as error:
        raise RequestError(408, f"The body has not come within {seconds:g} seconds.") from error
    except web.HTTPRequestEntityTooLarge as error:
        raise RequestError(
            413, f"The body is larger than {request.client_max_size} bytes."
        ) from error
    if is_deeper(body, _DEPTH):
        raise RequestError(400, f"The body's JSON has more than {_DEPTH} levels.")
    return body
