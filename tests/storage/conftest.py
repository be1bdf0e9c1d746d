"""A Redis server for the tests of its store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from redis_server import RedisServer, missing


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """A Redis server of this test process."""
    if reason := missing():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    yield server
    server.close()


@pytest.fixture
def redis_url(redis_server: RedisServer) -> str:
    """The URL of the Redis server."""
    return redis_server.url
