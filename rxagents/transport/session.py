"""The client session."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import aiohttp
from aiohttp.client_proto import ResponseHandler


class Attempt:
    """What became of one request on its way out."""

    reused = False


def make_session() -> aiohttp.ClientSession:
    """Return a session with no limit on connections and without cookies.

    Its requests tell an `Attempt`, given as `trace_request_ctx`, what became of them.
    """
    trace = aiohttp.TraceConfig()
    trace.on_connection_reuseconn.append(_note_reuse)
    return aiohttp.ClientSession(
        connector=_Connector(limit=0),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None),
        trace_configs=[trace],
    )


async def _note_reuse(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceConnectionReuseconnParams
) -> None:
    context.trace_request_ctx.reused = True


class _Protocol(ResponseHandler):
    """Takes in an answer's headers before its body.

    aiohttp's own drops what it has read of an answer when anything in the same packet is broken.
    """

    _in_headers = False

    def set_response_params(self, **params: Any) -> None:
        """Begin an answer."""
        self._in_headers = True
        super().set_response_params(**params)

    def data_received(self, data: bytes) -> None:
        """Take in a packet."""
        if self._in_headers and (end := data.find(b"\r\n\r\n") + 4) > 3:
            self._in_headers = False
            super().data_received(data[:end])
            data = data[end:]
            if not data or self.exception() is not None:
                return
        super().data_received(data)


class _Connector(aiohttp.TCPConnector):
    """Makes connections with this file's protocol, for which aiohttp has no public way."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit=limit)
        protocol: type[ResponseHandler] = _Protocol
        self._factory = functools.partial(protocol, loop=self._loop)
