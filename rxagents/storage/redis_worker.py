"""Run the scripts of one Redis connection on one thread, in batches.

Theory of operation. As `sqlite_writer` does it: `submit` queues a call and returns a future; one
thread sends all calls that are queued as one pipeline, and sets the futures. What is queued
meanwhile is the next batch. The thread ends when the queue is empty, and is a daemon.

- Calls run in the order of `submit`: there is one connection, and the next batch is sent after the
  answers of the one before it.
- A batch whose connection breaks is sent again as a whole, for some seconds, since nobody knows
  which calls the server has run. The scripts are written so that a second run changes nothing.
- A server that was never reached fails the first batch at once: a wrong URL is found quickly.
- A server that was restarted has no scripts: they are loaded, and the batch is sent again.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, NamedTuple, TypeVar

from rxagents.core.errors import ConfigurationError, StorageError
from rxagents.runtime import forks

T = TypeVar("T")

_MAX_BATCH = 1000
_SOCKET_SECONDS = 5.0
_WAITS = (0.05, 0.2, 0.5, 1.0, 2.0)
"""Seconds before each further attempt: together less than a lease."""


class _Call(NamedTuple):
    """A queued call; without a script it closes the connection."""

    script: str
    keys: Sequence[str]
    arguments: Sequence[str | bytes | float]
    parse: Callable[[Any], Any]
    future: Future[Any]


class RedisWorker:
    """Calls scripts on a Redis server; any thread may call it.

    Args:
        url: The server, as for `redis.Redis.from_url`.
        scripts: The Lua scripts by their names. A second run of the same call must change nothing.

    Raises:
        ConfigurationError: The library redis is not installed, or `url` is not the URL of a server.
    """

    def __init__(self, url: str, scripts: Mapping[str, str]) -> None:
        try:
            import redis
            from redis.backoff import NoBackoff
            from redis.retry import Retry
        except ImportError:
            raise ConfigurationError(
                "Redis needs the extra 'redis': pip install 'rxagents[redis]'"
            ) from None
        self._redis = redis
        self._scripts = scripts
        try:
            self._client: Any = redis.Redis.from_url(
                url,
                socket_timeout=_SOCKET_SECONDS,
                socket_connect_timeout=_SOCKET_SECONDS,
                retry=Retry(NoBackoff(), 0),
            )
        except Exception:
            raise ConfigurationError(
                "url must be the URL of a Redis server, such as 'redis://localhost:6379/0', "
                "'rediss://…' for TLS or 'unix:///path'."
            ) from None
        self._hashes: dict[str, str] = {}
        self._was_reached = False
        self._begin()
        forks.register(self)

    def reset_after_fork(self) -> None:
        """Leave the calls that wait to the other process; `redis` makes connections of its own."""
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._queue: deque[_Call] = deque()
        self._is_working = False

    def submit(
        self,
        script: str,
        keys: Sequence[str],
        arguments: Sequence[str | bytes | float],
        parse: Callable[[Any], T],
    ) -> Future[T]:
        """Queue a call.

        Args:
            script: The name of the script.
            keys: Its `KEYS`.
            arguments: Its `ARGV`.
            parse: Called with the answer on the worker's thread; returns the result, or raises.

        Returns:
            The future of the result. It fails with `StorageError` if Redis does.
        """
        future: Future[T] = Future()
        self._put(_Call(script, keys, arguments, parse, future))
        return future

    def failure(self, error: Exception) -> StorageError:
        """Return the typed error of an error of Redis."""
        if isinstance(error, StorageError):
            return error
        failure = StorageError(
            f"Redis failed: {type(error).__name__}: {str(error).removesuffix('.')}. Check that the "
            "server of `url` runs and has memory, and that the user may run scripts."
        )
        failure.__cause__ = error
        return failure

    @property
    def connection_errors(self) -> tuple[type[Exception], ...]:
        """The errors of a connection that breaks."""
        errors = self._redis.exceptions
        return errors.ConnectionError, errors.TimeoutError

    def subscription(self, channel: str) -> Any:
        """Return a `PubSub` with a connection of its own, which is made when it is first used."""
        channels = self._client.pubsub()
        channels.subscribe(channel)
        return channels

    def close(self) -> Future[None]:
        """Close the connection after the calls that are queued; later calls open it again."""
        future: Future[None] = Future()
        self._put(_Call("", (), (), _nothing, future))
        return future

    def _put(self, call: _Call) -> None:
        with self._lock:
            self._queue.append(call)
            if self._is_working:
                return
            threading.Thread(target=self._run, name="rxagents writes to Redis", daemon=True).start()
            self._is_working = True

    def _run(self) -> None:
        while batch := self._next_batch():
            calls = [call for call in batch if call.future.set_running_or_notify_cancel()]
            if not calls:
                continue
            try:
                answers = self._answers(calls)
            except Exception as error:
                answers = [error] * len(calls)
            for call, answer in zip(calls, answers, strict=True):
                self._set(call, answer)

    def _next_batch(self) -> list[_Call]:
        """Return the calls up to the next `close`; a `close` is a batch of its own."""
        batch: list[_Call] = []
        with self._lock:
            while self._queue and len(batch) < _MAX_BATCH:
                if not self._queue[0].script:
                    return batch or [self._queue.popleft()]
                batch.append(self._queue.popleft())
            self._is_working = bool(batch)
        return batch

    def _set(self, call: _Call, answer: Any) -> None:
        try:
            if isinstance(answer, Exception):
                raise self.failure(answer)
            result = call.parse(answer)
        except Exception as error:
            call.future.set_exception(error)
        else:
            call.future.set_result(result)

    def _answers(self, calls: Sequence[_Call]) -> list[Any]:
        if not calls[0].script:
            self._client.close()
            return [None]
        errors = self._redis.exceptions
        waits = iter(_WAITS)
        while True:
            try:
                if not self._hashes:
                    self._load()
                answers = self._sent(calls)
            except self.connection_errors:
                wait = next(waits, None) if self._was_reached else None
                if wait is None:
                    raise
                time.sleep(wait)
                continue
            if not any(isinstance(answer, errors.NoScriptError) for answer in answers):
                return answers
            self._hashes = {}

    def _load(self) -> None:
        self._hashes = {
            name: self._client.script_load(code) for name, code in self._scripts.items()
        }
        self._was_reached = True

    def _sent(self, calls: Sequence[_Call]) -> list[Any]:
        with self._client.pipeline(transaction=False) as pipeline:
            for call in calls:
                pipeline.evalsha(
                    self._hashes[call.script], len(call.keys), *call.keys, *call.arguments
                )
            answers: list[Any] = pipeline.execute(raise_on_error=False)
        return answers


def _nothing(_: object) -> None: ...
