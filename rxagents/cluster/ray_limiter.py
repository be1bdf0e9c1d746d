"""Let the requests of a whole Ray cluster wait for one limiter.

Theory of operation. A named actor holds a `Limiter`, and the permits that it has given. A
`RayLimiter` is a name: it finds or makes the actor when it is first used, so that it can be
pickled into the factory of an agent.

- A permit has a number of its own, made by who asks. So a request that is cancelled while the
  answer is on its way can leave the line.
- Who asks is a holder, one for each process. It says every `_RENEW` seconds that it lives. The
  permits of one that is silent for `_LEASE` seconds end, with a usage that is not known: else a
  process that was killed would keep its places for ever.
- `fair_by` is called where the request is made, since it may read context variables.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Hashable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any, Unpack

from msgspec.structs import replace

from rxagents.cluster.load_ray import load_ray
from rxagents.core.argument_names import check_names
from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.limiting.limiter import Limiter, RateArguments
from rxagents.runtime.limiting.limiter_state import LimiterState
from rxagents.runtime.limiting.protocol import LimitedRequest, Permit

_RENEW = 5.0
_LEASE = 15.0
_NAMESPACE = "rxagents"


class LimiterActor:
    """Holds the limiter, and the permits by holder and number."""

    def __init__(self, rates: RateArguments) -> None:
        self._limiter = Limiter(**rates, fair_by=_key_of)
        self._permits: dict[tuple[str, int], Permit] = {}
        self._waiting: dict[tuple[str, int], asyncio.Task[Permit]] = {}
        self._left: set[tuple[str, int]] = set()
        self._seen: dict[str, float] = {}
        self._watcher: asyncio.Task[None] | None = None

    async def acquire(self, holder: str, number: int, request: LimitedRequest) -> bool:
        """Wait until the request may be sent; return False if it has left meanwhile."""
        await self.renew(holder)
        place = holder, number
        if place in self._left:
            self._left.discard(place)
            return False
        task = self._waiting[place] = asyncio.ensure_future(self._limiter.acquire(request))
        try:
            self._permits[place] = await task
        except asyncio.CancelledError:
            return False
        finally:
            del self._waiting[place]
        return True

    async def leave(self, holder: str, number: int) -> None:
        """End a request that was not sent, or that waits."""
        place = holder, number
        permit = self._permits.pop(place, None)
        if permit is not None:
            permit.give_back()
        elif place in self._waiting:
            self._waiting[place].cancel()
        else:
            self._left.add(place)  # Ray does not promise the order of calls

    async def learn(self, holder: str, number: int, headers: dict[str, str]) -> None:
        """Read the provider's limits."""
        permit = self._permits.get((holder, number))
        if permit is not None:
            permit.learn(headers)

    async def refused(self, holder: str, number: int, retry_after: float | None) -> None:
        """Hold back all requests."""
        permit = self._permits.get((holder, number))
        if permit is not None:
            permit.refused(retry_after)

    async def settle(self, holder: str, number: int, tokens: int | None) -> None:
        """End a request."""
        permit = self._permits.pop((holder, number), None)
        if permit is not None:
            permit.settle(tokens)

    async def renew(self, holder: str) -> None:
        """Note that a holder lives."""
        self._seen[holder] = asyncio.get_running_loop().time()
        if self._watcher is None:
            self._watcher = asyncio.create_task(self._watch())

    async def state(self) -> LimiterState:
        """Return what the limiter does."""
        return self._limiter.state()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(_RENEW)
            oldest = asyncio.get_running_loop().time() - _LEASE
            for holder in [holder for holder, seen in self._seen.items() if seen < oldest]:
                self._drop(holder)

    def _drop(self, holder: str) -> None:
        del self._seen[holder]
        for place, task in self._waiting.items():
            if place[0] == holder:
                task.cancel()
        for place in [place for place in self._permits if place[0] == holder]:
            self._permits.pop(place).settle(None)
        self._left = {place for place in self._left if place[0] != holder}


class RayLimiter:
    """A limiter that all programs and actors of a Ray cluster share by its name.

    Give it to models, agents or runs as `limiter=`, also in the factory of `run_many`. The first
    use makes an actor, which stays until `close` or the end of the cluster. `Limiter` documents the
    limits; those of the first use count.

    Args:
        name: The name that they share.
        fair_by: Returns the key of a request: the keys take turns. By default the `context` of the
            request.
        **rates: `requests_per_minute`, `tokens_per_minute`, `concurrent` and `burst`.

    Raises:
        ConfigurationError: Ray is not installed, or an argument is not usable.
    """

    def __init__(
        self,
        name: str,
        *,
        fair_by: Callable[[LimitedRequest], Hashable] | None = None,
        **rates: Unpack[RateArguments],
    ) -> None:
        load_ray()
        if not isinstance(name, str) or not name:
            raise ConfigurationError(f"name must be a text that is not empty, not {name!r}.")
        check_names("RayLimiter", rates, RateArguments.__optional_keys__)
        Limiter(**rates)  # raises here for a limit that is not usable
        self.name = name
        self._fair_by = None if fair_by is None else checked_function("fair_by", fair_by)
        self._rates = rates
        self._reset()

    async def acquire(self, request: LimitedRequest) -> RayPermit:
        """Wait until a request may be sent."""
        key = request.context if self._fair_by is None else self._fair_by(request)
        request = replace(request, context=None if key is None else str(key))
        while True:  # again if this process was silent for so long that it counted as lost
            actor, number = self._found_actor(), next(self._numbers)
            try:
                if await actor.acquire.remote(self._holder, number, request):
                    return RayPermit(actor, self._holder, number)
            except asyncio.CancelledError:
                actor.leave.remote(self._holder, number)
                raise

    async def state(self) -> LimiterState:
        """Return what waits in the cluster, what runs, and what is left."""
        state: LimiterState = await self._found_actor().state.remote()
        return state

    def close(self) -> None:
        """End the actor, for the whole cluster."""
        load_ray().kill(self._found_actor())
        self._reset()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what belongs to this process."""
        return {"name": self.name, "_fair_by": self._fair_by, "_rates": self._rates}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Begin as a holder of its own."""
        self.__dict__.update(state)
        self._reset()

    def __repr__(self) -> str:
        rates = "".join(f", {name}={value!r}" for name, value in self._rates.items())
        return f"RayLimiter({self.name!r}{rates})"

    def _reset(self) -> None:
        self._holder = uuid.uuid4().hex
        self._numbers = count(1)
        self._actor: Any = None  # a handle of Ray
        self._renewal: asyncio.TimerHandle | None = None

    def _found_actor(self) -> Any:
        if self._actor is None:
            ray = load_ray()
            self._actor = (
                ray.remote(LimiterActor)
                .options(
                    name=f"rxagents-limiter-{self.name}",
                    namespace=_NAMESPACE,
                    get_if_exists=True,
                    lifetime="detached",
                    num_cpus=0,
                    max_concurrency=100_000,
                )
                .remote(self._rates)
            )
        self._start_renewal()
        return self._actor

    def _start_renewal(self) -> None:
        loop = asyncio.get_running_loop()
        if self._renewal is None or loop.time() > self._renewal.when() + _RENEW:
            self._renewal = loop.call_later(_RENEW, self._renew)

    def _renew(self) -> None:
        if self._actor is not None:
            with suppress(Exception):  # the actor has ended: `acquire` raises it
                self._actor.renew.remote(self._holder)
            self._renewal = asyncio.get_running_loop().call_later(_RENEW, self._renew)


class RayPermit:
    """The permission of a `RayLimiter` to send one request."""

    def __init__(self, actor: Any, holder: str, number: int) -> None:  # a handle of Ray
        self._actor = actor
        self._place = holder, number

    def learn(self, headers: Mapping[str, str]) -> None:
        """Read the provider's limits from the headers of the response."""
        limits = {name: value for name, value in headers.items() if "ratelimit" in name.lower()}
        if limits:
            self._actor.learn.remote(*self._place, limits)

    def refused(self, retry_after: float | None) -> None:
        """Hold back all requests."""
        self._actor.refused.remote(*self._place, retry_after)

    def settle(self, tokens: int | None) -> None:
        """End the request."""
        self._actor.settle.remote(*self._place, tokens)

    def give_back(self) -> None:
        """End a request that was not sent."""
        self._actor.leave.remote(*self._place)


def _key_of(request: LimitedRequest) -> Hashable:
    return request.context  # type: ignore[no-any-return]  # a str or None: `acquire` makes it
