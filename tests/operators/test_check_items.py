"""Test `check_items` in virtual time, over retries, and beside `items`."""

from __future__ import annotations

import json
from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from observing import Seen
from reactivex import Observable
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Anthropic, ConfigurationError, OpenAI, OutputError, StreamChunk
from rxagents import operators as ops
from rxagents.runtime.last_value import last_value
from rxagents.testing import Ending, Reply, ScriptedLLM, ScriptedServer

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed
subscribe = ReactiveTest.subscribe


class City(Struct):
    name: str
    size: int = 0


def passed(path: str, kind: Any, *pieces: str | StreamChunk) -> list[Any]:
    """Return the pieces that pass, and after them the error if there is one."""
    out: list[Any] = []
    chunks = [StreamChunk(piece) if isinstance(piece, str) else piece for piece in pieces]
    stream = rx.from_iterable(chunks).pipe(ops.check_items(path, kind))
    stream.subscribe(lambda chunk: out.append(chunk.delta), out.append)
    return out


def again(error: Exception) -> bool:
    return isinstance(error, OutputError)


def restarting(source: Observable[StreamChunk], path: str, kind: Any) -> Observable[Any]:
    retry = ops.retry_with_backoff(
        on_reset=StreamChunk.reset, retry_if=again, first_wait=5, jitter=0
    )
    return source.pipe(ops.check_items(path, kind), retry, ops.items(path, kind))


def test_wrong_element_ends_request_before_its_chunk() -> None:
    scheduler = TestScheduler()
    first, wrong = StreamChunk('[{"name": "Rome"}, {"na'), StreamChunk('me": 5}, {"name": "Bonn"}')
    source = scheduler.create_hot_observable(
        on_next(210, first), on_next(220, wrong), on_next(230, StreamChunk("]")), on_completed(240)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.check_items("[]", City)))
    passing, last = observer.messages
    assert (passing.time, passing.value.value) == (210, first)
    assert (last.time, last.value.kind) == (220, "E")
    assert "Element 1 of '[]' does not match" in str(last.value.exception)
    assert source.subscriptions == [subscribe(200, 220)]


def test_retry_emits_no_element_twice() -> None:
    scheduler = TestScheduler()
    chunk = StreamChunk
    attempts = [
        scheduler.create_cold_observable(
            on_next(10, chunk('[{"name": "Rome"}, ')), on_next(20, chunk('{"name": 5}, '))
        ),
        scheduler.create_cold_observable(
            on_next(10, chunk('[{"name": "Rome"}, {"name": "Oslo"}]')), on_completed(20)
        ),
    ]
    made = iter(attempts)
    source = rx.defer(lambda _: next(made))
    observer: Any = scheduler.start(lambda: restarting(source, "[]", City))
    assert observer.messages == [
        on_next(210, City("Rome")),
        on_next(235, City("Oslo")),  # refused at 220, started again at 225
        on_completed(245),
    ]
    assert attempts[0].subscriptions == [subscribe(200, 220)]


@pytest.mark.parametrize("kind", [OpenAI, Anthropic])
async def test_server_sees_close_and_second_request(kind: Any) -> None:
    names = [json.dumps({"name": f"city {number}"}) for number in range(9)]
    wrong = ['{"value": [', *(f"{name}, " for name in names[:4]), '{"name": 5}, ', "late", "r"]
    right = '{"value": [' + ", ".join(names) + "]}"
    stalled = Reply(wrong, ending=Ending.STALL, cut_after=8)
    async with ScriptedServer(stalled, Reply(right)) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with kind("m", api_key="k" * 20, base_url=url, max_retries=0) as llm:
            chunks = llm.chat_stream("?", response_format=list[City])
            out: list[City] = []
            await last_value(restarting(chunks, "value[]", City), out.append)
            await server.disconnected()
        assert len(server.requests) == 2
    assert [city.name for city in out] == [f"city {number}" for number in range(9)]


@pytest.mark.parametrize(
    "pieces",
    [["[1, 2"], ["[1, x]", "['y']"], ["none"], ['["x"', " more"], ['{"a": ["x"]}']],
    ids=["cut", "no JSON", "no list", "text", "other path"],
)
def test_everything_else_passes(pieces: list[str]) -> None:
    kind = str if pieces[0] == '["x"' else int
    assert passed("[]", kind, *pieces) == pieces


def test_open_element_is_not_judged() -> None:
    assert passed("[]", int, "[1, -12", "3, ") == ["[1, -12", "3, "]


def test_reset_starts_again() -> None:
    reset = StreamChunk.reset(OutputError("again"))
    out = passed("[]", int, "[1, ", reset, '["x"')
    assert out[:2] == ["[1, ", ""]
    assert "Element 0" in str(out[2])


def test_other_choices_pass() -> None:
    assert passed("[]", int, StreamChunk('["x"', choice=1), "[1]") == ['["x"', "[1]"]


def test_other_items_are_refused() -> None:
    errors: list[Exception] = []
    texts: Observable[Any] = rx.of("[1]")
    texts.pipe(ops.check_items("[]", int)).subscribe(on_error=errors.append)
    assert "check_items takes StreamChunks" in str(errors[0])
    with pytest.raises(ConfigurationError, match="path must"):
        ops.check_items("a", int)


@given(st.lists(st.integers(0, 99) | st.just("x"), max_size=8), st.lists(st.integers(0, 60)))
def test_every_cut_fails_at_the_same_element(values: list[Any], cuts: list[int]) -> None:
    text = json.dumps(values)
    ends = sorted({min(cut, len(text)) for cut in cuts} | {len(text)})
    pieces = [text[a:b] for a, b in zip([0, *ends], ends, strict=False) if a < b]
    *_, last = passed("[]", int, *pieces)
    if "x" in values:
        assert f"Element {values.index('x')} of" in str(last)
    else:
        assert last == pieces[-1]


class Raising(Struct):
    n: int

    def __post_init__(self) -> None:
        raise LookupError("of the type's own code")


@pytest.mark.parametrize("operator", [ops.check_items, ops.items])
async def test_error_of_the_types_code_fails_the_stream(operator: Any) -> None:
    chunks = ScriptedLLM('[{"n": 1}]').chat_stream("?")
    seen = Seen(chunks.pipe(operator("[]", Raising)))
    await seen.over.wait()
    assert isinstance(seen.error, LookupError)
