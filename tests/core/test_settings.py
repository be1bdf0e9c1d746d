"""Settings are validated when they are created."""

from __future__ import annotations

import math
from typing import Any

import pytest

from rxagents import ConfigurationError, Settings, Timeouts

GOOD: dict[str, list[Any]] = {
    "temperature": [0, 0.7, 2, 5.0],
    "top_p": [0, 0.5, 1],
    "max_tokens": [1, 100_000],
    "seed": [0, -7, 2**63],
    "tool_choice": ["auto", "none", "required", "add"],
    "parallel_tool_calls": [True, False],
    "stop": [("END",), ("a", "b"), ()],
    "extra_body": [{}, {"a": None}],
    "raw": [True, False],
    "headers": [{}, {"x-user": "1"}],
    "timeout": [1, 0.5, Timeouts(total=9)],
    "response_format": ["text", "json_object", {"type": "x"}, dict],
}
BAD: dict[str, list[Any]] = {
    "temperature": [-0.1, math.nan, math.inf, "1", True, [], 10**400],
    "top_p": [-0.1, 1.01, math.nan, "1", False],
    "max_tokens": [0, -1, 1.5, "5", True],
    "seed": [1.5, "5", True],
    "tool_choice": [5, True, {}, ["auto"]],
    "parallel_tool_calls": [1, 0, "yes"],
    "stop": [("",), (5,), ("a", None), 5],
    "extra_body": [[], "x", 5],
    "raw": [1, 0, "yes"],
    "headers": ["x: y", [("x", "y")], 5],
    "timeout": [0, -1, "5", True, math.inf],
    "response_format": [5, True, [], "jsn", "json", Settings()],
}


def _pairs(table: dict[str, list[Any]]) -> list[Any]:
    return [
        pytest.param(name, value, id=f"{name}={str(value)[:20]}")
        for name, values in table.items()
        for value in values
    ]


def test_every_setting_is_tested() -> None:
    assert set(GOOD) == set(BAD) == set(Settings.__struct_fields__)


@pytest.mark.parametrize(("name", "value"), _pairs(GOOD))
def test_valid_value_is_kept(name: str, value: Any) -> None:
    assert getattr(Settings(**{name: value}), name) == value
    assert getattr(Settings().override(**{name: value}), name) == value


@pytest.mark.parametrize(("name", "value"), _pairs(BAD))
@pytest.mark.parametrize("make", [Settings, Settings().override])
def test_invalid_value_is_refused_by_name(make: Any, name: str, value: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"^{name} must"):
        make(**{name: value})


def test_settings_default_to_none() -> None:
    settings = Settings()
    assert {getattr(settings, name) for name in settings.__struct_fields__} == {None}


def test_override_keeps_other_settings() -> None:
    settings = Settings(temperature=0.5, seed=7)
    changed = settings.override(temperature=0, seed=None, top_p=0.9)
    assert (changed.temperature, changed.seed, changed.top_p) == (0, 7, 0.9)
    assert (settings.temperature, settings.top_p) == (0.5, None)


@pytest.mark.parametrize(
    ("stop", "expected"), [("END", ("END",)), (["a", "b"], ("a", "b")), (("a",), ("a",))]
)
def test_stop_accepts_str_and_list(stop: Any, expected: tuple[str, ...]) -> None:
    assert Settings().override(stop=stop).stop == expected


def test_unknown_setting_lists_known_ones() -> None:
    with pytest.raises(ConfigurationError, match=r"'temprature'.*temperature"):
        Settings().override(temprature=1)  # type: ignore[call-arg]  # that is the point


def test_settings_are_frozen() -> None:
    with pytest.raises(AttributeError, match="immutable"):
        Settings().seed = 1  # type: ignore[misc]  # that is the point
