"""Test the rules of a limiter, without a clock: windows, debts, and what a provider says."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxagents.runtime.limiting.fair_line import FairLine
from rxagents.runtime.limiting.headers import Seen, duration, seconds_to_reset, seen_limits
from rxagents.runtime.limiting.rate_rules import RateRules, Rates


def sent_times(rules: RateRules, arrivals: list[float], tokens: list[int]) -> list[float]:
    """Return when each request is sent, if all wait in one line."""
    now, sent = 0.0, []
    for pause, need in zip(arrivals, tokens, strict=True):
        now += pause
        while (wait := rules.wait(now, need)) > 0:
            now += wait
        rules.settle(now, rules.take(now, need), need)
        sent.append(now)
    return sent


pauses = st.lists(st.floats(0, 30) | st.just(0.0), min_size=1, max_size=200)


@given(st.integers(1, 500), pauses)
def test_no_minute_has_more_than_limit(limit: int, arrivals: list[float]) -> None:
    rules = RateRules(Rates(requests_per_minute=limit))
    sent = sent_times(rules, arrivals, [1] * len(arrivals))
    for first, at in enumerate(sent):
        assert sum(at <= later < at + 60 for later in sent[first:]) <= limit


@pytest.mark.parametrize("limit", [1, 60, 6000])
def test_waiting_line_uses_most_of_limit(limit: int) -> None:
    count = limit * 10
    rules = RateRules(Rates(requests_per_minute=limit))
    last = sent_times(rules, [0.0] * count, [1] * count)[-1]
    assert (count - 1) / last >= 0.95 * limit / 60


@given(st.integers(1000, 100_000), st.lists(st.integers(1, 50), min_size=20, max_size=100))
def test_small_requests_use_most_of_token_limit(limit: int, needs: list[int]) -> None:
    rules = RateRules(Rates(tokens_per_minute=limit))
    sent = sent_times(rules, [0.0] * len(needs), needs)
    assert sum(needs) >= 0.95 * limit / 60 * sent[-1]


requests = st.tuples(st.floats(0, 20), st.integers(1, 400), st.floats(0, 1), st.floats(0, 90))


@given(st.integers(500, 20_000), st.lists(requests, min_size=5, max_size=60))
def test_no_minute_has_more_tokens_than_limit(
    limit: int, plan: list[tuple[float, int, float, float]]
) -> None:
    """Requests use a part of what they reserve, and end at any time."""
    rules, now = RateRules(Rates(tokens_per_minute=limit)), 0.0
    sent: list[tuple[float, int]] = []
    running: list[tuple[float, Any, int]] = []
    for pause, need, share, length in plan:
        now += pause
        while True:
            for end in [end for end in running if end[0] <= now]:
                rules.settle(now, end[1], end[2])
                running.remove(end)
            if (wait := rules.wait(now, need)) <= 0:
                break
            now = min([now + wait, *(end for end, *_ in running)])
        used = int(need * share)
        running.append((now + length, rules.take(now, need), used))
        sent.append((now, used))
    for at, _ in sent:
        assert sum(used for other, used in sent if at <= other < at + 60) <= limit


def test_request_larger_than_minute_is_sent() -> None:
    rules = RateRules(Rates(tokens_per_minute=600))
    rules.take(0.0, 6000)
    wait = rules.wait(0.0, 1)
    assert 600 < wait < 620
    assert rules.wait(wait, 1) == 0


def test_unused_tokens_come_back() -> None:
    rules = RateRules(Rates(tokens_per_minute=6100))
    taken = rules.take(0.0, 1000)
    assert rules.wait(0.0, 1) == pytest.approx(9.51, abs=0.01)
    rules.settle(0.0, taken, 10)
    assert rules.wait(0.0, 1) == 0


def test_more_tokens_than_reserved_are_debt() -> None:
    rules = RateRules(Rates(tokens_per_minute=6100))
    rules.settle(0.0, rules.take(0.0, 10), 210)
    assert rules.wait(0.0, 1) == pytest.approx(1.61, abs=0.01)


def test_request_that_was_not_sent_counts_nothing() -> None:
    rules = RateRules(Rates(requests_per_minute=60, tokens_per_minute=6000, concurrent=1))
    taken = rules.take(0.0, 100)
    assert rules.wait(0.0, 1) == math.inf
    rules.give_back(0.0, taken)
    assert rules.wait(0.0, 1) == 0


def test_large_burst_is_sent_at_once_when_allowed() -> None:
    rules = RateRules(Rates(requests_per_minute=61, burst=10))
    assert [rules.wait(0.0, 1) == 0 and bool(rules.take(0.0, 1)) for _ in range(11)] == [
        *[True] * 10,
        False,
    ]


def test_provider_with_lower_limit_slows() -> None:
    rules = RateRules(Rates(requests_per_minute=6000))
    taken = rules.take(0.0, 1)
    rules.learn(0.0, taken, {"requests": Seen(limit=61, left=60)})
    rules.take(0.0, 1)
    assert rules.wait(0.0, 1) == pytest.approx(1.0)
    rules.learn(0.0, taken, {"requests": Seen(limit=50_000, left=60)})
    assert rules.requests.limit == 6000


def test_limit_is_learned_without_own() -> None:
    rules = RateRules(Rates())
    for _ in range(100):
        taken = rules.take(0.0, 1)
    assert rules.wait(0.0, 1) == 0
    rules.learn(0.0, taken, {"requests": Seen(limit=61, left=1)})
    rules.take(0.0, 1)
    assert rules.wait(0.0, 1) == pytest.approx(1.0)


def test_what_is_left_counts_later_requests_and_refill() -> None:
    rules = RateRules(Rates(requests_per_minute=610, burst=60))
    taken = rules.take(0.0, 1)
    for _ in range(3):
        rules.take(0.0, 1)
    rules.learn(0.2, taken, {"requests": Seen(left=2)})
    # 2 were left, 3 were sent since, and 2 were refilled in 0.2 s.
    assert rules.requests.level == pytest.approx(1.0)


def test_refusal_waits_as_asked() -> None:
    rules = RateRules(Rates())
    rules.refused(10.0, 3.0)
    assert rules.wait(10.0, 1) == 3
    assert rules.wait(13.0, 1) == 0


def test_refusal_without_time_waits_one_unit() -> None:
    rules = RateRules(Rates(requests_per_minute=61))
    rules.refused(10.0, None)
    assert rules.wait(10.0, 1) == pytest.approx(1.0)


def test_clock_of_new_loop_starts_again() -> None:
    rules = RateRules(Rates(requests_per_minute=61))
    rules.take(1000.0, 1)
    rules.hold(1000.0, 50)
    rules.wait(1000.0, 1)
    assert rules.wait(0.0, 1) == pytest.approx(1.0)
    assert rules.wait(1.0, 1) == 0


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=60))
def test_line_takes_turns_like_a_slow_model(moves: list[tuple[int, bool]]) -> None:
    line: FairLine[int] = FairLine()
    turns: list[int] = []  # the keys, whose turn is first in front
    waiting: dict[int, list[int]] = {}
    for number, (key, pops) in enumerate(moves):
        if pops and turns:
            turn = turns.pop(0)
            assert line.first() == waiting[turn][0]
            assert line.pop() == waiting[turn].pop(0)
            if waiting[turn]:
                turns.append(turn)
        elif number % 5 == 4 and waiting.get(key):
            line.remove(key, waiting[key].pop())
            if not waiting[key]:
                turns.remove(key)
        else:
            if not waiting.get(key):
                turns.append(key)
            waiting.setdefault(key, []).append(number)
            line.add(key, number)
        assert line.counts() == {turn: len(waiting[turn]) for turn in turns}
        assert bool(line) == bool(turns)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("12ms", 0.012), ("1s", 1), ("6m0s", 360), ("1h2m3.5s", 3723.5), ("7", 7), ("soon", None)],
)
def test_duration_of_header_is_read(text: str, seconds: float | None) -> None:
    assert duration(text) == seconds


def test_headers_of_both_kinds_are_read() -> None:
    openai = {
        "x-ratelimit-limit-requests": "60",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "1m2s",
        "x-ratelimit-limit-tokens": "33333.3",
    }
    assert seen_limits(openai) == {"requests": Seen(60, 0), "tokens": Seen(33333.3, None)}
    assert seconds_to_reset(openai) == 62
    anthropic = {
        "anthropic-ratelimit-requests-limit": "50",
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-tokens-remaining": "nan",
    }
    assert seen_limits(anthropic) == {"requests": Seen(50, 49)}
    assert seconds_to_reset(anthropic) is None
