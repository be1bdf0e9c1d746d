"""Usage: the counts of several requests, added up without guessing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rxagents import Usage
from rxagents.core.usage import add_usage

COUNTS = st.none() | st.integers(0, 1000)
USAGES = st.builds(Usage, COUNTS, COUNTS, COUNTS, COUNTS, COUNTS)


def test_each_count_is_summed() -> None:
    total = add_usage(Usage(1, 2, 3, 4, 5), Usage(10, 20, 30, 40, 50))
    assert total == Usage(11, 22, 33, 44, 55)


def test_count_of_one_request_is_kept() -> None:
    assert add_usage(Usage(1, None, 3), Usage(None, 20, 30)) == Usage(1, 20, 33)
    assert add_usage(Usage(output_tokens=0), Usage()) == Usage(output_tokens=0)


def test_missing_usage_adds_nothing() -> None:
    usage = Usage(1, raw={"prompt_tokens": 1})
    assert add_usage(None, None) is None
    assert add_usage(usage, None) is usage
    assert add_usage(None, usage) is usage


def test_sum_has_no_raw_usage() -> None:
    assert add_usage(Usage(1, raw={"a": 1}), Usage(2, raw={"a": 2})) == Usage(3)


@given(USAGES, USAGES, USAGES)
def test_order_of_requests_does_not_matter(a: Usage, b: Usage, c: Usage) -> None:
    assert add_usage(a, b) == add_usage(b, a)
    assert add_usage(add_usage(a, b), c) == add_usage(a, add_usage(b, c))
