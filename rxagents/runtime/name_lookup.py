"""Look up the addresses of hosts without holding the loop or the end of the program."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, cast

from aiohttp.abc import AbstractResolver
from aiohttp.resolver import DefaultResolver, ThreadedResolver

from rxagents.runtime.daemon_thread import DaemonThread

T = TypeVar("T")


def make_resolver() -> AbstractResolver | None:
    """Return a resolver for a `TCPConnector`; `None` where aiohttp's own uses no threads.

    aiohttp looks names up on the loop's default executor, for whose threads `asyncio.run` waits at
    its end: a lookup that hangs would hold it, also after a timeout, `dispose` or Ctrl-C. With
    `aiodns` installed aiohttp uses no threads.
    """
    if DefaultResolver is not ThreadedResolver:
        return None
    return ThreadedResolver(loop=cast("asyncio.AbstractEventLoop", _DaemonLookups()))


class _DaemonLookups:
    """Offers the two methods of a loop that `ThreadedResolver` uses, on daemon threads."""

    async def getaddrinfo(self, host: str, port: int, **options: Any) -> list[Any]:
        return await _run(partial(socket.getaddrinfo, host, port, **options))

    async def getnameinfo(self, address: Any, flags: int = 0) -> tuple[str, str]:
        return await _run(partial(socket.getnameinfo, address, flags))


async def _run(lookup: Callable[[], T]) -> T:
    thread = DaemonThread("rxagents name lookup")
    outcome = thread.run(lookup)
    thread.close()
    return await outcome
