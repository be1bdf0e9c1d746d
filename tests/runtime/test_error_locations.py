"""Errors name the operator or source that failed, and the user's line that called it."""

from __future__ import annotations

import asyncio
import pickle
import sys
import types
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.subject import ReplaySubject, Subject

import rxagents
from rxagents import FunctionAgent, OpenAI, StreamChunk
from rxagents import operators as ops
from rxagents.runtime.stage import Call
from rxagents.runtime.stream import stage_of
from rxagents.testing import Reply, ScriptedLLM

NUMBER: Observable[Any] = rx.of(1)
FAILING = ScriptedLLM(Reply(error=rxagents.RateLimitError("slow down")))


def line() -> int:
    """Return the line that calls."""
    return sys._getframe(1).f_lineno


def at(number: int) -> str:
    path = Path(__file__)
    shown = path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
    return f"at {shown}:{number}"


def notes_of(error: Exception) -> list[str]:
    return list(getattr(error, "__notes__", []))


def failure_of(stream: Observable[Any]) -> Exception:
    """Return the error of a stream of reactivex that fails inside of `subscribe`."""
    errors: list[Exception] = []
    stream.subscribe(on_error=errors.append)
    (error,) = errors
    return error


async def failure_in_loop(stream: Observable[Any]) -> Exception:
    async with rxagents.to_aiter(stream) as items:
        with pytest.raises(Exception) as raised:  # noqa: PT011 - the tests look at its notes
            async for _ in items:
                pass
    error = raised.value
    assert isinstance(error, Exception)
    return error


async def test_timeout_names_operator_and_line() -> None:
    silent: Observable[Any] = rx.never()
    stream = silent.pipe(ops.timeout_first(5), ops.timeout_total(9))
    number = line() - 1
    error = await failure_in_loop(stream)
    assert notes_of(error) == [f"timeout_first(5) {at(number)}"]


async def test_model_stream_names_its_call() -> None:
    stream = FAILING.chat_stream("Hi")
    number = line() - 1
    error = await failure_in_loop(stream.pipe(ops.text(), ops.coalesce(), rx_ops.map(str)))
    assert notes_of(error) == [f"ScriptedLLM.chat_stream {at(number)}"]


def test_model_stream_names_class_and_model() -> None:
    call = stage_of(OpenAI("gpt-5-mini", api_key="k").chat_stream("Hi")).call
    assert call.label == "OpenAI('gpt-5-mini').chat_stream"


async def test_agent_run_names_only_the_run() -> None:
    stream = FunctionAgent(FAILING).run_stream("Hi")
    number = line() - 1
    error = await failure_in_loop(stream.pipe(ops.coalesce()))
    assert notes_of(error) == [f"FunctionAgent.run_stream {at(number)}"]


def test_run_raises_the_error_with_its_note() -> None:
    stream = NUMBER.pipe(ops.text())
    number = line() - 1
    with pytest.raises(rxagents.ConfigurationError) as raised:
        rxagents.run(stream)
    assert notes_of(raised.value) == [f"text() {at(number)}"]


@pytest.mark.parametrize("failing", [rx.throw(KeyError("x")), NUMBER.pipe(rx_ops.map(len))])
def test_error_of_other_code_has_no_note(failing: Observable[Any]) -> None:
    stream = failing.pipe(ops.of_type(object), rx_ops.map(str), ops.split_sentences())
    assert notes_of(failure_of(stream)) == []


def test_error_that_only_passes_gets_no_note() -> None:
    stream = NUMBER.pipe(ops.text(), ops.of_type(object), rx_ops.map(str), ops.split_sentences())
    assert [note.partition(" at ")[0] for note in notes_of(failure_of(stream))] == ["text()"]


def test_same_operator_twice_notes_once() -> None:
    chunks = ops.check_items("all[]", int)
    error = failure_of(NUMBER.pipe(chunks, chunks))
    assert [note.partition(" at ")[0] for note in notes_of(error)] == ["check_items('all[]', int)"]


def test_other_stream_is_not_the_operator_that_failed() -> None:
    broken, other = rx.throw(OSError()), rx.throw(KeyError())
    for stream in (
        broken.pipe(ops.fallback_to(other), ops.of_type(object)),
        broken.pipe(ops.fallback_to(other=other), ops.of_type(object)),
    ):
        error = failure_of(stream)
        assert isinstance(error, KeyError)
        assert notes_of(error) == []


def test_error_object_raised_again_has_one_note() -> None:
    same = rxagents.RateLimitError("again")

    def predicate(_: Exception) -> bool:
        raise same

    broken: Observable[Any] = rx.throw(OSError())
    stream = broken.pipe(ops.fallback_to(rx.never(), fallback_if=predicate))
    error = failure_of(stream.pipe(rx_ops.retry(5), ops.of_type(object)))
    assert error is same
    assert len(notes_of(error)) == 1


def test_marks_and_notes_of_one_error_are_limited() -> None:
    same = OSError()
    for _ in repeat(None, 100):
        failing: Observable[Any] = rx.throw(same).pipe(ops.of_type(object))
        for name in ("a", "b", "c"):
            failing = failing.pipe(ops.checkpoint(name), ops.of_type(object))
        failure_of(failing)
    assert len(vars(same)["_rxagents_entered"]) <= 32
    assert len(notes_of(same)) == 3


async def test_function_that_reads_a_failing_stream_has_both_notes() -> None:
    async def read(_: int) -> None:
        async with rxagents.to_aiter(NUMBER.pipe(ops.text())) as texts:
            assert [text async for text in texts] == []

    error = await failure_in_loop(NUMBER.pipe(ops.map_async(read)))
    assert [note.partition(" at ")[0] for note in notes_of(error)] == ["text()", "map_async(read)"]


async def test_call_by_reactivex_has_no_line() -> None:
    stream = rxagents.from_aiter(lambda: _hi()).pipe(rx_ops.flat_map(FAILING.chat_stream))
    error = await failure_in_loop(stream)
    assert notes_of(error) == ["ScriptedLLM.chat_stream"]


async def _hi() -> Any:
    yield "Hi"


def test_no_running_loop_names_the_operator() -> None:
    error = failure_of(NUMBER.pipe(ops.timeout_idle(3)))
    assert [note.partition(" at ")[0] for note in notes_of(error)] == ["timeout_idle(3)"]


async def test_unhandled_error_has_its_note() -> None:
    loop, reports = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any]]()
    loop.set_exception_handler(lambda _, context: reports.put_nowait(context))
    FAILING.chat_stream("Hi").pipe(ops.text()).subscribe()
    report = await reports.get()
    assert "has no on_error" in report["message"]
    assert notes_of(report["exception"])[0].startswith("ScriptedLLM.chat_stream at ")


def test_observer_object_gets_items_and_the_note() -> None:
    observer = ReplaySubject[Any]()
    rx.concat(rx.of(1), rx.throw(KeyError())).pipe(ops.checkpoint("here")).subscribe(observer)
    seen: list[Any] = []
    observer.subscribe(seen.append, seen.append)
    assert seen[0] == 1
    assert notes_of(seen[1])[0].startswith('checkpoint "here"')


def test_error_with_notes_can_be_pickled() -> None:
    error = failure_of(NUMBER.pipe(ops.text(), ops.of_type(object)))
    assert notes_of(pickle.loads(pickle.dumps(error))) == notes_of(error) != []


def test_errors_that_refuse_notes_pass() -> None:
    class BareError(Exception):
        add_note = None  # type: ignore[assignment]  # refuses

        def __setattr__(self, name: str, value: object) -> None:
            raise AttributeError(name)

    def predicate(_: Exception) -> bool:
        raise BareError

    broken: Observable[Any] = rx.throw(OSError())
    stream = broken.pipe(ops.fallback_to(rx.never(), fallback_if=predicate))
    assert isinstance(failure_of(stream.pipe(ops.of_type(object))), BareError)


def test_error_is_delivered_if_an_argument_cannot_be_shown() -> None:
    class Strange:
        def __getattr__(self, name: str) -> object:
            raise ValueError(name)

        def __call__(self, _: Exception) -> bool:
            raise KeyError

    broken: Observable[Any] = rx.throw(OSError())
    error = failure_of(broken.pipe(ops.fallback_to(NUMBER, fallback_if=Strange())))
    assert isinstance(error, KeyError)


FACTORIES = [name for name in ops.__all__ if isinstance(getattr(ops, name), types.FunctionType)]
FACTORIES.remove("checkpoint")  # has its own tests


@pytest.mark.parametrize("name", FACTORIES)
def test_every_operator_factory_is_located(name: str) -> None:
    wrapped = getattr(ops, name).__wrapped__
    assert wrapped.__module__ == f"rxagents.operators.{name}"


def test_item_passes_no_additional_call() -> None:
    def depth(operator: Any) -> int:
        source: Subject[Any] = Subject()
        depths: list[int] = []

        def on_next(_: object) -> None:
            frame, count = sys._getframe(), 0
            while frame.f_back is not None:
                frame, count = frame.f_back, count + 1
            depths.append(count)

        source.pipe(operator).subscribe(on_next)
        source.on_next(StreamChunk("a"))
        return depths[0]

    assert depth(ops.text()) == depth(ops.text.__wrapped__())  # type: ignore[attr-defined]  # wraps


LABELS = [
    ("text(2)", (2,), {}),
    ("text('END', a=None)", ("END",), {"a": None}),
    ("text(lambda, a=len)", (lambda: 0,), {"a": len}),
    ("text(int)", (partial(int, base=2),), {}),
    ("text(StreamChunk, Overflow.BLOCK)", (StreamChunk, rxagents.Overflow.BLOCK), {}),
    ("text(<list of 3>, Subject(…))", ([1, 2, 3], Subject()), {}),
    ("text('file.jsonl')", (Path("file.jsonl"),), {}),
    ("text('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…')", ("x" * 99,), {}),
    ("text(…, api_key=…)", ("sk-1234",), {"api_key": "short"}),
    ("text(…, max_tokens=5)", ("redis://user:pass@host/0",), {"max_tokens": 5}),
    ("text(…, headers=…)", ("AbCdEf0123456789AbCdEf0123456789",), {"headers": {}}),
]


@pytest.mark.parametrize(("label", "arguments", "named"), LABELS, ids=[c[0] for c in LABELS])
def test_arguments_are_short_and_hide_keys(
    label: str, arguments: tuple[object, ...], named: dict[str, object]
) -> None:
    assert Call("operator", "text", arguments, named).label == label


def test_long_calls_are_cut() -> None:
    label = Call("operator", "text", range(100), {}).label
    assert len(label) < 90
    assert label.endswith("…)")
