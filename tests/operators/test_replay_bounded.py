"""Test `replay_bounded`."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen, settle
from reactivex import Observable
from replaying import Live
from running import run_async

import rxagents
from rxagents import operators as ops
from rxagents.operators import Replayed


def entries(notes: list[Any]) -> list[Any]:
    """Return items as pairs, and the end as it is."""
    return [(note.id, note.item) if isinstance(note, Replayed) else note for note in notes]


async def test_items_are_numbered_from_one() -> None:
    live = Live(2)
    seen = Seen(live.replayed)
    live.emit("a", "b", "c")
    assert entries(seen.notes) == [(1, "a"), (2, "b"), (3, "c")]
    live.subject.on_completed()
    assert seen.notes[-1] == "end"
    assert live.started == 1


async def test_late_subscriber_gets_kept_items_first() -> None:
    live = Live(2)
    first = Seen(live.replayed)
    live.emit("a", "b", "c")
    late = Seen(live.replayed)
    assert late.notes == []
    await settle()
    live.emit("d")
    live.subject.on_completed()
    assert entries(late.notes) == [(2, "b"), (3, "c"), (4, "d"), "end"]
    assert len(first.notes) == 5


async def test_items_before_first_read_are_kept() -> None:
    live = Live(2)
    Seen(live.replayed)
    live.emit("a", "b", "c")
    late = Seen(live.replayed)
    live.emit("d", "e", "f")
    await settle()
    live.emit("g")
    live.subject.on_completed()
    assert entries(late.notes) == [(5, "e"), (6, "f"), (7, "g"), "end"]


@pytest.mark.parametrize("failure", [None, OSError("cut")])
async def test_kept_items_replayed_before_end(failure: Exception | None) -> None:
    live = Live(2)
    first = Seen(live.replayed)
    live.emit("a", "b", "c")
    if failure is None:
        live.subject.on_completed()
    else:
        live.subject.on_error(failure)
    assert first.over.is_set()
    for _ in range(2):
        late = Seen(live.replayed)
        assert late.notes == []
        await late.over.wait()
        assert entries(late.notes) == [(2, "b"), (3, "c"), failure or "end"]
    assert live.started == 1


async def test_late_subscriber_gets_empty_streams_end() -> None:
    empty: Observable[Replayed[int]] = rx.empty().pipe(ops.replay_bounded(2))
    for _ in range(2):
        seen = Seen(empty)
        await seen.over.wait()
        assert seen.notes == ["end"]


async def test_ids_show_new_and_lost_items() -> None:
    live = Live(3)
    stays = Seen(live.replayed)
    leaves = Seen(live.replayed)
    live.emit(*"abc")
    leaves.subscription.dispose()
    live.emit(*"de")
    last = leaves.notes[-1].id
    back = Seen(live.replayed)
    await settle()
    assert [note.id for note in back.notes if note.id > last] == [4, 5]
    back.subscription.dispose()
    live.emit(*"fghij")
    back = Seen(live.replayed)
    await settle()
    assert [note.id for note in back.notes] == [8, 9, 10]
    assert back.notes[0].id > last + 1, "a gap"
    assert len(stays.notes) == 10
    for seen in (back, stays):
        seen.subscription.dispose()


async def test_last_leaver_cancels_and_forgets() -> None:
    class Item:
        """An object that a weak reference can watch."""

    live = Live(3)
    first = Seen(live.replayed)
    live.emit(item := Item())
    held = weakref.ref(item)
    first.subscription.dispose()
    assert not live.has_subscribers
    first.notes.clear()
    del item
    gc.collect()
    assert held() is None
    again = Seen(live.replayed)
    await settle()
    live.emit("b")
    assert entries(again.notes) == [(2, "b")], "ids are never used again"
    assert live.started == 2
    again.subscription.dispose()


async def test_run_started_inside_subscribe_is_read() -> None:
    burst = rx.concat(rx.from_iterable(range(10)), rx.never()).pipe(ops.replay_bounded(2))
    for run in (0, 1):
        seen = Seen(burst)
        await settle()
        assert entries(seen.notes) == [(run * 10 + n + 1, n) for n in range(10)]
        seen.subscription.dispose()


async def test_abandoned_source_can_continue() -> None:
    live = Live(2, when_abandoned="continue")
    first = Seen(live.replayed)
    live.emit("a")
    first.subscription.dispose()
    assert live.has_subscribers
    live.emit("b", "c")
    live.subject.on_completed()
    late = Seen(live.replayed)
    await late.over.wait()
    assert entries(late.notes) == [(2, "b"), (3, "c"), "end"]
    assert entries(first.notes) == [(1, "a")]
    assert live.started == 1


@pytest.mark.parametrize("capacity", [0, -1, True, "1", None, 1.5])
def test_invalid_capacity_is_refused(capacity: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="capacity"):
        ops.replay_bounded(capacity)


@pytest.mark.parametrize("value", [None, "", "stop", True, ["cancel"]])
def test_invalid_when_abandoned_is_refused(value: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="when_abandoned"):
        ops.replay_bounded(2, when_abandoned=value)


def test_error_without_loop_names_run() -> None:
    errors: list[Exception] = []
    rx.of(1).pipe(ops.replay_bounded(2)).subscribe(on_error=errors.append)
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        raise errors[0]


@given(
    st.integers(1, 4),
    st.lists(
        st.one_of(
            st.just("emit"),
            st.tuples(st.sampled_from(["join", "leave"]), st.integers(0, 3)),
        ),
        max_size=30,
    ),
)
def test_subscriber_sees_kept_and_later_items(capacity: int, script: list[Any]) -> None:
    async def check() -> None:
        live = Live(capacity)
        here: dict[int, tuple[Seen, list[Any]]] = {}
        everyone: list[tuple[Seen, list[Any]]] = []
        past: list[Any] = []
        number = 0
        for step in script:
            match step:
                case "emit" if here:
                    number += 1
                    live.emit(f"item {number}")
                    past = [*past, (number, f"item {number}")][-capacity:]
                    for _, expected in here.values():
                        expected.append(past[-1])
                case ("join", who) if who not in here:
                    here[who] = Seen(live.replayed), list(past)
                    everyone.append(here[who])
                    await settle()
                case ("leave", who) if who in here:
                    here.pop(who)[0].subscription.dispose()
                    past = past if here else []
        for seen, _ in here.values():
            seen.subscription.dispose()
        assert [entries(seen.notes) for seen, _ in everyone] == [
            expected for _, expected in everyone
        ]

    run_async(check())


async def test_many_kept_items_do_not_nest() -> None:
    replayed = rx.from_iterable(range(10_000)).pipe(ops.replay_bounded(10_000))
    for _ in range(2):
        seen = Seen(replayed)
        await seen.over.wait()
        assert len(seen.notes) == 10_001
