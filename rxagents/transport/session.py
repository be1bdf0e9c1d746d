"""Make aiohttp sessions whose connections are `Connection`s."""

from __future__ import annotations

import functools
from collections.abc import Callable

import aiohttp
from aiohttp.client_proto import ResponseHandler

from rxagents.runtime.name_lookup import make_resolver
from rxagents.transport.connection import READ_BYTES, Connection
from rxagents.transport.self_check import is_supported


def make_session() -> aiohttp.ClientSession:
    """Return a session without a limit on connections and without cookies."""
    return aiohttp.ClientSession(
        connector=_Connector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
    )


class _Connector(aiohttp.TCPConnector):
    """Makes connections with our protocol. aiohttp has no public way to choose it."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit, resolver=make_resolver())
        if not is_supported():
            return
        protocol: Callable[..., ResponseHandler] = Connection
        buffer = memoryview(bytearray(READ_BYTES))
        self._factory = functools.partial(protocol, loop=self._loop, buffer=buffer)
