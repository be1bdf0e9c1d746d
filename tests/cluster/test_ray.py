"""Test many runs on Ray, where it is installed: `pytest --full`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from matrix import only_full
from pages import ROOT, blocks
from ray_cluster import needs_ray, ray_program, run_ray

__all__ = ["ray_program"]  # a fixture

pytestmark = [only_full, needs_ray]
starts_cluster = pytest.mark.usefixtures("ray_program")

PROGRAM = """
    import asyncio, json
    import ray
    from ray_cluster import foreign_listeners
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
                live = set()
                while len(live) < 3:
                    key, event = await anext(items)
                    if event.type == "token":
                        live.add(key)
                while not (waiting := (await limiter.state()).waiting):
                    await asyncio.sleep(0.02)
                found["open"] = len(server.open_connections)
                found["waiting"] = sum(waiting.values())
            await server.disconnected(3)
            await server.connections_closed()
            limiter.close()
        found["listens"] = foreign_listeners()
        found["good"] = [event.content for event in found["good"]][-3:]
        found["bad"] = found["bad"][-1].content
        names = ("good", "bad", "errors", "open", "waiting", "listens")
        print(json.dumps({name: found[name] for name in names}))

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, configure_logging=False)
    asyncio.run(main())
"""

OUT_OF_MEMORY = """
    import asyncio, json, sys
    import ray
    from ray._common.utils import get_system_memory
    from ray._private.utils import get_used_memory
    from rxagents import cluster, run_many, to_aiter
    from worker_agents import make_mixed

    # Ray kills a worker when a sixth of what is free now is used, and not when nothing is left:
    # Ray itself and the tests beside this one need less than that sixth.
    free = get_system_memory() - get_used_memory()
    if free < 12 * 1024**3:
        sys.exit(print(json.dumps({"free": free})))
    most = get_used_memory() + free / 6

    async def main():
        engine = cluster.ray(actors=1, options={"num_cpus": 0.5})
        inputs = {"good": "slow", "bad": {"eat": int(free / 3)}, "good too": "slow"}
        last = {}
        stream = run_many(make_mixed, inputs, concurrency=3, engine=engine, attempts=2)
        async with to_aiter(stream) as items:
            async for key, event in items:
                last[key] = event
        errors = {key: event.error.message for key, event in last.items() if event.error}
        print(json.dumps({"errors": errors, "kind": last["bad"].error.kind, "keys": len(last)}))

    ray.init(
        num_cpus=2,
        include_dashboard=False,
        log_to_driver=False,
        configure_logging=False,
        object_store_memory=100 * 1024**2,
        _system_config={
            "memory_usage_threshold": most / get_system_memory(),
            "memory_monitor_refresh_ms": 50,
        },
    )
    asyncio.run(main())
"""


CONFIGURATIONS = """
    import json, sys
    import yaml
    from ray.autoscaler._private.util import prepare_config, validate_config

    with open(sys.argv[1]) as file:
        cluster, job = yaml.safe_load_all(file)
    cluster = prepare_config(cluster)
    validate_config(cluster)
    job = job["spec"]["rayClusterSpec"]
    pods = [job["headGroupSpec"]["template"], job["workerGroupSpecs"][0]["template"]]
    found = {"types": sorted(cluster["available_node_types"]), "pods": pods}
    print(json.dumps(found))
"""


@starts_cluster
def test_ray_runs_all_keys() -> None:
    found = json.loads(run_ray(PROGRAM))
    assert found["good"] == ["a", "b", ""]
    assert found["bad"].startswith("The Ray actor of the run 'bad' ended with ActorDiedError")
    assert found["errors"] == {
        "fails": "RateLimitError",
        "raises": "RxAgentsError",
        "bad": "RunInterruptedError",
    }
    assert (found["open"], found["waiting"]) == (3, 1)
    assert found["listens"] == []


@starts_cluster
def test_actor_out_of_memory_is_error_of_one_key() -> None:
    found = json.loads(run_ray(OUT_OF_MEMORY))
    if "free" in found:
        pytest.skip(f"needs 12 GiB of free memory, and {found['free']} bytes are free")
    assert (found["keys"], found["kind"], list(found["errors"])) == (
        3, "RunInterruptedError", ["bad"],
    )  # fmt: skip
    assert "OutOfMemoryError" in found["errors"]["bad"]


def test_documented_configurations_are_valid(tmp_path: Path) -> None:
    page = blocks((ROOT / "docs" / "scale.md").read_text())
    configurations = [block.code for block in page if block.language == "yaml"]
    path = tmp_path / "all.yaml"
    path.write_text("---\n".join(configurations))
    found = json.loads(run_ray(CONFIGURATIONS, str(path)))
    assert found["types"] == ["ray.head.default", "ray.worker.default"]
    head, worker = found["pods"]
    assert head == worker
    assert head["spec"]["containers"][0]["name"] == "ray"
