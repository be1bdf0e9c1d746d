"""Bounds of a server."""

from __future__ import annotations

from msgspec import Struct

from rxagents.core.checks import checked_count, checked_seconds


class ServeLimits(Struct, frozen=True, kw_only=True):
    """Bounds of a server; beyond them a client gets an error.

    Attributes:
        body_bytes: Size of a request's body.
        runs: How many runs go on at a time, on all endpoints.
        connections: How many connections are open at a time; another one is closed at once. The
            process also needs as many file descriptors.
        head_seconds: How long a connection may take to send the head of its first request.
        body_seconds: How long a request's body may take.
        write_seconds: How long a client may read nothing while bytes wait for it. Then its
            connection is closed; a run that the log keeps goes on, and the client may come back.
        ping_seconds: After how much silence a comment is sent, so that proxies keep the connection.
        retry_seconds: How long a browser's `EventSource` waits before it connects again.
        drain_seconds: How long a server that is stopped waits for the runs that go on.
    """

    body_bytes: int = 10 * 1024 * 1024
    runs: int = 1_000
    connections: int = 10_000
    head_seconds: float = 10.0
    body_seconds: float = 60.0
    write_seconds: float = 60.0
    ping_seconds: float = 15.0
    retry_seconds: float = 1.0
    drain_seconds: float = 10.0

    def __post_init__(self) -> None:
        for name in ("body_bytes", "runs", "connections"):
            checked_count(name, getattr(self, name))
        for name in self.__struct_fields__:
            if name.endswith("_seconds"):
                checked_seconds(name, getattr(self, name))
