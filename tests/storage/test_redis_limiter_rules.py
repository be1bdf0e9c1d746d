"""Compare the limiter's rules in Lua with those in Python, decision by decision."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
import redis
from matrix import only_full

from rxagents.runtime.limiting.fair_line import FairLine
from rxagents.runtime.limiting.headers import Seen
from rxagents.runtime.limiting.minute import Taken
from rxagents.runtime.limiting.rate_rules import RateRules, Rates
from rxagents.storage.redis_limiter_scripts import SCRIPTS

pytestmark = pytest.mark.real_time

HOLDERS = ("one", "two", "three")


class InPython:
    """The rules of `runtime/limiting`, with the loop over those who wait that `Limiter` has."""

    def __init__(self, rates: Rates) -> None:
        self.rules = RateRules(rates)
        self.line: FairLine[tuple[str, int]] = FairLine()
        self.waiting: dict[tuple[str, int], tuple[str, int]] = {}
        self.permits: dict[tuple[str, int], Taken] = {}

    def pump(self, now: float) -> set[tuple[str, int]]:
        granted = set()
        while (first := self.line.first()) is not None:
            tokens = self.waiting[first][1]
            if self.rules.wait(now, tokens) > 0:
                break
            self.line.pop()
            del self.waiting[first]
            self.permits[first] = self.rules.take(now, tokens)
            granted.add(first)
        return granted

    def leave(self, now: float, place: tuple[str, int]) -> None:
        if place in self.permits:
            self.rules.give_back(now, self.permits.pop(place))
        elif place in self.waiting:
            self.line.remove(self.waiting.pop(place)[0], place)


class OnServer:
    """The scripts, called with a time of the test."""

    def __init__(self, url: str, base: str, rates: Rates) -> None:
        self.client: Any = redis.Redis.from_url(url)
        self.client.config_set("appendfsync", "no")  # no call waits for the disk
        self.base = base
        self.scripts = {name: self.client.register_script(code) for name, code in SCRIPTS.items()}
        self.rates = msgspec.msgpack.encode(
            {name: each for name, each in msgspec.structs.asdict(rates).items() if each is not None}
        )

    def call(self, script: str, now: float, holder: str, *arguments: Any) -> Any:
        texts = ["" if each is None else each for each in arguments]
        return self.scripts[script]([self.base], [now, holder, *texts])

    def join(
        self, now: float, place: tuple[str, int], key: str, tokens: int, lease: float = 1e6
    ) -> Any:
        return self.call("join", now, place[0], place[1], key, tokens, lease, "me", self.rates)

    def permits(self) -> set[tuple[str, int]]:
        return {
            (holder, int(number))
            for holder in HOLDERS
            for number in self.client.hkeys(f"{self.base}:permits:{holder}")
        }

    def state(self, now: float) -> tuple[dict[str, int], int, int | None, int | None, float]:
        waiting, in_flight, requests, tokens, wait = self.call("state", now, "", self.rates)
        counts = {key.decode(): n for key, n in zip(waiting[::2], waiting[1::2], strict=True)}
        left = [None if each == b"" else int(each) for each in (requests, tokens)]
        return counts, in_flight, left[0], left[1], float(wait)


@pytest.fixture
def server(redis_url: str, request: pytest.FixtureRequest) -> Iterator[OnServer]:
    server = OnServer(redis_url, request.node.name, Rates())
    yield server
    server.client.close()


@pytest.mark.parametrize("seed", [0, 1, *(pytest.param(n, marks=only_full) for n in range(2, 16))])
def test_scripts_decide_as_python_does(redis_url: str, seed: int) -> None:
    chance = random.Random(seed)
    rates = Rates(
        requests_per_minute=chance.choice([None, 60, 600]),
        tokens_per_minute=chance.choice([None, 3000, 60_000]),
        concurrent=chance.choice([None, 1, 5]),
        burst=chance.choice([0, 0.5, 5]),
    )
    python, server = InPython(rates), OnServer(redis_url, f"seed {seed}", rates)
    now, places = 1000.0, [(holder, number) for holder in HOLDERS for number in range(100)]
    free = places.copy()
    chance.shuffle(free)
    for step in range(150):
        now += chance.choice([0, 0, 0.01, 0.3, 2, 20])
        action = chance.choice(["join"] * 6 + ["settle"] * 4 + ["leave", "learn", "refused"] * 2)
        held, waiting = sorted(python.permits), sorted(python.waiting)
        if action == "join" or step == 0:  # the first one brings the limits
            place, key = free.pop(), chance.choice("ABC")
            tokens = chance.choice([1, 50, 4000])
            python.line.add(key, place)
            python.waiting[place] = key, tokens
            server.join(now, place, key, tokens)
        elif action == "settle" and held:
            place, used = chance.choice(held), chance.choice([None, 0, 30, 6000])
            python.rules.settle(now, python.permits.pop(place), used)
            server.call("settle", now, *place, used)
        elif action == "leave" and held + waiting:
            place = chance.choice(held + waiting)
            python.leave(now, place)
            server.call("leave", now, *place)
        elif action == "learn" and held:
            place = chance.choice(held)
            requests = Seen(chance.choice([None, 40, 6000]), chance.choice([None, 0, 3]))
            said = Seen(chance.choice([None, 2000, 90_000]), chance.choice([None, 0, 500]))
            seen = {"requests": requests, "tokens": said}
            python.rules.learn(now, python.permits[place], seen)
            limits = (requests.limit, requests.left, said.limit, said.left)
            server.call("learn", now, *place, *limits)
        elif action == "refused":
            wait = chance.choice([None, 1, 7.5])
            python.rules.refused(now, wait)
            server.call("refused", now, "one", wait)
        else:
            server.call("tick", now, place[0], 1e6, 1, 0)  # a holder that has joined
        python.pump(now)
        assert server.permits() == set(python.permits)
        counts, in_flight, requests_left, tokens_left, wait_left = server.state(now)
        assert counts == python.line.counts()
        assert list(counts) == list(python.line.counts())
        assert in_flight == python.rules.in_flight
        first = python.line.first()
        wait = python.rules.wait(now, 1 if first is None else python.waiting[first][1])
        assert wait_left == pytest.approx(wait, abs=1e-6)
        for left, bucket in (
            (requests_left, python.rules.requests),
            (tokens_left, python.rules.tokens),
        ):
            bucket.advance(now)
            assert (left is None) == (bucket.limit is None)
            assert left is None or left == pytest.approx(bucket.level, abs=1.001)
    assert len(python.permits) + len(free) < len(places)
    server.client.close()


def test_call_that_runs_twice_changes_nothing(server: OnServer) -> None:
    server.rates = msgspec.msgpack.encode({"concurrent": 1, "burst": 0.5})
    first, second = ("one", 1), ("one", 2)
    assert server.join(1000, first, "A", 10) == [b"1"]
    assert server.join(1000, first, "A", 10) == [b"1"]
    assert server.join(1000, second, "A", 10) == []
    assert server.join(1000, second, "A", 10) == []
    assert server.state(1000)[:2] == ({"A": 1}, 1)
    assert server.call("settle", 1001, *first, 5) == [b"2"]
    assert server.call("settle", 1001, *first, 5) == []
    server.call("leave", 1001, *second)
    server.call("leave", 1001, *second)
    assert server.state(1001)[:2] == ({}, 0)


def test_permits_and_waiters_of_silent_holder_end(server: OnServer) -> None:
    server.rates = msgspec.msgpack.encode({"concurrent": 2, "burst": 0.5})
    for number in range(5):
        server.join(1000, ("one", number), "A", 10, lease=15)
    server.join(1001, ("two", 1), "B", 10, lease=100)
    assert server.state(1014)[:2] == ({"A": 3, "B": 1}, 2)
    assert server.call("tick", 1015, "two", 100, 1, 0) == [b"1"]
    assert server.state(1015)[:2] == ({}, 1)
    assert server.call("tick", 1015, "one", 15, 1, 0) is None


def test_clock_that_was_set_back_holds_nothing_back(server: OnServer) -> None:
    rates = {"requests_per_minute": 60, "tokens_per_minute": 100, "burst": 0.5}
    server.rates = msgspec.msgpack.encode(rates)
    assert server.join(100_000, ("one", 1), "A", 90) == [b"1"]
    server.call("refused", 100_000, "one", 500)
    server.call("settle", 100_000, "one", 1, 90)
    assert server.join(5000, ("one", 2), "A", 50) == []
    assert server.call("tick", 5090, "one", 1e6, 1, 0) == [b"2"]


def test_limits_of_newest_program_count(server: OnServer) -> None:
    def join(number: int, opener: str, rates: dict[str, Any]) -> Any:
        packed = msgspec.msgpack.encode({"burst": 0.5, **rates})
        return server.call("join", 1000, "one", number, "A", 1, 99, opener, packed)

    assert join(1, "", {"concurrent": 1}) == [b"1"]
    assert join(2, "first program", {"concurrent": 2}) == [b"2"]
    assert join(3, "", {}) == []
    assert join(4, "second program", {"concurrent": 4}) == [b"3", b"4"]


def test_server_without_data_gets_limits_with_next_request(server: OnServer) -> None:
    server.rates = msgspec.msgpack.encode({"concurrent": 1, "burst": 0.5})
    server.call("settle", 1000, "one", 1, 5)
    server.call("refused", 1000, "one", None)
    packed = server.rates
    assert server.call("join", 1000, "one", 2, "A", 1, 99, "", packed) == [b"2"]
    assert server.call("join", 1000, "one", 3, "A", 1, 99, "", packed) == []


def test_keys_of_limiter_expire(server: OnServer) -> None:
    server.rates = msgspec.msgpack.encode({"tokens_per_minute": 100, "burst": 0.5})
    for number in range(3):
        server.join(1000, ("one", number), "A", 90)
    names = server.client.keys(f"{server.base}*")
    assert len(names) == 8
    assert all(3500 < server.client.ttl(name) <= 3600 for name in names)
