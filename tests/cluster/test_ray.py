"""Test many runs on Ray, once, where it is installed: `pytest --full`."""

from __future__ import annotations

import json
import os
import sys
from importlib.util import find_spec

import pytest
from child import run_program
from matrix import only_full
from pages import ROOT

PROGRAM = """
    import asyncio, json, time
    import ray
    import rxagents
    from rxagents import cluster, run_many, to_aiter
    from rxagents.testing import Reply, ScriptedServer
    from worker_agents import make_mixed

    ENGINE = cluster.ray(actors=2, options={"num_cpus": 0.5})

    async def main():
        found = {}
        reports = {}
        inputs = {"good": "slow", "fails": "fails", "raises": "raises", "bad": "exits"}
        stream = run_many(
            make_mixed, inputs, concurrency=4, engine=ENGINE, attempts=2,
            report=lambda report: reports.__setitem__(report.key, report),
        )
        async with to_aiter(stream) as items:
            async for key, event in items:
                found.setdefault(key, []).append(event)
        found["errors"] = {
            key: type(events[-1].error.exception()).__name__
            for key, events in found.items()
            if events[-1].error
        }
        async with ScriptedServer(Reply(["word "] * 1000, interval=0.05)) as server:
            limiter = cluster.RayLimiter("test", concurrent=3)
            asked = [{"ask": server.url}] * 4
            stream = run_many(
                make_mixed, asked, concurrency=4, engine=ENGINE, limiter=limiter
            )
            async with to_aiter(stream) as items:
                tokens = 0
                while tokens < 6:
                    tokens += (await anext(items))[1].type == "token"
                found["open"] = len(server.open_connections)
                found["waiting"] = sum((await limiter.state()).waiting.values())
            await server.disconnected(3)
            await server.connections_closed()
            limiter.close()
        found["good"] = [event.content for event in found["good"]][-3:]
        found["bad"] = found["bad"][-1].content
        print(json.dumps({key: found[key] for key in ("good", "bad", "errors", "open", "waiting")}))

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    asyncio.run(main())
"""


@only_full
@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed")
def test_ray_runs_all_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # listen on 127.0.0.1 only
        "RAY_USAGE_STATS_ENABLED": "0",
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests" / "support"), *sys.path]),
        "PYTHONWARNINGS": "default",
    }.items():
        monkeypatch.setenv(name, value)
    [result] = [line for line in run_program(PROGRAM).splitlines() if line.startswith("{")]
    found = json.loads(result)
    assert found["good"] == ["a", "b", ""]
    assert found["bad"].startswith("The Ray actor of the run 'bad' ended with ActorDiedError")
    assert found["errors"] == {
        "fails": "RateLimitError",
        "raises": "RxAgentsError",
        "bad": "RunInterruptedError",
    }
    assert (found["open"], found["waiting"]) == (3, 1)
