"""Test `items` in virtual time, over retries, and its cost."""

from __future__ import annotations

import json
from typing import Any, assert_type

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct
from reactivex import Observable
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import Anthropic, ConfigurationError, OpenAI, OutputError, StreamChunk
from rxagents import operators as ops
from rxagents.parsing.closed_values import ANY_KEY, ClosedValuesParser, path_steps
from rxagents.runtime.last_value import last_value
from rxagents.testing import Ending, Reply, ScriptedServer

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


class City(Struct):
    name: str
    size: int = 0


class Even:
    """Stands for a pydantic model of even numbers."""

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"type": "integer"}

    @classmethod
    def model_validate_json(cls, data: bytes) -> str:
        if int(data) % 2:
            raise ValueError("not even")
        return f"even {int(data)}"


RESET = StreamChunk.reset(OutputError("again"))


def emitted(path: str, kind: Any, *pieces: str | StreamChunk) -> list[Any]:
    """Return the elements, and after them the error if there is one."""
    out: list[Any] = []
    chunks = [StreamChunk(piece) if isinstance(piece, str) else piece for piece in pieces]
    rx.from_iterable(chunks).pipe(ops.items(path, kind)).subscribe(out.append, out.append)
    return out


def test_element_comes_when_it_closes() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, StreamChunk('{"cities": [{"name": "Ro')),
        on_next(220, StreamChunk('me"')),
        on_next(230, StreamChunk("}")),
        on_next(240, StreamChunk(', {"name": "Paris", "size": 2}]')),
        on_next(250, StreamChunk("}")),
        on_completed(260),
    )
    observer = scheduler.start(lambda: source.pipe(ops.items("cities[]", City)))
    assert observer.messages == [
        on_next(230, City("Rome")),
        on_next(240, City("Paris", 2)),
        on_completed(260),
    ]


def test_refused_element_ends_request() -> None:
    scheduler = TestScheduler()
    source = scheduler.create_hot_observable(
        on_next(210, StreamChunk('[{"name": "Rome"}, {"name": "Paris", "size": "la')),
        on_next(220, StreamChunk('rge"}, {"name": "Bonn"}')),
        on_next(230, StreamChunk("]")),
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.items("[]", City)))
    first, last = observer.messages
    assert (first.time, first.value.value) == (210, City("Rome"))
    assert (last.time, last.value.kind) == (220, "E")
    assert "Element 1 of '[]' does not match" in str(last.value.exception)
    assert "at `$.size`" in str(last.value.exception)
    assert source.subscriptions == [subscribe(200, 220)]


@pytest.mark.parametrize(
    ("path", "kind", "text", "expected"),
    [
        ("[]", int, "[1, 2]", [1, 2]),
        ("value[]", str, '{"value": ["a", "}"]}', ["a", "}"]),
        ("a[].b[]", int, '{"a": [{"b": [1]}, {"c": [7], "b": [2]}], "b": [8]}', [1, 2]),
        ("a[][]", int, '{"a": [[1], [], [2, 3]]}', [1, 2, 3]),
        ("a.b[]", list[int], '{"b": [[9]], "a": {"b": [[1], []]}}', [[1], []]),
        ("a[]", int, 'Here: {"a": []} Bye', []),
        ("a[]", int, '{"b": 1}', []),
        ("é[]", int, '{"\\u00e9": [1]}', [1]),
        ("[]", Even, "[2, 4]", ["even 2", "even 4"]),
    ],
)
def test_paths_choose_elements(path: str, kind: Any, text: str, expected: list[Any]) -> None:
    assert emitted(path, kind, text) == expected
    assert emitted(path, kind, *text) == expected


@pytest.mark.parametrize("pieces", [["[1, 2"], ["[1, x]"], ["none"], ["[1, 3", "}"]])
def test_bad_answer_is_an_error(pieces: list[str]) -> None:
    *_, error = emitted("[]", int, *pieces)
    assert isinstance(error, OutputError)


@pytest.mark.parametrize("path", ["", "a", "a..b[]", "a[", "[]a", "a[]]", 5, ".a[]"])
def test_wrong_path_is_refused(path: Any) -> None:
    with pytest.raises(ConfigurationError, match="path must"):
        ops.items(path, int)


def test_other_items_are_refused() -> None:
    errors: list[Exception] = []
    texts: Observable[Any] = rx.of("[1]")
    texts.pipe(ops.items("[]", int)).subscribe(on_error=errors.append)
    assert "items takes StreamChunks" in str(errors[0])


def test_no_element_comes_twice_after_reset() -> None:
    again = '[{"name": "Rome"}, {"name": "Bonn"}, {"name": "Oslo"}]'
    out = emitted("[]", City, '[{"name": "Rome"}, {"name": "Paris"}, {"na', RESET, again)
    assert out == [City("Rome"), City("Paris"), City("Bonn"), City("Oslo")]


@pytest.mark.parametrize("kind", [OpenAI, Anthropic])
async def test_retry_over_http_repeats_no_element(kind: Any) -> None:
    names = [f"city {number}" for number in range(20)]
    text = json.dumps({"value": [{"name": name} for name in names]})
    async with ScriptedServer(Reply(text, cut_after=40, ending=Ending.FIN), Reply(text)) as server:
        url = f"http://127.0.0.1:{server.port}"
        async with kind("m", api_key="k" * 20, base_url=url, max_retries=0) as llm:
            chunks = llm.chat_stream("?", response_format=list[City])
            retried = chunks.pipe(
                ops.retry_with_backoff(2, on_reset=StreamChunk.reset, first_wait=0.01),
                ops.items("value[]", City),
            )
            out: list[City] = []
            await last_value(retried, out.append)
        assert len(server.requests) == 2
    assert [city.name for city in out] == names


def test_ten_thousand_elements_come_at_their_last_byte() -> None:
    texts = [json.dumps({"name": "x" * (n % 40), "size": n}) for n in range(10_000)]
    whole = '{"cities": [' + ", ".join(texts) + "]}"
    out: list[City] = []
    chunks: rx.Subject[StreamChunk] = rx.Subject()
    chunks.pipe(ops.items("cities[]", City)).subscribe(out.append)
    ends: list[int] = []
    end = len('{"cities": [')
    for text in texts:
        ends.append(end + len(text))
        end = ends[-1] + 2
    position = 0
    for number, end in enumerate(ends):
        chunks.on_next(StreamChunk(whole[position : end - 1]))
        assert len(out) == number
        chunks.on_next(StreamChunk(whole[end - 1 : end]))
        assert len(out) == number + 1
        position = end
    assert [city.size for city in out] == list(range(10_000))


JSON = st.recursive(
    st.none() | st.integers(-9, 9) | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=4), st.integers(1, 9))
def test_every_split_cuts_the_same_fields(fields: dict[str, Any], length: int) -> None:
    text = json.dumps(fields)
    parser = ClosedValuesParser((ANY_KEY,))
    pieces = [text[start : start + length] for start in range(0, len(text), length)]
    closed = [pair for piece in pieces for pair in parser.take(piece)]
    assert [(key, json.loads(value)) for key, value in closed] == list(fields.items())


@given(st.lists(JSON, max_size=5), st.integers(1, 9))
def test_every_split_cuts_the_same_elements(elements: list[Any], length: int) -> None:
    text = json.dumps({"a": elements}, indent=1)
    parser = ClosedValuesParser(path_steps("a[]"))
    pieces = [text[start : start + length] for start in range(0, len(text), length)]
    closed = [json.loads(value) for piece in pieces for _, value in parser.take(piece)]
    assert closed == elements


def test_type_checker_knows_element() -> None:
    source: Observable[StreamChunk] = rx.empty()
    assert_type(source.pipe(ops.items("[]", City)), Observable[City])
