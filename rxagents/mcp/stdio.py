"""Serve an MCP server on the standard streams of this process.

Theory of operation. The client reads each line of the standard output as a message, so nothing else
may be written there. `wire` therefore moves both streams to descriptors of its own, and puts
the null device and the standard error in their place: what user code prints, also while it is
imported, and what its child processes print, goes to the standard error. `mcp.server.stdio` does
the same while it serves, but reads on a thread that cannot be stopped: a signal would have to wait
for the next line. Here a daemon thread reads.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from rxagents.mcp.package import need_mcp
from rxagents.runtime.daemon_thread import DaemonThread

if TYPE_CHECKING:
    from mcp.server import Server

_CHUNK: Final = 65_536


class Wire(NamedTuple):
    """The descriptors that the client is connected to."""

    read: int
    write: int


async def serve_stdio(server: Server[Any]) -> None:
    """Serve until the client closes the standard input.

    Meanwhile, what this process prints goes to the standard error. `print` of the same process that
    was not flushed before goes there too.

    Args:
        server: What `rxagents.mcp_server` returned.

    Raises:
        ConfigurationError: `mcp` is not installed.
    """
    with wire() as descriptors:
        await serve_wire(server, descriptors)


@contextmanager
def wire() -> Iterator[Wire]:
    """Move the standard input and output to other descriptors while the block runs."""
    sys.stdout.flush()
    was = _set_line_buffering(True)  # in order with what goes to the standard error
    moved = Wire(os.dup(0), os.dup(1))
    null = os.open(os.devnull, os.O_RDONLY)
    try:
        os.dup2(null, 0)
        os.dup2(2, 1)
        yield moved
    finally:
        os.close(null)
        sys.stdout.flush()  # what the block printed is not for the client
        _set_line_buffering(was)
        os.dup2(moved.read, 0)
        os.dup2(moved.write, 1)
        os.close(moved.write)
        # A thread may still read from the other one: a new file could get its number.


def _set_line_buffering(line_buffering: bool) -> bool:
    """Set whether each line of the standard output is written at once; return what it was."""
    if not isinstance(sys.stdout, io.TextIOWrapper):
        return False
    was = sys.stdout.line_buffering
    sys.stdout.reconfigure(line_buffering=line_buffering)
    return was


async def serve_wire(server: Server[Any], descriptors: Wire) -> None:
    """Serve a client at the other end of two descriptors."""
    need_mcp()
    import anyio
    from mcp.server.stdio import stdio_server

    with os.fdopen(descriptors.write, "w", encoding="utf-8", closefd=False) as output:
        lines: Any = _lines(descriptors.read)  # `stdio_server` only iterates over it
        async with stdio_server(lines, anyio.wrap_file(output)) as (read, write):
            await server.run(read, write, server.create_initialization_options())


async def _lines(descriptor: int) -> AsyncIterator[str]:
    thread = DaemonThread("rxagents mcp stdin")
    pieces: list[bytes] = []
    try:
        while data := await thread.run(lambda: os.read(descriptor, _CHUNK)):
            first, *others = data.split(b"\n")
            pieces.append(first)
            for part in others:
                yield b"".join(pieces).decode("utf-8", "replace")
                pieces = [part]
    finally:
        thread.close()
