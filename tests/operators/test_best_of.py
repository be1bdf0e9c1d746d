"""Test `best_of`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from observing import Seen
from reactivex import Observable
from running import run_async

from rxagents import (
    Complete,
    ConfigurationError,
    ErrorEvent,
    FunctionAgent,
    Response,
    ServerError,
    Token,
    from_aiter,
    to_aiter,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM

REPLIES = ("Hi", "Hello there", "Hey you")


def longest(answers: list[Response]) -> int:
    return max(range(len(answers)), key=lambda index: len(answers[index].content))


async def notes_of(stream: Observable[Any]) -> list[Any]:
    seen = Seen(stream)
    await seen.over.wait()
    return seen.notes


async def text_of(llm: ScriptedLLM, operator: Any) -> Any:
    return (await notes_of(llm.chat_stream("hi").pipe(operator, ops.collect())))[0].content


async def later(answers: list[Response]) -> int:
    await asyncio.sleep(3)
    return longest(answers)


@pytest.mark.parametrize(
    "judge",
    [longest, later, lambda answers: rx.of(0, longest(answers))],
    ids=["function", "coroutine function", "Observable"],
)
async def test_judge_chooses_one_of_n_requests(judge: Any) -> None:
    llm = ScriptedLLM(*REPLIES)
    assert await text_of(llm, ops.best_of(3, judge)) == "Hello there"
    assert len(llm.requests) == 3


async def test_nothing_is_emitted_before_the_choice() -> None:
    llm = ScriptedLLM(Reply("a b", interval=1), Reply("a b c d", interval=1))
    seen = Seen(llm.chat_stream("hi").pipe(ops.best_of(2, later)))
    await asyncio.sleep(7.5)
    assert seen.notes == []
    await seen.over.wait()
    assert "".join(chunk.delta for chunk in seen.items) == "a b c d"


async def test_items_of_the_winner_are_unchanged() -> None:
    items = [object(), object()]
    assert await notes_of(rx.of(*items).pipe(ops.best_of(1, longest))) == [*items, "end"]


async def test_runs_of_agents_are_judged_by_their_end() -> None:
    judged: list[Any] = []

    def judge(results: list[Complete]) -> int:
        judged.extend(results)
        return 1

    agent = FunctionAgent(ScriptedLLM(*REPLIES))
    notes = await notes_of(agent.run_stream("hi").pipe(ops.best_of(3, judge)))
    assert [type(result) for result in judged] == [Complete] * 3
    assert "".join(item.content for item in notes if isinstance(item, Token)) == "Hello there"


async def test_failed_attempts_are_left_out() -> None:
    asked: list[int] = []

    def judge(answers: list[Response]) -> int:
        asked.append(len(answers))
        return longest(answers)

    llm = ScriptedLLM(Reply(error=ServerError("down")), "Hi", "Hello")
    assert await text_of(llm, ops.best_of(3, judge)) == "Hello"
    assert asked == [2]
    llm = ScriptedLLM(Reply(error=ServerError("down")), "Hi")
    assert await text_of(llm, ops.best_of(2, judge)) == "Hi"
    assert asked == [2]


async def test_enough_is_not_asked_about_failed_attempts() -> None:
    attempts = iter([rx.throw(OSError("down")), rx.of("whole")])
    operator = ops.best_of(2, lambda _: 0, enough=lambda result: result is None)
    stream: Observable[Any] = rx.defer(lambda _: next(attempts))
    assert await notes_of(stream.pipe(operator)) == ["whole", "end"]


async def test_first_error_passes_if_all_fail() -> None:
    replies = [Reply("Hel", error=ServerError(str(number))) for number in range(3)]
    notes = await notes_of(ScriptedLLM(*replies).chat_stream("hi").pipe(ops.best_of(3, longest)))
    assert [type(note) for note in notes] == [ServerError]
    assert "0" in str(notes[0])


async def test_failing_run_keeps_its_error_event() -> None:
    agent = FunctionAgent(ScriptedLLM(Reply("Hel", error=ServerError("down"))))
    notes = await notes_of(agent.run_stream("hi").pipe(ops.best_of(2, longest)))
    assert [type(note) for note in notes] == [ErrorEvent, ServerError]


async def test_enough_ends_the_others() -> None:
    closed: list[int] = []
    number = iter(range(3))

    def attempt(_: object) -> Observable[int]:
        mine = next(number)

        async def items() -> AsyncIterator[int]:
            try:
                await asyncio.sleep(1 if mine == 1 else 1000)
                yield mine
            finally:
                closed.append(mine)

        return from_aiter(items)

    stream = rx.defer(attempt).pipe(ops.best_of(3, longest, enough=lambda result: result == 1))
    start = asyncio.get_running_loop().time()
    assert await notes_of(stream) == [1, "end"]
    assert asyncio.get_running_loop().time() - start == pytest.approx(1, abs=0.1)
    assert sorted(closed) == [0, 1, 2]


async def test_dispose_ends_all_attempts_and_the_judge() -> None:
    closed: list[str] = []

    async def judge(_: list[Response]) -> int:
        try:
            await asyncio.sleep(1000)
        finally:
            closed.append("judge")
        return 0

    seen = Seen(ScriptedLLM(*REPLIES).chat_stream("hi").pipe(ops.best_of(2, judge)))
    await asyncio.sleep(5)
    seen.subscription.dispose()
    await asyncio.sleep(1)
    assert closed == ["judge"]
    assert seen.notes == []


async def test_slow_reader_gets_all_items() -> None:
    stream = rx.from_iterable(range(1000)).pipe(ops.best_of(2, lambda _: 0))
    async with to_aiter(stream, capacity=4) as items:
        assert [item async for item in items] == list(range(1000))


@pytest.mark.parametrize("index", [-1, 2, True, None, "0", 0.0])
async def test_wrong_index_fails_the_stream(index: Any) -> None:
    (error,) = await notes_of(rx.of(1).pipe(ops.best_of(2, lambda _: index)))
    assert isinstance(error, ConfigurationError)
    assert "0 to 1" in str(error)


async def test_failing_functions_fail_the_stream() -> None:
    down = LookupError("no opinion")

    def fail(_: object) -> Any:
        raise down

    assert await notes_of(rx.of(1).pipe(ops.best_of(2, fail))) == [down]
    assert await notes_of(rx.of(1).pipe(ops.best_of(2, longest, enough=fail))) == [down]
    wrong: Any = lambda _: 1  # noqa: E731 - a judge
    (error,) = await notes_of(rx.of(1).pipe(ops.best_of(2, longest, enough=wrong)))
    assert isinstance(error, ConfigurationError)


def test_wrong_arguments_are_refused() -> None:
    for n in (0, -1, 1.5, True):
        with pytest.raises(ConfigurationError, match="n must be"):
            ops.best_of(n, longest)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="judge must be a function"):
        ops.best_of(2, 0)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="enough must be a function"):
        ops.best_of(2, longest, enough=3)  # type: ignore[arg-type]  # on purpose


attempts = st.lists(
    st.tuples(st.lists(st.integers(0, 9), max_size=4), st.booleans()), min_size=1, max_size=4
)


@given(scripts=attempts, choice=st.integers(0, 3))
def test_output_is_one_whole_attempt(scripts: list[tuple[list[int], bool]], choice: int) -> None:
    error = OSError("down")
    whole = [items for items, fails in scripts if not fails]

    async def check() -> None:
        rest = iter(scripts)

        def attempt(_: object) -> Observable[int]:
            items, fails = next(rest)
            return rx.concat(rx.from_iterable(items), rx.throw(error) if fails else rx.empty())

        operator = ops.best_of(len(scripts), lambda results: choice % len(results))
        notes = await notes_of(rx.defer(attempt).pipe(operator))
        assert notes == ([*whole[choice % len(whole)], "end"] if whole else [error])

    run_async(check())
