"""Let the requests of many processes wait for one limiter in a Redis server."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Hashable, Mapping
from hashlib import blake2b
from typing import Any, Unpack

import msgspec
from msgspec.structs import replace

from rxagents.core.argument_names import check_names
from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.limiting.headers import Seen, seconds_to_reset, seen_limits
from rxagents.runtime.limiting.limiter import RateArguments
from rxagents.runtime.limiting.limiter_state import LimiterState
from rxagents.runtime.limiting.protocol import LimitedRequest
from rxagents.runtime.limiting.rate_rules import Rates
from rxagents.storage.redis_turns import Place, RedisTurns


class RedisLimiter:
    """A limiter for all processes that use one Redis server and the same name.

    It needs the extra `redis`: `pip install 'rxagents[redis]'`. Give it to models, agents or runs
    as `limiter=`, also in the factory of `run_many`. `Limiter` documents the limits; those of the
    program that has started last count, unless it names none. The time is that of the server.

    The permits of a process that was killed end after 15 s. If Redis fails, requests that wait fail
    with `StorageError`. Redis keeps the name of the limiter, its limits and counts, and a digest of
    each key that waits. An hour after the last use it forgets them.

    Args:
        url: The server, such as `"redis://localhost:6379/0"`; it may contain a user and a password.
        name: The name of the limiter, which the processes share.
        fair_by: Returns the key of a request: the keys take turns. Its text counts, so that it is
            the same key in each process. `None` to serve all in order of arrival.
        **rates: `requests_per_minute`, `tokens_per_minute`, `concurrent` and `burst`.

    Raises:
        ConfigurationError: The library redis is not installed, or an argument is not usable.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        fair_by: Callable[[LimitedRequest], Hashable] | None = None,
        **rates: Unpack[RateArguments],
    ) -> None:
        if not isinstance(name, str) or not name or set(name) & set("{}"):
            raise ConfigurationError(
                f"name must be a text without braces that is not empty, not {name!r}."
            )
        check_names("RedisLimiter", rates, RateArguments.__optional_keys__)
        self.name = name
        self._url = url
        self._fair_by = None if fair_by is None else checked_function("fair_by", fair_by)
        self._rates = Rates(**rates)
        self._opener = uuid.uuid4().hex if rates else ""
        self._turns = self._new_turns()

    async def acquire(self, request: LimitedRequest) -> RedisPermit:
        """Wait until a request may be sent.

        Raises:
            StorageError: Redis does not answer.
        """
        found = None if self._fair_by is None else self._fair_by(request)
        key = None if found is None else str(found)
        waiter = self._turns.join(_digest_of(key), key, request.tokens)
        try:
            await asyncio.wrap_future(waiter.turn)
        except asyncio.CancelledError:
            self._turns.leave(waiter.place)
            raise
        return RedisPermit(self._turns, waiter.place)

    async def change(self, **rates: Unpack[RateArguments]) -> None:
        """Change the limits that are given for all processes, also while requests wait.

        Raises:
            ConfigurationError: A limit is unknown or not usable.
            StorageError: Redis does not answer.
        """
        check_names("RedisLimiter.change", rates, RateArguments.__optional_keys__)
        checked = msgspec.structs.asdict(replace(Rates(), **rates))
        await asyncio.wrap_future(self._turns.change({name: checked[name] for name in rates}))

    async def state(self) -> LimiterState:
        """Return what waits in all processes, what runs, and what is left.

        A key that waits in another process only is named by its digest.

        Raises:
            StorageError: Redis does not answer.
        """
        keys: dict[str, str | None] = {_digest_of(None): None, **self._turns.keys()}
        answer = await asyncio.wrap_future(self._turns.state())
        waiting, in_flight, requests, tokens, wait = answer
        digests = [digest.decode() for digest in waiting[::2]]
        counts = zip(digests, map(int, waiting[1::2]), strict=True)
        return LimiterState(
            {keys.get(digest, digest): number for digest, number in counts},
            int(in_flight),
            None if requests == b"" else max(0, int(requests)),
            None if tokens == b"" else int(tokens),
            float(wait),
        )

    async def aclose(self) -> None:
        """Close the connections of this process; the next use opens them again."""
        await asyncio.wrap_future(self._turns.close())

    def __eq__(self, other: object) -> bool:
        """Return whether both are one limiter on the server: a request waits for it once."""
        if not isinstance(other, RedisLimiter):
            return NotImplemented
        return (self._url, self.name) == (other._url, other.name)

    def __hash__(self) -> int:
        return hash((self._url, self.name))

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process: its threads, connections and waiters."""
        return {name: value for name, value in self.__dict__.items() if name != "_turns"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore the limiter in another process, as a holder of its own."""
        self.__dict__.update(state)
        self._turns = self._new_turns()

    def __repr__(self) -> str:
        return f"RedisLimiter({self.name!r}, {self._rates!r})"

    def _new_turns(self) -> RedisTurns:
        rates = {
            name: value
            for name, value in msgspec.structs.asdict(self._rates).items()
            if value is not None
        }
        base = f"{{rxagents:limiter:{self.name}}}"
        return RedisTurns(self._url, base, msgspec.msgpack.encode(rates), self._opener)


class RedisPermit:
    """The permission of a `RedisLimiter` to send one request."""

    __slots__ = ("_has_ended", "_place", "_reset", "_turns")

    def __init__(self, turns: RedisTurns, place: Place) -> None:
        self._turns = turns
        self._place = place
        self._has_ended = False
        self._reset: float | None = None

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read the provider's limits from the headers of the response."""
        self._reset = seconds_to_reset(headers)
        seen = seen_limits(headers)
        if seen:
            limits = [seen.get(what, Seen()) for what in ("requests", "tokens")]
            self._turns.learn(self._place, [x for seen in limits for x in (seen.limit, seen.left)])

    def refused(self, retry_after: float | None) -> None:
        """Hold back all requests."""
        self._turns.refused(self._place, self._reset if retry_after is None else retry_after)

    def settle(self, tokens: int | None) -> None:
        """End the request, which has used `tokens`."""
        if not self._has_ended:
            self._has_ended = True
            self._turns.settle(self._place, tokens)

    def give_back(self) -> None:
        """End a request that was not sent."""
        if not self._has_ended:
            self._has_ended = True
            self._turns.leave(self._place)


def _digest_of(key: str | None) -> str:
    """Return a digest for Redis: a key may name a person, and may be long."""
    if key is None:
        return "-"
    return blake2b(key.encode(errors="surrogatepass"), digest_size=12).hexdigest()
