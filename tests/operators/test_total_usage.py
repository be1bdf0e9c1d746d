"""Test `total_usage` in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, StreamChunk, Usage
from rxagents import operators as ops
from rxagents.core.usage import add_usage

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed = ReactiveTest.on_completed


def request(*usages: Usage | None) -> list[StreamChunk]:
    """Return the chunks of one request, with the usage that each sends."""
    return [StreamChunk("a", index, usage=usage) for index, usage in enumerate(usages)]


def total(*chunks: StreamChunk) -> Usage:
    """Return the only usage, after checking that it came at the end."""
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        *(on_next(210 + i, chunk) for i, chunk in enumerate(chunks)), on_completed(300)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.total_usage()))
    usage, end = observer.messages
    assert usage.time == 300
    assert end == on_completed(300)
    assert isinstance(usage.value.value, Usage)
    return usage.value.value


def test_last_counts_of_request_count() -> None:
    assert total(*request(Usage(5, 1), None, Usage(5, 7), None)) == Usage(5, 7)


def test_consecutive_requests_are_summed() -> None:
    first = request(Usage(5, 1, cached_tokens=2), Usage(5, 7, cached_tokens=2))
    second = request(None, Usage(4, 2, 6))
    assert total(*first, *second, *request(None)) == Usage(9, 9, 6, cached_tokens=2)


def test_one_chunk_is_a_request() -> None:
    assert total(*request(Usage(1)), *request(Usage(2)), *request(Usage(4))) == Usage(7)


def test_late_joined_stream_is_one_request() -> None:
    assert total(*request(None, None, None, Usage(1), Usage(3))[2:]) == Usage(3)


def test_counts_before_reset_are_included() -> None:
    reset = StreamChunk.reset(OSError("cut"))
    assert total(*request(None, Usage(5, 1)), reset, *request(Usage(5), Usage(5, 3))) == Usage(
        10, 4
    )


def test_raw_of_only_request_with_usage() -> None:
    sent = Usage(1, raw={"prompt_tokens": 1})
    assert total(*request(None), *request(sent), *request(None)) == sent
    assert total(*request(sent), *request(sent)) == Usage(2)


@pytest.mark.parametrize("chunks", [[], request(None, None)])
def test_no_usage_gives_empty_usage(chunks: list[StreamChunk]) -> None:
    assert total(*chunks) == Usage()


def test_failed_stream_has_no_total() -> None:
    scheduler = TestScheduler()
    failure = OSError("the wire is cut")
    (chunk,) = request(Usage(1))
    source = scheduler.create_hot_observable(on_next(210, chunk), on_error(220, failure))
    observer: Any = scheduler.start(lambda: source.pipe(ops.total_usage()))
    (only,) = observer.messages
    assert (only.time, only.value.exception) == (220, failure)


def test_non_chunk_is_a_typed_error() -> None:
    errors: list[Exception] = []
    rx.of("text").pipe(ops.total_usage()).subscribe(on_error=errors.append)  # type: ignore[arg-type]  # wrong on purpose
    assert [type(error) for error in errors] == [ConfigurationError]


COUNTS = st.none() | st.integers(0, 100)
USAGES = st.none() | st.builds(Usage, COUNTS, COUNTS)


@given(st.lists(st.lists(USAGES, min_size=1, max_size=3), max_size=4))
def test_total_sums_last_counts(requests: list[list[Usage | None]]) -> None:
    expected: Usage | None = None
    for usages in requests:
        expected = add_usage(expected, next((u for u in reversed(usages) if u is not None), None))
    chunks = [chunk for usages in requests for chunk in request(*usages)]
    out: list[Usage] = []
    rx.from_iterable(chunks).pipe(ops.total_usage()).subscribe(out.append)
    assert out == [expected or Usage()]
