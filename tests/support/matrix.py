"""Choose a part of the tests: `pytest` runs the chosen ones, `pytest --full` runs all.

The choice depends on the names of the tests alone, so that it is the same in every run.

- A rule that is the same on every wire takes `any_wire` (see `wires`), which is built on `one_of`.
- A matrix that a test module makes itself marks the values to leave out `only_full`.
- A test that is slow because it is long takes its length from `size`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

import pytest

T = TypeVar("T")

only_full = pytest.mark.only_full
"""A test, or one value of a parameter, that only `--full` runs."""


full = False
"""Whether everything is run; `tests/conftest.py` sets it before it imports the tests."""


def size(whole: int, quick: int) -> int:
    """Return how large a test is: `whole` with `--full`, and else `quick`."""
    return whole if full else quick


def one_of(name: str, values: Sequence[Any]) -> pytest.MarkDecorator:
    """Parametrize a test with values that have a `name`; `pytest` runs it with one of them."""
    marked = [
        pytest.param(each, id=each.name, marks=pytest.mark.one_of(each.name)) for each in values
    ]
    return pytest.mark.parametrize(name, marked)


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
        marked = {mark.args[0] for mark in item.iter_markers("one_of")}
        if marked and isinstance(item, pytest.Function):
            others = [part for part in item.callspec._idlist if part not in marked]
            groups["-".join([item.nodeid.partition("[")[0], *others])].append(item)
    return groups
