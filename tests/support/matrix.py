"""Choose a part of a test matrix: `pytest` runs the chosen tests, `pytest --full` runs all.

The choice depends on the names of the tests alone, so that it is the same in every run.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar
from zlib import crc32

import pytest

T = TypeVar("T")

only_full = pytest.mark.only_full
"""A test, or one value of a parameter, that only `--full` runs."""


def one_of(parameter: str) -> pytest.MarkDecorator:
    """Mark a value of `parameter`: one of the marked values is run for each test."""
    return pytest.mark.one_of(parameter)


def chosen(name: str, values: Sequence[T]) -> T:
    """Return the value that stands for all of them in the test of this name."""
    return values[crc32(name.encode()) % len(values)]


def left_out(items: list[pytest.Item]) -> set[pytest.Item]:
    """Return the tests that only `--full` runs."""
    left = {item for item in items if item.get_closest_marker("only_full") is not None}
    for key, group in _groups(items).items():
        left.update(set(group) - {chosen(key, group)})
    return left


def _groups(items: list[pytest.Item]) -> dict[str, list[pytest.Item]]:
    """Return the tests that differ only in parameters of which one value is chosen."""
    groups: dict[str, list[pytest.Item]] = defaultdict(list)
    for item in items:
        chosen_ones = {mark.args[0] for mark in item.iter_markers("one_of")}
        if chosen_ones and isinstance(item, pytest.Function):
            others = [
                (name, index)
                for name, index in item.callspec.indices.items()
                if name not in chosen_ones
            ]
            groups[f"{item.originalname}{others}"].append(item)
    return groups
