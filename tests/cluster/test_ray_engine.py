"""Test what the Ray engine does when the cluster does not answer, without Ray."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from types import ModuleType
from typing import Any

import pytest
from worker_agents import make_mixed

from rxagents import ConfigurationError, run_many
from rxagents.cluster import ray


class SilentRay(ModuleType):
    """The module `ray` of a cluster whose actors do not start."""

    def __init__(self) -> None:
        super().__init__("ray")
        self.__file__ = "ray/__init__.py"
        self.cloudpickle = self
        self.joined = True
        self.killed = 0

    def is_initialized(self) -> bool:
        return self.joined

    def init(self, address: str | None, **_: Any) -> None:
        raise ConnectionError(f"Could not find any running Ray instance at {address}.\nSee --help.")

    def dumps(self, _: object) -> bytes:
        return b"factory"

    def available_resources(self) -> dict[str, float]:
        return {"CPU": 2.0, "node:127.0.0.1": 1.0}

    def remote(self, *_: Any) -> Any:
        """Make an actor of a class, or call it: a list of answers that never come."""
        return _Actor()

    def kill(self, _: object) -> None:
        self.killed += 1


class _Actor:
    def __getattr__(self, name: str) -> Any:
        return self

    def options(self, **_: Any) -> Any:
        return self

    def remote(self, *_: Any) -> Any:
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        await asyncio.get_running_loop().create_future()

    def __await__(self) -> Any:
        return asyncio.sleep(3600).__await__()


@pytest.fixture
def silent_ray(monkeypatch: pytest.MonkeyPatch) -> SilentRay:
    module = SilentRay()
    monkeypatch.setitem(sys.modules, "ray", module)
    return module


async def test_actor_that_does_not_start_is_reported(
    silent_ray: SilentRay, caplog: pytest.LogCaptureFixture
) -> None:
    engine = ray(actors=3, options={"num_cpus": 4})
    subscription = run_many(make_mixed, ["a"], concurrency=1, engine=engine).subscribe()
    await asyncio.sleep(29)
    assert caplog.messages == []
    await asyncio.sleep(600)
    [message] = caplog.messages
    assert "wants {'num_cpus': 4}, and the cluster has {'CPU': 2.0, 'GPU': 0" in message
    subscription.dispose()
    await asyncio.sleep(0.1)  # not as long as one that has started may take
    assert silent_ray.killed == 3


async def test_cluster_that_cannot_be_joined_fails_stream(silent_ray: SilentRay) -> None:
    silent_ray.joined = False
    stream = run_many(make_mixed, ["a"], concurrency=1, engine=ray("auto"))
    with pytest.raises(ConfigurationError, match=r"Ray cannot join the cluster 'auto': Conn.*auto"):
        await stream


def test_folder_named_ray_is_not_ray(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", ModuleType("ray"))
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[ray\]'"):
        ray()
