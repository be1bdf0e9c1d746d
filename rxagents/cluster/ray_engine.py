"""Run many runs on the actors of a Ray cluster."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast

from rxagents.cluster.load_ray import load_ray
from rxagents.cluster.ray_worker import RayWorker
from rxagents.core.checks import checked_count
from rxagents.core.errors import ConfigurationError
from rxagents.core.printing import printed
from rxagents.runtime.many_runs.engine import Engine, Job
from rxagents.runtime.many_runs.links import LinkLostError
from rxagents.runtime.many_runs.pool import PoolSession

_SECONDS_TO_END = 2.0
"""How long an actor may take to close its connections before it is killed."""

_PATIENCE = 30.0
"""Seconds after which an actor that has not started is reported: Ray itself waits for ever."""


def ray(
    address: str | None = None,
    *,
    actors: int = 2,
    options: Mapping[str, Any] | None = None,
    runtime_env: Mapping[str, Any] | None = None,
) -> Engine:
    """Return an engine for `run_many` that uses actors of a Ray cluster.

    Each actor has an event loop of its own, one process and by default one core. All its runs share
    one stream of batches. An actor that dies is replaced; see `attempts` of `run_many`. The actors
    end with the subscription, or when this process ends.

    Args:
        address: The cluster, as `ray.init` takes it, such as `"auto"`. By default a cluster that
            this program has joined, or else one on this machine, which is started. Joining
            blocks the loop, for some seconds if the cluster is started: to avoid that, call
            `ray.init` before the loop runs.
        actors: How many actors.
        options: Options of each actor, such as `{"num_cpus": 2, "memory": 4 * 1024**3}`.
        runtime_env: The runtime environment of the actors, such as `{"pip": ["rxagents"]}`.

    Returns:
        The engine, which may be used for several subscriptions.

    Raises:
        ConfigurationError: Ray is not installed, or an argument is not usable; in the stream, if
            the cluster cannot be joined.
    """
    return _Ray(load_ray(), address, checked_count("actors", actors), options, runtime_env)


_RESOURCES = ("num_cpus", "num_gpus", "memory", "resources")


class _Ray:
    """The engine, and what starts its workers."""

    what = "Ray actor"

    def __init__(
        self,
        module: Any,  # Ray has no types where it is not installed
        address: str | None,
        count: int,
        options: Mapping[str, Any] | None,
        runtime_env: Mapping[str, Any] | None,
    ) -> None:
        self._ray = module
        self._address = address
        self._has_warned = False
        self.count = count
        self._options: dict[str, Any] = {
            "num_cpus": 1,
            **(options or {}),
            # Ray would put the second attempt behind the first one, as if it were one stream.
            "max_restarts": 0,
            "max_task_retries": 0,
        }
        if runtime_env is not None:
            self._options["runtime_env"] = dict(runtime_env)

    async def open(self, job: Job) -> PoolSession:
        self._has_warned = False
        if not self._ray.is_initialized():
            # On this thread: the processes of a cluster that it starts end with the thread.
            try:
                self._ray.init(self._address, log_to_driver=False)
            except Exception as error:
                raise ConfigurationError(
                    f"Ray cannot join the cluster {self._address!r}: {_reason(error)}."
                ) from error
        return PoolSession(job, self)

    def main_data(self) -> bytes:
        return b""

    def dumps(self, value: object) -> bytes:
        return cast("bytes", self._ray.cloudpickle.dumps(value))

    async def start(self) -> RayLink:
        actor_class = self._ray.remote(RayWorker).options(**self._options)
        return RayLink(self._ray, actor_class.remote(), self._warn_of_wait)

    def _warn_of_wait(self) -> None:
        """Warn once a subscription: the other actors wait for the same."""
        if self._has_warned:
            return
        self._has_warned = True
        free = self._ray.available_resources()
        logging.getLogger("rxagents").warning(
            "A Ray actor has not started for %.0f s. It wants %s, and the cluster has %s free. "
            "Choose fewer actors, other options, or a larger cluster.",
            _PATIENCE,
            {name: self._options[name] for name in _RESOURCES if name in self._options},
            {name: round(free.get(name, 0), 2) for name in ("CPU", "GPU", "memory")},
        )

    def __repr__(self) -> str:
        return f"ray({self._address!r}, actors={self.count})"


class RayLink:
    """The connection with one actor.

    Args:
        module: The module `ray`.
        actor: The handle of the actor.
        warn: Called once if the actor does not answer for `_PATIENCE` seconds.
    """

    def __init__(self, module: Any, actor: Any, warn: Callable[[], None]) -> None:  # see `_Ray`
        self._ray = module
        self._warning = asyncio.get_running_loop().call_later(_PATIENCE, warn)
        self._actor = actor
        self._generator = actor.answers.options(num_returns="streaming").remote()
        self._answers: deque[bytes] = deque()
        self._orders: list[bytes] = []
        self._calls = 0
        self._has_started = self._is_closed = False

    def send(self, message: bytes) -> None:
        """Send an order, with all others of this turn of the loop: a call costs 0.09 ms of CPU."""
        self._orders.append(message)
        if len(self._orders) == 1:
            asyncio.get_running_loop().call_soon(self._flush)

    async def receive(self) -> bytes:
        """Return the next answer.

        Raises:
            LinkLostError: The actor has ended.
        """
        while not self._answers:
            try:
                self._answers.extend(await (await anext(self._generator)))
            except StopAsyncIteration:
                raise LinkLostError("without an error") from None
            except self._ray.exceptions.RayError as error:
                raise LinkLostError(f"with {_reason(error)}") from error
        if not self._has_started:
            self._has_started = True
            self._warning.cancel()
        return self._answers.popleft()

    async def aclose(self) -> None:
        """End the actor."""
        self._warning.cancel()
        self._flush()
        self._is_closed = True
        with suppress(Exception):
            if self._has_started:
                await asyncio.wait_for(_result(self._actor.stop.remote()), _SECONDS_TO_END)
        with suppress(Exception):
            self._ray.kill(self._actor)

    def _flush(self) -> None:
        orders, self._orders = self._orders, []
        if orders and not self._is_closed:
            with suppress(Exception):  # a dead actor: `receive` reports it
                self._actor.order.remote(self._calls, orders)
                self._calls += 1


async def _result(reference: Any) -> Any:
    return await reference


def _reason(error: Exception) -> str:
    """Return the first line of an error of Ray, whose messages have a page."""
    line = printed(error).strip().splitlines()[0] if printed(error).strip() else ""
    return f"{type(error).__name__}: {line:.200}".rstrip(".")
