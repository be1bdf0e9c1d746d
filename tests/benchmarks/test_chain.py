"""Test how --chain explains a chain of operators, and what it refuses."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from reactivex import compose
from reactivex import operators as rx_ops

from benchmarks.chain import StageCost, load_chain, measure
from benchmarks.replay_server import ReplayServer
from rxagents import operators as ops
from rxagents.core.errors import ConfigurationError


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


def failing_function() -> object:
    raise LookupError("of two\nlines")


def test_chain_shows_each_operator_of_a_list(server: ReplayServer) -> None:
    names = ["source", "text()", "an operator of reactivex", 'checkpoint "even"', "subscriber"]
    stages = stages_of(server, "listed_chain")
    assert [stage.name for stage in stages] == names
    assert [stage.items for stage in stages] == [202, 202, 200, 200, 200]
    assert max(stages, key=lambda stage: stage.seconds) is stages[2]


def test_chain_shows_where_it_waits(server: ReplayServer) -> None:
    stages = stages_of(server, "waiting_chain")
    assert stages[-1].items == stages[-2].items
    slowest = max(stages, key=lambda stage: stage.seconds)
    assert slowest.name == "map_async(_slow, capacity=1)"
    assert slowest.gated > 0.5 * slowest.seconds


def test_composed_chain_is_one_stage(server: ReplayServer) -> None:
    names = [stage.name for stage in stages_of(server, "composed_chain")]
    assert names == ["source", "text(), split_sentences()", "subscriber"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", r"'nothing' names no function, as module:function does"),
        ("no_such_module:any", "names no function: ModuleNotFoundError: No module named"),
        (f"{__name__}:no_such_name", "names no function: AttributeError: .* 'no_such_name'"),
        (f"{__name__}:__name__", "names no function, but 'tests"),
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
