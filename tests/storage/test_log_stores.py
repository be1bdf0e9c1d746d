"""The contract of the stores of event logs, on each store."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from log_stores import Clock, now

from rxagents import (
    LeaseError,
    LogGoneError,
    MemoryLogStore,
    RedisLogStore,
    Retention,
    SQLiteLogStore,
)
from rxagents.runtime.event_log.log_store import (
    INTERRUPTED,
    LogStore,
    Page,
    Position,
)

END = b'{"at":1,"completed":true}'


class StoreCase:
    """A store with a clock; `make` opens it again, as another process does."""

    def __init__(self, make: Callable[[Retention | None, Clock], LogStore]) -> None:
        self.clock = Clock()
        self.stores: list[LogStore] = []
        self._make = make

    def open(self, retention: Retention | None = None) -> LogStore:
        self.stores.append(self._make(retention, self.clock))
        return self.stores[-1]


@pytest.fixture(params=["memory", "sqlite", "redis"])
def tested(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StoreCase]:
    made: list[MemoryLogStore] = []
    if request.param == "redis":
        redis_url = request.getfixturevalue("redis_url")

    def make(retention: Retention | None, clock: Clock) -> LogStore:
        if request.param == "sqlite":
            return SQLiteLogStore(tmp_path / "log.db", retention, clock=clock)
        if request.param == "redis":
            return RedisLogStore(redis_url, retention, prefix=str(tmp_path), clock=clock)
        if not made:
            made.append(MemoryLogStore(retention, clock=clock))
        return made[0]

    tested = StoreCase(make)
    yield tested
    for store in tested.stores:
        closed = store.close()
        if closed is not None:
            closed.result(30)


WRITTEN: dict[str, int] = {}
"""How many entries each attempt has written, by its token."""


def write(store: LogStore, token: str, *texts: str, key: str = "run", end: bool = False) -> None:
    lines = [text.encode() for text in texts]
    lines += [END] if end else []
    first = WRITTEN.get(token, 0) + 1
    now(store.append(key, token, first, lines, ends=end))
    WRITTEN[token] = first + len(lines) - 1


def begin(store: LogStore, key: str = "run") -> str:
    """Begin an attempt, and return its token."""
    return now(store.begin(key)).token


def run_of(store: LogStore, *texts: str, key: str = "run") -> None:
    write(store, begin(store, key), *texts, key=key, end=True)


def page_of(store: LogStore, after: str | None = None, limit: int = 100, key: str = "run") -> Page:
    position = None if after is None else Position(*map(int, after.split("-")))
    return now(store.read(key, position, limit))


def entries(page: Page) -> list[str]:
    return [f"{Position(a, seq)} {line.decode()}" for a, seq, line in page.entries]


def both(tested: StoreCase, **options: Any) -> tuple[LogStore, LogStore]:
    """Return the store that writes, and one as another process has it."""
    return tested.open(**options), tested.open(**options)


def each_reads(stores: Sequence[LogStore], *arguments: Any, **options: Any) -> tuple[Any, str]:
    """Return what all stores read alike."""
    pages = [page_of(store, *arguments, **options) for store in stores]
    seen = [(entries(page), page.state) for page in pages]
    assert seen == [seen[0]] * len(seen)
    return seen[0]


def test_entries_in_pages_from_any_position(tested: StoreCase) -> None:
    stores = both(tested)
    attempt, previous, token = now(stores[0].begin("run"))
    assert (attempt, previous) == (1, None)
    assert each_reads(stores) == ([], "live")
    write(stores[0], token, "a", "b")
    write(stores[0], token, "c")
    assert each_reads(stores) == (["1-1 a", "1-2 b", "1-3 c"], "live")
    assert each_reads(stores, None, 2) == (["1-1 a", "1-2 b"], "more")
    assert each_reads(stores, "1-1") == (["1-2 b", "1-3 c"], "live")
    assert each_reads(stores, "1-3") == ([], "live")
    write(stores[0], token, end=True)
    assert each_reads(stores, "1-3") == ([f"1-4 {END.decode()}"], "ended")
    assert each_reads(stores, "1-4") == ([], "ended")


def test_runs_do_not_mix(tested: StoreCase) -> None:
    stores = both(tested)
    run_of(stores[0], "a", key="one")
    run_of(stores[1], "b", key="two")
    assert each_reads(stores, None, 1, key="one")[0] == ["1-1 a"]
    assert each_reads(stores, None, 1, key="two")[0] == ["1-1 b"]


def test_attempts_follow_one_another(tested: StoreCase) -> None:
    stores = both(tested)
    run_of(stores[0], "a")
    tested.clock.now += 1
    attempt, previous, token = now(stores[1].begin("run"))
    assert (attempt, previous) == (2, END)
    assert each_reads(stores) == (["1-1 a", f"1-2 {END.decode()}"], "live")
    write(stores[1], token, "b")
    assert each_reads(stores, "1-1") == ([f"1-2 {END.decode()}", "2-1 b"], "live")
    assert each_reads(stores, "1-2", 1) == (["2-1 b"], "live")
    assert each_reads(stores, "2-1") == ([], "live")


@pytest.mark.parametrize("after", ["1-4", "2-1", "2-5", "3-1"])
def test_position_that_never_was_is_refused(tested: StoreCase, after: str) -> None:
    stores = both(tested)
    run_of(stores[0], "a", "b")
    for store in stores:
        with pytest.raises(LogGoneError, match=f"the entry {after} of the run 'run'"):
            page_of(store, after)


def test_unknown_run_is_refused(tested: StoreCase) -> None:
    store = tested.open()
    with pytest.raises(LogGoneError, match="no run 'run'"):
        page_of(store)
    with pytest.raises(LeaseError):
        write(store, "any", "a")
    with pytest.raises(LeaseError):
        now(store.renew("run", "any"))
    assert now(store.interrupt("run")) == []


def test_run_with_lease_cannot_begin(tested: StoreCase) -> None:
    stores = both(tested)
    token = begin(stores[0])
    tested.clock.now += 14
    for store in stores:
        with pytest.raises(LeaseError, match=r"its writer has a lease for 1\.0 s"):
            now(store.begin("run"))
    write(stores[0], token, "a", end=True)


@pytest.mark.parametrize("how", ["append", "renew"])
def test_writer_keeps_its_lease(tested: StoreCase, how: str) -> None:
    stores = both(tested)
    token = begin(stores[0])
    tested.clock.now += 14
    if how == "append":
        write(stores[0], token, "a")
    else:
        now(stores[0].renew("run", token))
    tested.clock.now += 14
    assert each_reads(stores)[1] == "live"
    assert now(stores[1].interrupt(None)) == []
    with pytest.raises(LeaseError):
        now(stores[1].begin("run"))


def test_lost_run_is_marked_by_the_next_attempt(tested: StoreCase) -> None:
    stores = both(tested)
    write(stores[0], begin(stores[0]), "a")
    tested.clock.now += 15
    assert each_reads(stores) == (["1-1 a"], "lost")
    attempt, previous, token = now(stores[1].begin("run"))
    assert (attempt, previous) == (3, INTERRUPTED)
    write(stores[1], token, "b")
    expected = ["1-1 a", f"2-1 {INTERRUPTED.decode()}", "3-1 b"]
    assert each_reads(stores) == (expected, "live")


@pytest.mark.parametrize("key", ["run", None])
def test_lost_run_is_marked_once(tested: StoreCase, key: str | None) -> None:
    stores = both(tested)
    begin(stores[0])
    token = begin(stores[0], "other")
    run_of(stores[0], "a", key="ended")
    tested.clock.now += 10
    now(stores[0].renew("other", token))
    tested.clock.now += 10
    assert now(stores[1].interrupt(key)) == ["run"]
    assert now(stores[0].interrupt(key)) == []
    assert each_reads(stores) == ([f"2-1 {INTERRUPTED.decode()}"], "ended")
    assert each_reads(stores, key="other") == ([], "live")


@pytest.mark.parametrize("taken", ["interrupt", "begin", "forget", "forget and begin"])
def test_old_writer_is_refused(tested: StoreCase, taken: str) -> None:
    stores = both(tested)
    token = begin(stores[0])
    write(stores[0], token, "a")
    tested.clock.now += 15
    if taken == "interrupt":
        now(stores[1].interrupt("run"))
    if "forget" in taken:
        now(stores[1].forget("run"))
    if "begin" in taken:
        now(stores[1].begin("run"))
    with pytest.raises(LeaseError, match="This attempt of the run 'run' can no longer be written"):
        write(stores[0], token, "b")
    with pytest.raises(LeaseError):
        now(stores[0].renew("run", token))
    if taken != "forget":
        assert "1-2 b" not in entries(page_of(stores[0]))


def test_ended_attempt_cannot_be_written(tested: StoreCase) -> None:
    store = tested.open()
    token = begin(store)
    write(store, token, "a", end=True)
    with pytest.raises(LeaseError):
        write(store, token, "b")
    with pytest.raises(LeaseError):
        now(store.renew("run", token))


def test_failed_append_adds_nothing(tested: StoreCase) -> None:
    stores = both(tested)
    begin(stores[0])
    with pytest.raises(LeaseError):
        write(stores[1], "another", "a", "b")
    assert each_reads(stores) == ([], "live")


def test_forgotten_run_is_gone(tested: StoreCase) -> None:
    stores = both(tested)
    run_of(stores[0], "a")
    now(stores[0].forget("run"))
    now(stores[0].forget("run"))
    for store in stores:
        with pytest.raises(LogGoneError):
            page_of(store)
    assert now(stores[1].begin("run"))[:2] == (1, None)


@pytest.mark.parametrize(
    "retention", [Retention(entries=3), Retention(bytes=3)], ids=["entries", "bytes"]
)
def test_oldest_entries_are_dropped(tested: StoreCase, retention: Retention) -> None:
    stores = both(tested, retention=retention)
    token = begin(stores[0])
    for text in "abcde":
        write(stores[0], token, text)
    for store in (stores[1], stores[0]):
        for after in ("1-1", None) if store is stores[1] else ():
            with pytest.raises(LogGoneError) as raised:
                page_of(store, after)
            assert raised.value.first_id == "1-3"
        assert entries(page_of(store, "1-2")) == ["1-3 c", "1-4 d", "1-5 e"]
    write(stores[0], token, "f", "g", "h", "i", "j", "k")
    assert entries(page_of(stores[1], "1-8")) == ["1-9 i", "1-10 j", "1-11 k"]


def test_newest_entry_stays_whatever_its_size(tested: StoreCase) -> None:
    stores = both(tested, retention=Retention(bytes=3))
    write(stores[0], begin(stores[0]), "a", "abcdefgh")
    assert each_reads(stores, "1-1") == (["1-2 abcdefgh"], "live")


def test_dropped_attempt_leaves_a_whole_one(tested: StoreCase) -> None:
    stores = both(tested, retention=Retention(entries=4))
    run_of(stores[0], "a", "b")
    write(stores[0], begin(stores[0]), "c", "d", "e")
    assert each_reads(stores) == (["2-1 c", "2-2 d", "2-3 e"], "live")
    for store in stores:
        with pytest.raises(LogGoneError):
            page_of(store, "1-1")


def test_runs_that_ended_long_ago_are_dropped(tested: StoreCase) -> None:
    stores = both(tested, retention=Retention(age=60))
    run_of(stores[0], "a", key="old")
    now(stores[0].begin("lost"))
    tested.clock.now += 59
    run_of(stores[0], "a", key="new")
    assert each_reads(stores, key="old")[1] == "ended"
    tested.clock.now += 2
    for store in stores:
        with pytest.raises(LogGoneError):
            page_of(store, key="old")
    assert now(stores[1].begin("old")).attempt in {1, 2}
    assert each_reads(stores, key="new")[1] == "ended"
    assert each_reads(stores, key="lost")[1] == "lost"


def test_oldest_runs_are_dropped_but_none_that_runs(tested: StoreCase) -> None:
    stores = both(tested, retention=Retention(runs=2))
    now(stores[0].begin("runs"))
    for key in ("one", "two", "three"):
        tested.clock.now += 1
        run_of(stores[0], "a", key=key)
    assert each_reads(stores, key="three")[1] == "ended"
    assert each_reads(stores, key="runs")[1] == "live"
    for key in ("one", "two"):
        with pytest.raises(LogGoneError):
            page_of(stores[1], key=key)


@pytest.mark.parametrize("count", [63, 64, 65, 128])
def test_last_page_says_that_the_run_has_ended(tested: StoreCase, count: int) -> None:
    """Redis reads 64 packs of lines at a time."""
    stores = both(tested)
    token = begin(stores[0])
    for number in range(count - 1):
        write(stores[0], token, str(number))
    write(stores[0], token, end=True)
    for store in stores:
        page = page_of(store, limit=1000)
        while page.state == "more":
            page = page_of(store, str(Position(*page.entries[-1][:2])), limit=1000)
        assert page.state == "ended"
        assert page.entries[-1][2] == END


def test_every_position_of_large_batches_can_be_read(tested: StoreCase) -> None:
    stores = both(tested)
    count = 0
    for attempt, sizes in enumerate([(1, 64, 65), (200, 1)], start=1):
        token = begin(stores[0])
        for number in sizes:
            write(stores[0], token, *map(str, range(number)))
        write(stores[0], token, end=attempt == 1)
        count += sum(sizes) + (attempt == 1)
    tested.clock.now += 14.5  # the writer's own memory is no longer trusted
    whole = page_of(stores[1], limit=1000)
    assert (len(whole.entries), whole.state) == (count, "live")
    for index, (attempt, seq, _) in enumerate(whole.entries):
        after, rest = f"{attempt}-{seq}", whole.entries[index + 1 :]
        page = page_of(stores[1], after, limit=50)
        assert list(page.entries) == list(rest[: len(page.entries)])
        assert len(page.entries) >= min(50, len(rest))
        assert page.state == ("more" if len(page.entries) < len(rest) else "live")
    for after in ("1-132", "2-202", "3-1"):
        with pytest.raises(LogGoneError):
            page_of(stores[1], after)


def test_retention_drops_while_batches_are_large(tested: StoreCase) -> None:
    stores = both(tested, retention=Retention(entries=100))
    token = begin(stores[0])
    for _ in range(30):
        write(stores[0], token, *map(str, range(30)))
    kept = page_of(stores[1], "1-820", limit=1000)
    assert [seq for _, seq, _ in kept.entries] == list(range(821, 901))
    with pytest.raises(LogGoneError) as raised:
        page_of(stores[1], "1-700")
    first = int(raised.value.first_id.removeprefix("1-"))
    assert 801 <= first <= 821


def test_lines_after_lost_ones_are_refused(tested: StoreCase) -> None:
    stores = both(tested)
    token = begin(stores[0])
    write(stores[0], token, "a")
    for first in (1, 3):
        with pytest.raises(LeaseError):
            now(stores[0].append("run", token, first, [b"c", b"d"], ends=False))
    write(stores[0], token, "b")
    assert each_reads(stores) == (["1-1 a", "1-2 b"], "live")


def test_newest_checkpoint_is_kept(tested: StoreCase) -> None:
    stores = both(tested)
    assert now(stores[0].saved("run")) is None
    token = begin(stores[0])
    assert now(stores[0].saved("run")) is None
    now(stores[0].save("run", token, b"one"))
    assert now(stores[1].saved("run")) == (1, 0, b"one")
    write(stores[0], token, "a", "b")
    tested.clock.now += 14
    now(stores[0].save("run", token, b"two"))
    tested.clock.now += 14
    assert each_reads(stores) == (["1-1 a", "1-2 b"], "live")
    write(stores[0], token, end=True)
    for store in stores:
        assert now(store.saved("run")) == (1, 2, b"two")
    with pytest.raises(LeaseError):
        now(stores[0].save("run", token, b"three"))
    begin(stores[1])
    with pytest.raises(LeaseError):
        now(stores[0].save("run", token, b"three"))
    assert now(stores[0].saved("run")) == (1, 2, b"two")
    now(stores[0].forget("run"))
    assert now(stores[1].saved("run")) is None
