"""Test how the runner measures peers, and reports those that it cannot measure."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from benchmarking import run_of

from benchmarks.environments import Environments, MissingPeerError
from benchmarks.gateway import litellm_python, reported
from benchmarks.peers import CHAT, PEERS, WIRES, Peer
from benchmarks.replay_server import ReplayServer
from benchmarks.run_many import run_many, throughput, with_engine
from benchmarks.scenarios import SCENARIOS
from benchmarks.worker import Outcome, load
from benchmarks.workers import Workers


def test_peer_that_is_not_installed_is_reported(tmp_path: Path) -> None:
    environments = Environments(tmp_path)
    with pytest.raises(MissingPeerError, match="--install, or pip install 'no-such-library'"):
        environments.python_of("any", Peer("any:any", ("no-such-library",)))
    assert environments.python_of("any", Peer("any:any", ("msgspec",)))


def test_worker_counts_chunks_and_cpu_time(server: ReplayServer, workers: Workers) -> None:
    for name in ("hand-written loop", "rxagents"):
        outcome = workers.run(name, url=f"{server.url}/500x16")
        assert outcome is not None, workers.missing
        assert 500 <= outcome.seen <= 502  # rxagents adds the chunks of usage and finish reason
        assert 0 < outcome.cpu < 10


def test_failing_peer_is_reported(workers: Workers) -> None:
    assert workers.run("hand-written loop", url="http://127.0.0.1:1/500x16") is None
    assert "ClientConnectorError" in workers.missing["hand-written loop"]


class _ShortAnswers(Workers):
    def run(self, name: str, **job: Any) -> Outcome:
        return Outcome(seen=100, cpu=0.001)


def test_answer_that_is_too_short_is_reported(tmp_path: Path) -> None:
    workers = _ShortAnswers(Environments(tmp_path), "")
    run, _ = run_of("bursts", workers)
    assert run.cpu_of_chunk("rxagents", "any", 500) is None
    assert workers.missing["rxagents"] == "100 of 500 chunks arrived"
    assert run.cpu_of_chunk("rxagents", "any", 100) == pytest.approx(10.0)


@pytest.mark.parametrize("is_installed", [True, False])
def test_many_runs_need_no_ray(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, *, is_installed: bool
) -> None:
    def measured(function: str, engine: str, *_: object, python: str) -> list[object]:
        assert callable(load(function))
        assert (python == "ray's") == (engine in {"ray", "by hand"})
        if engine == "processes":
            raise RuntimeError("no cores")
        return [["50 live runs", "events a second", 7.0]]

    monkeypatch.setattr("benchmarks.run_many.in_fresh_process", measured)
    pythons = {"ray": "ray's"} if is_installed else {}
    monkeypatch.setattr("benchmarks.environments._is_here", lambda _: False)
    workers = Workers(Environments(tmp_path, pythons=pythons), "")
    run, report = run_of("run_many", workers)
    run_many(run)
    engines = ["loop", "ray", "by hand"] if is_installed else ["loop"]
    assert [one.contender for one in report.find("run_many", work="50 live runs")] == engines
    assert workers.missing["run_many, processes"] == "no cores"
    assert ("run_many on Ray" in workers.missing) == (not is_installed)


@pytest.mark.parametrize(
    ("pythons", "reason"),
    [
        ({}, "not installed: run with --install, or pip install 'litellm[proxy]'"),
        ({"litellm's proxy": sys.executable}, "No module named 'litellm'"),
    ],
    ids=["not installed", "cannot be imported"],
)
def test_gateway_runs_without_litellm(tmp_path: Path, pythons: dict[str, str], reason: str) -> None:
    workers = Workers(Environments(tmp_path, pythons=pythons), "")
    run, _ = run_of("gateway", workers)
    assert litellm_python(run) is None
    assert reason in workers.missing["litellm's proxy"]


def test_gateway_that_fails_is_reported(tmp_path: Path) -> None:
    workers = Workers(Environments(tmp_path), "")
    run, _ = run_of("gateway", workers)
    for name, error in {"late": TimeoutError("5 s"), "gone": EOFError("no text")}.items():
        with reported(run, name):
            raise error
    assert workers.missing == {"late": "TimeoutError: 5 s", "gone": "EOFError: no text"}
    with pytest.raises(ZeroDivisionError), reported(run, "a mistake of ours"):
        raise ZeroDivisionError


def test_throughput_of_many_runs_is_counted() -> None:
    rate, reader, workers = throughput(partial(with_engine, None), 5, 8)
    assert rate > 0
    assert reader > 0
    assert workers == 0


def test_every_scenario_and_peer_can_be_loaded() -> None:
    for scenario in SCENARIOS.values():
        assert callable(load(scenario.function))
    for peer in PEERS.values():
        assert callable(load(peer.client))
    assert {*CHAT, *(name for pair in WIRES.values() for name in pair)} <= set(PEERS)


def test_number_of_rounds_is_the_given_one(tmp_path: Path) -> None:
    workers = Workers(Environments(tmp_path), "")

    def chosen(rounds: int | None, *, quick: bool) -> int:
        run, _ = run_of("bursts", workers, quick=quick, rounds=rounds)
        return run.choose_rounds(1, 5)

    assert chosen(None, quick=True) == 1
    assert chosen(None, quick=False) == 5
    assert chosen(2, quick=False) == chosen(2, quick=True) == 2
