"""The main program of a worker process."""

from __future__ import annotations

import asyncio
import os
import pickle
import socket
import sys
from contextlib import suppress
from multiprocessing import spawn

from rxagents.core.event_base import ErrorInfo
from rxagents.runtime.last_calls import wait_for_last_calls
from rxagents.runtime.many_runs.frames import FrameProtocol
from rxagents.runtime.many_runs.messages import Ready, Setup, decode_order, encode
from rxagents.runtime.many_runs.worker import Worker

_SECONDS_TO_END = 2.0
"""How long the runs may take to clean up."""


def main(descriptor: int) -> None:
    """Run until the other process closes the connection, or ends.

    Args:
        descriptor: The socket's file descriptor.
    """
    try:
        asyncio.run(_serve(socket.socket(fileno=descriptor)))
    finally:
        with suppress(Exception):
            wait_for_last_calls()
            sys.stdout.flush()
            sys.stderr.flush()
        os._exit(0)  # a thread of a tool, or an `atexit` of the main module, may not end


async def _serve(connection: socket.socket) -> None:
    is_lost = asyncio.Event()

    def on_message(message: bytes) -> None:
        order = decode_order(message)
        if isinstance(order, Setup):
            try:
                spawn.prepare(pickle.loads(order.main))
            except Exception as error:
                protocol.send(encode(Ready(ErrorInfo.of(error))))
                return
        worker.on_order(order)

    protocol = FrameProtocol(on_message, is_lost.set)
    worker = Worker(protocol.send)
    await asyncio.get_running_loop().create_connection(lambda: protocol, sock=connection)
    await is_lost.wait()
    worker.dispose()
    with suppress(TimeoutError):
        await asyncio.wait_for(worker.aclose(), _SECONDS_TO_END)
