"""Test the runner of the benchmarks: what it reports, how it explains a chain, what it draws."""

from __future__ import annotations

import argparse
import asyncio
import html
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest
import reactivex as rx
from reactivex import compose
from reactivex import operators as rx_ops

from benchmarks import guard
from benchmarks.before import report_before
from benchmarks.chain import StageCost, load_chain, measure
from benchmarks.environments import Environments, MissingPeerError
from benchmarks.peers import CHAT, PEERS, WIRES, Peer
from benchmarks.replay_server import ReplayServer, replay_server
from benchmarks.report import Machine, Report, Series
from benchmarks.run import Run
from benchmarks.run_many import run_many, throughput, with_engine
from benchmarks.scenarios import SCENARIOS
from benchmarks.summary import compare, markdown, rows
from benchmarks.throughput import BURSTS, FULL_SPEED
from benchmarks.worker import Outcome, load
from benchmarks.workers import Workers, all_workers
from rxagents import operators as ops
from rxagents.core.errors import ConfigurationError

_MACHINE = Machine("2026-01-02 03:04 UTC", "abc", "python -m benchmarks", "any", 2, "any", "3.11")


@pytest.fixture(scope="module")
def server() -> Iterator[ReplayServer]:
    with replay_server() as started:
        yield started


@pytest.fixture
def workers(server: ReplayServer, tmp_path: Path) -> Iterator[Workers]:
    with all_workers(Environments(tmp_path), server.certificate) as made:
        yield made


def report_of(values: dict[str, list[float]], scenario: str = "bursts") -> Report:
    report = Report(_MACHINE, references={scenario: "hand-written loop"})
    for contender, each in values.items():
        for value in each:
            for work in (BURSTS, FULL_SPEED):
                report.add(scenario, work, contender, "us a chunk", value)
    return report


def test_ratio_is_median_of_ratios_of_rounds() -> None:
    report = report_of({"hand-written loop": [1.0, 10.0, 2.0], "rxagents": [2.0, 10.0, 12.0]})
    reference, _, ours, _ = report.series
    assert report.ratio(ours) == 2.0
    assert report.ratio(reference) is None
    assert ours.median == 10.0


def test_spread_is_half_of_quartile_distance() -> None:
    assert Series("any", "any", "any", "any", [1.0, 2.0, 3.0, 4.0, 100.0]).spread == 1.0
    assert Series("any", "any", "any", "any", [7.0]).spread == 0.0


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
    server = ReplayServer("", "", "")
    run = Run("bursts", quick=True, report=Report(_MACHINE), workers=workers, server=server)
    assert run.cpu_of_chunk("rxagents", "any", 500) is None
    assert workers.missing["rxagents"] == "100 of 500 chunks arrived"
    assert run.cpu_of_chunk("rxagents", "any", 100) == pytest.approx(10.0)


def stages_of(server: ReplayServer, function: str) -> list[StageCost]:
    return asyncio.run(measure(f"{server.url}/200x16", load_chain(f"{__name__}:{function}")))


async def _slow(text: str) -> str:
    await asyncio.sleep(0.01)
    return text


def _busy(text: str) -> str:
    return text if sum(range(20_000)) else ""


def listed_chain() -> object:
    return [ops.text(), rx_ops.map(_busy), ops.checkpoint("even", rx_ops.filter(bool))]


def waiting_chain() -> object:
    return [ops.text(), ops.split_sentences(), ops.map_async(_slow, capacity=1)]


def composed_chain() -> object:
    return compose(ops.text(), ops.split_sentences())


def no_chain() -> object:
    return 3


def test_chain_shows_each_operator_of_a_list(server: ReplayServer) -> None:
    names = ["source", "text()", "an operator of reactivex", 'checkpoint "even"', "subscriber"]
    stages = stages_of(server, "listed_chain")
    assert [stage.name for stage in stages] == names
    assert [stage.items for stage in stages] == [202, 202, 200, 200, 200]
    assert max(stages, key=lambda stage: stage.seconds) is stages[2]


def test_chain_shows_where_it_waits(server: ReplayServer) -> None:
    slowest = max(stages_of(server, "waiting_chain"), key=lambda stage: stage.seconds)
    assert slowest.name == "map_async(_slow, capacity=1)"
    assert slowest.gated > 0.5 * slowest.seconds


def test_composed_chain_is_one_stage(server: ReplayServer) -> None:
    names = [stage.name for stage in stages_of(server, "composed_chain")]
    assert names == ["source", "text(), split_sentences()", "subscriber"]


def failing_function() -> object:
    raise LookupError("of two\nlines")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"'nothing' names no function, as module:function does"),
        ("no_such_module:any", "names no function: ModuleNotFoundError: No module named"),
        (f"{__name__}:no_such_name", "names no function: AttributeError: .* 'no_such_name'"),
        (f"{__name__}:_MACHINE", "names no function, but Machine"),
        (f"{__name__}:failing_function", "raised LookupError: of two lines$"),
        (f"{__name__}:no_chain", "must return an operator or a list of operators, not 3"),
    ],
    ids=["no colon", "no module", "no attribute", "not callable", "raises", "no operators"],
)
def test_chain_that_is_none_is_refused(name: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load_chain(name)


@pytest.mark.parametrize(
    ("operators", "message"),
    [
        ([ops.text(), str.upper], "The chain failed with TypeError: descriptor 'upper'"),
        ([ops.text(), rx_ops.map(int)], "The chain failed with ValueError: invalid literal"),
        ([ops.text(), rx_ops.take(5)], "completed before its source: leave out what ends it"),
        ([rx_ops.merge(rx.never())], "did not complete within 0.5 s, although its source ends"),
    ],
    ids=["no operator", "a function raises", "ends early", "does not end"],
)
def test_chain_that_fails_is_one_line(
    server: ReplayServer, monkeypatch: pytest.MonkeyPatch, operators: list[Any], message: str
) -> None:
    monkeypatch.setattr("benchmarks.chain._LONGEST_SECONDS", 0.5)
    with pytest.raises(ConfigurationError, match=message):
        asyncio.run(measure(f"{server.url}/200x16", operators))


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
    report = Report(_MACHINE)
    server = ReplayServer("", "", "")
    run_many(Run("run_many", quick=True, report=report, workers=workers, server=server))
    engines = ["loop", "ray", "by hand"] if is_installed else ["loop"]
    assert [one.contender for one in report.find("run_many", work="50 live runs")] == engines
    assert workers.missing["run_many, processes"] == "no cores"
    assert ("run_many on Ray" in workers.missing) == (not is_installed)


def test_throughput_of_many_runs_is_counted() -> None:
    rate, reader, workers = throughput(partial(with_engine, None), 5, 8)
    assert rate > 0
    assert reader > 0
    assert workers == 0


def drawable_report() -> Report:
    report = report_of({"hand-written loop": [1.0], "rxagents": [2.0], "openai": [90.0]})
    for streams, lag in (("100", 5.0), ("1,000", 5_000.0)):
        report.add("live", f"{streams} streams", "openai", "lag p99, ms", lag)
        report.add("live", f"{streams} streams", "rxagents", "lag p99, ms", 4.0)
        report.add("live", f"{streams} streams", "rxagents", "KiB a stream", 23.0)
    report.references |= {"wires": "rxagents", "tokens": "rxagents"}
    for contender, value in (("rxagents", 2.0), ("vendor's library", 24.0)):
        report.add("wires", f"Anthropic, {BURSTS}", contender, "us a chunk", value)
    for contender, value in (("rxagents", 2.0), ("pydantic-ai", 190.0)):
        report.add("tokens", BURSTS, contender, "us a chunk", value)
    for work, value in (("plain", 4.0), ("TLS", 5.0)):
        report.add("tls", work, "rxagents", "us a chunk", value)
        report.add("length", "2,000 chunks" if work == "TLS" else "20,000 chunks", *_COST, value)
    for policy, seconds in (("block", 2.0), ("error", 0.5)):
        report.add("slow", "1,000", policy, "% of the text", 97.0)
        report.add("slow", "1,000", policy, "s until the end", seconds)
        report.add("slow", "1,000", policy, "age when read, p50, ms", 811.0)
        report.add("slow", "1,000", policy, "KiB grown", 432.0)
    return report


_COST = ("rxagents", "us a chunk")
_DRAWN = {
    "chunks": ("CPU time of a chunk, 16 a read", "2.00,  2.00 x", "90,  90 x"),
    "wires": ("CPU time of a chunk, 16 a read", "Anthropic: anthropic", "24,  12.0 x"),
    "tokens": ("CPU time of an agent's token, 16 a read", "190,  95 x"),
    "live_lag": ("Delay of a chunk, 99th percentile", "openai breaks"),
    "live_memory": ("Memory of a live stream, 100 streams", ">23<"),
    "length": ("CPU time of a chunk against the length of the answer", "20,000"),
    "tls": ("CPU time of a chunk without and with TLS", "5.00,  1.25 x"),
    "slow": ("under each policy", "error: fails after 0.5 s", ">97<", ">811<", ">432<"),
}
"""Text that each plot of `drawable_report` must have: its title and its figures."""


def test_plots_have_titles_ratios_and_dark_colours(tmp_path: Path) -> None:
    from benchmarks.plots import draw  # matplotlib takes a second to import

    drawn = {path.stem: path.read_text() for path in draw(drawable_report(), tmp_path)}
    assert set(drawn) == set(_DRAWN)
    for name, text in drawn.items():
        ET.fromstring(text)
        shown = html.unescape(text)
        assert [part for part in _DRAWN[name] if part not in shown] == []
        assert "python -m benchmarks" in text
        light, dark = re.findall(r"svg\{(--c0:[^}]*)\}", text)
        assert "prefers-color-scheme:dark" in text
        assert light.count("--c") == dark.count("--c")
        drawn_colours = re.sub(r"<style>svg.*</style>", "", text)
        assert re.findall(r"#[0-9a-f]{6}\b", drawn_colours) == []
    assert "rxagents breaks" not in drawn["live_lag"]


def test_every_scenario_and_peer_can_be_loaded() -> None:
    for scenario in SCENARIOS.values():
        assert callable(load(scenario.function))
    for peer in PEERS.values():
        assert callable(load(peer.client))
    assert {*CHAT, *(name for pair in WIRES.values() for name in pair)} <= set(PEERS)


def test_guard_has_limit_for_each_costly_operator() -> None:
    limits = guard.guarded_operators()
    assert limits["text"] < limits["partial_json"]
    assert {limit.contender for limit in guard.RATIOS} <= set(PEERS)


def test_guard_fails_above_limit(capsys: pytest.CaptureFixture[str]) -> None:
    guard.judge([("at its limit", 2.0, 2.0)])
    with pytest.raises(SystemExit, match="above its limit"):
        guard.judge([("quick", 1.0, 2.0), ("slow", 3.0, 2.0)])
    assert capsys.readouterr().out.splitlines()[2].startswith("FAIL")


def live_report(lags: dict[str, tuple[float, float]]) -> Report:
    report = Report(_MACHINE, references={"live": "bare aiohttp"})
    for streams, (bare, ours) in lags.items():
        report.add("live", f"{streams} streams", "bare aiohttp", "lag p99, ms", bare)
        report.add("live", f"{streams} streams", "rxagents", "lag p99, ms", ours)
        report.add("live", f"{streams} streams", "rxagents", "KiB a stream", 21.0)
    return report


def found_in(report: Report) -> dict[str, tuple[str, bool | None]]:
    return {row.work: (row.found, row.is_met) for row in rows(report)}


def test_summary_compares_with_goals() -> None:
    report = report_of({"hand-written loop": [1.0], "rxagents": [0.9]})
    assert found_in(report) == {
        f"stream to subscriber, {FULL_SPEED} / hand-written loop": ("0.90 x", True),
        f"stream to subscriber, {BURSTS} / hand-written loop": ("0.90 x", True),
    }


def test_live_streams_stay_near_bare_aiohttp() -> None:
    lags = {"100": (5.0, 49.0), "1,000": (80.0, 110.0), "2,000": (80.0, 130.0)}
    report = live_report(lags)
    assert found_in(report) == {
        "live streams on a core in real time": ("1,000", False),
        "memory of a live stream, 1,000 streams": ("21.0 KiB", False),
    }
    assert "| live streams on a core in real time | 1,000 | at least 2,000 | no |" in markdown(
        report
    )
    report.add("live", "1,000 streams", "rxagents", "% in time", 89.0)
    assert found_in(report)["live streams on a core in real time"] == ("100", False)


def test_summary_shows_times_above_bare_aiohttp() -> None:
    report = Report(_MACHINE, references={"first": "bare aiohttp"})
    for contender, value in (("bare aiohttp", 0.4), ("rxagents", 0.6)):
        report.add("first", "open connection", contender, "ms to the first text", value)
    assert found_in(report) == {"time to the first text / bare aiohttp": ("1.50 x, +200 us", None)}


def test_summary_shows_figures_of_another_report(tmp_path: Path) -> None:
    file = tmp_path / "before.json"
    file.write_bytes(
        msgspec.json.encode(report_of({"hand-written loop": [1.0], "rxagents": [1.3]}))
    )
    report = report_of({"hand-written loop": [1.0], "rxagents": [0.9]})
    compare(report, report_before(argparse.Namespace(against=str(file))))
    lines = markdown(report).splitlines()
    assert lines[0] == "| work | commit abc | now | goal | met |"
    assert lines[2].endswith("| 1.30 x | 0.90 x | at most 0.95 x | yes |")


def test_against_names_report_or_commit() -> None:
    with pytest.raises(ConfigurationError, match=r"'no-such' is neither a report nor a commit"):
        report_before(argparse.Namespace(against="no-such"))


def test_number_of_rounds_is_the_given_one(tmp_path: Path) -> None:
    def run_of(rounds: int | None, *, quick: bool) -> Run:
        return Run(
            "bursts",
            quick=quick,
            report=Report(_MACHINE),
            workers=Workers(Environments(tmp_path), ""),
            server=ReplayServer("", "", ""),
            rounds=rounds,
        )

    assert run_of(None, quick=True).choose_rounds(1, 5) == 1
    assert run_of(None, quick=False).choose_rounds(1, 5) == 5
    assert run_of(2, quick=False).choose_rounds(1, 5) == run_of(2, quick=True).rounds == 2
