"""Test the guard of ratios."""

from __future__ import annotations

import pytest

from benchmarks import guard
from benchmarks.peers import PEERS


def test_guard_has_limit_for_each_costly_operator() -> None:
    limits = guard.guarded_operators()
    assert limits["text"] < limits["partial_json"]
    assert {limit.contender for limit in guard.RATIOS} <= set(PEERS)


def test_guard_fails_above_limit(capsys: pytest.CaptureFixture[str]) -> None:
    guard.judge([("at its limit", 2.0, 2.0)])
    with pytest.raises(SystemExit, match="above its limit"):
        guard.judge([("quick", 1.0, 2.0), ("slow", 3.0, 2.0)])
    assert capsys.readouterr().out.splitlines()[2].startswith("FAIL")
