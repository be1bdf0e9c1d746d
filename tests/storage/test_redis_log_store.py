"""What only the Redis store has: a connection that breaks, and a server that restarts."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
import redis
from log_stores import now
from observing import Numbers, Seen
from redis_server import RedisServer, missing

import rxagents
from rxagents import (
    ConfigurationError,
    EventLog,
    RedisLogStore,
    StorageError,
    from_log,
)
from rxagents.runtime.event_log.log_store import Page
from rxagents.storage import redis_worker

pytestmark = pytest.mark.real_time


def texts(store: RedisLogStore) -> list[bytes]:
    page: Page = now(store.read("run", None, 1000))
    return [line for _, _, line in page.entries]


@pytest.mark.parametrize("when", ["before", "after"])
def test_break_of_the_connection_repeats_nothing(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """The answer is lost, or the call: nobody knows which."""
    store = RedisLogStore(redis_url, prefix=str(tmp_path))
    reader = RedisLogStore(redis_url, prefix=str(tmp_path))
    sent: Callable[..., list[Any]] = store._worker._sent
    breaks = 0

    def break_each_second(calls: Any) -> list[Any]:
        nonlocal breaks
        breaks += 1
        if breaks % 2 and when == "before":
            raise redis.exceptions.ConnectionError("reset")
        answers = sent(calls)
        if breaks % 2:
            raise redis.exceptions.TimeoutError("no answer")
        return answers

    monkeypatch.setattr(store._worker, "_sent", break_each_second)
    token = store.begin("run").result(30).token
    for number in range(3):
        store.append("run", token, 1 + 2 * number, [b"%d" % number] * 2, ends=False).result(30)
    store.renew("run", token).result(30)
    store.append("run", token, 7, [b"end"], ends=True).result(30)
    assert breaks == 12
    assert texts(reader) == [b"0", b"0", b"1", b"1", b"2", b"2", b"end"]
    store.close().result(30)
    reader.close().result(30)


def test_server_that_was_never_reached_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr("rxagents.storage.redis_worker.time.sleep", waits.append)
    store = RedisLogStore(f"unix://{tmp_path}/none")
    with pytest.raises(StorageError, match="Redis failed: ConnectionError"):
        store.begin("run").result(30)
    assert waits == []
    store.close().result(30)


async def test_run_survives_restart_of_the_server(tmp_path: Path) -> None:
    if reason := missing():
        pytest.skip(reason)
    server = RedisServer()
    server.start()
    numbers = Numbers(3000)
    try:
        async with EventLog(RedisLogStore(server.url)) as log:

            async def paced() -> Any:
                async for number in numbers():
                    yield number
                    if number % 10 == 0:
                        await asyncio.sleep(0.001)

            handle = log.start("run", rxagents.from_aiter(paced))
            seen = Seen(from_log(log, "run", int))
            await seen.first.wait()
            server.kill()
            await asyncio.to_thread(server.start)
            await handle.wait()
            await seen.over.wait()
            assert seen.completed
            assert [entry.item for entry in seen.items] == list(range(3000))
            assert [entry.id for entry in seen.items] == [f"1-{n}" for n in range(1, 3001)]
    finally:
        server.close()


async def test_flushed_scripts_are_loaded_again(redis_url: str, tmp_path: Path) -> None:
    async with EventLog(RedisLogStore(redis_url, prefix=str(tmp_path))) as log:
        await log.start("one", rx.of(1)).wait()
        client = redis.Redis.from_url(redis_url)
        client.script_flush()
        client.close()
        await log.start("two", rx.of(1)).wait()
        seen = Seen(from_log(log, "two", int))
        await seen.over.wait()
        assert seen.completed


async def test_server_that_is_away_is_storage_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_worker, "_WAITS", (0.001,))
    url = f"unix://:s3cret@{tmp_path}/none"
    async with EventLog(RedisLogStore(url)) as log:
        with pytest.raises(StorageError, match="Check that the server of `url` runs") as raised:
            await log.start("run", rx.of(1)).wait()
        assert "s3cret" not in str(raised.value)


async def test_keys_of_other_prefixes_are_apart(redis_url: str, tmp_path: Path) -> None:
    stores = [RedisLogStore(redis_url, prefix=f"{tmp_path}{name}") for name in "ab"]
    for number, store in enumerate(stores):
        async with EventLog(store) as log:
            await log.start("run", rx.of(number)).wait()
            seen = Seen(from_log(log, "run", int))
            await seen.over.wait()
            assert [entry.item for entry in seen.items] == [number]


async def test_ended_run_expires(redis_url: str, tmp_path: Path) -> None:
    retention = rxagents.Retention(age=1000)
    async with EventLog(RedisLogStore(redis_url, retention, prefix=str(tmp_path))) as log:
        await log.start("run", rx.of(1)).wait()
    client = redis.Redis.from_url(redis_url)
    lives = [client.ttl(name) for name in client.scan_iter(f"*{tmp_path}*:run") if name]
    client.close()
    assert len(lives) == 2
    assert all(990 <= int(str(life)) <= 1000 for life in lives)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="the URL of a Redis server") as raised:
        RedisLogStore("http://:s3cret@localhost")
    assert "s3cret" not in str(raised.value)
    with pytest.raises(ConfigurationError, match="prefix must be a text without braces"):
        RedisLogStore(prefix="{a}")


def test_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "redis", None)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[redis\]'"):
        RedisLogStore()


def test_thread_ends_with_its_work(redis_url: str, tmp_path: Path) -> None:
    store = RedisLogStore(redis_url, prefix=str(tmp_path))
    store.begin("run").result(30)
    store.close().result(30)
    for thread in threading.enumerate():
        if "Redis" in thread.name:
            assert thread.daemon
            thread.join(30)
            assert not thread.is_alive()
