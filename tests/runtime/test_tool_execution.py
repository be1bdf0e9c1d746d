"""Events, attempts, timeouts and dispose of a tool call, for every kind of function."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import msgspec
import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable
from reactivex.testing import TestScheduler

import rxagents
from rxagents import (
    StreamEvent,
    Tool,
    ToolArgumentsError,
    ToolCall,
    ToolContext,
    ToolEnd,
    ToolError,
    ToolProgress,
    tool,
)
from rxagents.runtime.tool_execution.execute import execute
from rxagents.runtime.tool_execution.items import Progress
from rxagents.runtime.tool_execution.text import result_text

pytestmark = pytest.mark.real_time

USER: contextvars.ContextVar[str] = contextvars.ContextVar("user", default="nobody")


def call_of(made: Tool, arguments: str = "") -> ToolCall:
    return ToolCall("call_1", made.name, arguments)


async def events_of(made: Tool, arguments: str = "") -> list[Any]:
    """Run a tool to its end; fail if it emits inside `subscribe` or on another thread."""
    events: list[Any] = []
    over = asyncio.get_running_loop().create_future()
    threads: set[int] = set()

    def on_event(event: Any) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    execute(made, call_of(made, arguments)).subscribe(
        on_event, over.set_exception, lambda: over.set_result(None)
    )
    assert events == []
    await over
    assert threads == {threading.get_ident()}
    return events


def join_tool_threads() -> None:
    """Wait until no tool's thread runs."""
    for thread in threading.enumerate():
        if "rxagents tool" in thread.name:
            thread.join(10)
            assert not thread.is_alive()


async def end_of(made: Tool, arguments: str = "") -> Any:
    end = (await events_of(made, arguments))[-1]
    assert isinstance(end, ToolEnd)
    return end


@tool
def add(a: int, b: int) -> int:
    return a + b


@tool
async def add_later(a: int, b: int) -> int:
    await asyncio.sleep(0)
    return a + b


def count_up() -> Iterator[int]:
    yield from (1, 2, 3)


def count_and_return() -> Iterator[int]:
    yield from (1, 2)
    return 3  # type: ignore[return-value]  # what the test is about


async def count_async() -> AsyncIterator[int]:
    for number in (1, 2, 3):
        yield number


async def give_iterator() -> AsyncIterator[int]:
    return count_async()


def give_iterator_from_thread() -> AsyncIterator[int]:
    return count_async()


def observe() -> Observable[int]:
    return rx.of(1, 2, 3)


async def observe_later() -> Observable[int]:
    return rx.of(1, 2, 3)


async def observe_stream_later() -> Observable[int]:
    return rxagents.from_aiter(count_async)


def emit_at_once(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
    for number in (1, 2, 3):
        observer.on_next(number)
    observer.on_completed()
    return Disposable()


def fail_at_once(observer: abc.ObserverBase[int], _: Any = None) -> abc.DisposableBase:
    observer.on_error(KeyError("mine"))
    return Disposable()


def observe_at_once() -> Observable[int]:
    return rx.create(emit_at_once)


def observe_time() -> Observable[int]:
    return rx.interval(0.001).pipe(rx_ops.skip(1), rx_ops.take(3))


def observe_unannotated():  # type: ignore[no-untyped-def]  # what the test is about
    return rx.of(1, 2, 3)


def call_coroutine() -> Any:
    return add_later(1, 2)


@pytest.mark.parametrize("made", [add, add_later, tool(call_coroutine)], ids=lambda made: made.name)
async def test_a_result_is_one_event(made: Tool) -> None:
    arguments = "" if made.name == "call_coroutine" else '{"a": "1", "b": 2}'
    (end,) = await events_of(made, arguments)
    assert (end.call_id, end.name, end.result, end.error) == ("call_1", made.name, "3", None)
    assert 0 < end.duration < 5


@pytest.mark.parametrize(
    "function",
    [
        count_up,
        count_and_return,
        count_async,
        give_iterator,
        give_iterator_from_thread,
        observe,
        observe_at_once,
        observe_later,
        observe_stream_later,
        observe_time,
        observe_unannotated,
    ],
)
async def test_items_before_last_are_progress(function: Callable[..., Any]) -> None:
    *progress, end = await events_of(tool(function))
    assert [(type(event), event.content) for event in progress] == [
        (ToolProgress, "1"),
        (ToolProgress, "2"),
    ]
    assert (end.result, end.error) == ("3", None)


@pytest.mark.parametrize("function", [lambda: iter(()), lambda: rx.empty(), lambda: None])
async def test_no_item_gives_null(function: Callable[..., Any]) -> None:
    assert (await end_of(Tool(name="nothing", function=function))).result == "null"


async def test_each_subscription_is_a_call() -> None:
    calls: list[int] = []

    made = tool(name="note")(lambda: calls.append(1))
    stream = execute(made, call_of(made))
    await asyncio.sleep(0)
    assert calls == []
    for _ in range(2):
        await stream
    assert calls == [1, 1]


class Broken:
    def __str__(self) -> str:
        raise KeyError("no text")


def endless_list() -> list[Any]:
    inside: list[Any] = []
    inside.append(inside)
    return inside


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        (None, "null"),
        ({"a": [1, 2.5, True]}, '{"a":[1,2.5,true]}'),
        (ToolCall("1", "f", "{}"), None),
        (2**80, str(2**80)),
        ({"when": complex(1, 2)}, '{"when":"(1+2j)"}'),
        (Broken(), '"(a Broken that cannot be printed)"'),
        (endless_list(), "[[...]]"),
        ("half \ud800 a character", "half ? a character"),
    ],
)
def test_any_result_becomes_text(value: object, text: str | None) -> None:
    shown = result_text(value)
    assert shown == (text or msgspec.json.encode(value).decode())
    end = ToolEnd("1", "f", shown)
    assert msgspec.json.decode(msgspec.json.encode(end), type=StreamEvent) == end


def fail_sync() -> None:
    raise KeyError("mine")


async def fail_async() -> None:
    raise KeyError("mine")


def fail_observed() -> Observable[int]:
    return rx.throw(KeyError("mine"))


def fail_before_observable() -> Observable[int]:
    raise KeyError("mine")


@pytest.mark.parametrize("function", [fail_sync, fail_async, fail_observed, fail_before_observable])
async def test_exception_becomes_tool_end_error(function: Callable[..., Any]) -> None:
    (end,) = await events_of(tool(function))
    assert end.result == "Error: KeyError: 'mine'"
    assert (end.error.kind, end.error.message) == ("KeyError", "'mine'")


async def test_progress_item_is_emitted_at_once() -> None:
    wait = asyncio.Event()

    @rxagents.tool
    async def report() -> AsyncIterator[object]:
        yield Progress({"done": 1})
        await wait.wait()
        yield "result"

    seen: list[str] = []

    def on_event(event: rxagents.StreamEvent) -> None:
        seen.append(event.content)
        wait.set()

    done = asyncio.Event()
    execute(report, ToolCall("c", "report", "{}")).subscribe(on_event, None, done.set)
    await done.wait()
    assert seen == ['{"done":1}', "result"]


async def test_items_before_exception_are_progress() -> None:
    @tool
    def half() -> Iterator[str]:
        yield "half"
        raise ToolError("Ask for less.")

    progress, end = await events_of(half)
    assert progress.content == "half"
    assert (end.result, end.error.kind) == ("Error: Ask for less.", "ToolError")


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
async def test_thread_cannot_end_the_program(kind: type[BaseException]) -> None:
    def leave() -> None:
        raise kind

    end = await end_of(tool(leave))
    assert end.error.kind == "RxAgentsError"
    assert kind.__name__ in end.result


class MuteError(Exception):
    def __str__(self) -> str:
        raise KeyError("no text")


async def test_unprintable_exception_has_a_text() -> None:
    def mute() -> None:
        raise MuteError

    end = await end_of(tool(mute))
    assert end.error.kind == "MuteError"
    assert "cannot be printed" in end.result


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ('{"a": 1', "not a JSON object"),
        ("[1]", "not a JSON object"),
        ('{"a": 1}', "'b' is missing"),
        ('{"a": 1, "b": 2, "c": 3}', "no argument 'c'"),
        ("[" * 1000, "nested more than"),
    ],
)
async def test_model_sees_bad_arguments(arguments: str, words: str) -> None:
    end = await end_of(add, arguments)
    assert end.error.kind == "ToolArgumentsError"
    assert end.result.startswith("Error: ")
    assert words in end.result


async def test_tool_without_function_fails() -> None:
    end = await end_of(Tool(name="remote"))
    assert (end.error.kind, "'remote' cannot be run here" in end.result) == ("ToolError", True)


async def test_exception_starts_the_next_attempt() -> None:
    @tool(retries=2)
    def third_time(context: ToolContext) -> str:
        if context.attempt < 3:
            raise KeyError(context.attempt)
        return f"attempt {context.attempt} of {context.call_id} {context.name}"

    assert (await end_of(third_time)).result == "attempt 3 of call_1 third_time"


@pytest.mark.parametrize(
    ("error", "attempts"), [(KeyError("x"), 3), (ToolError("x"), 3), (ToolArgumentsError("x"), 1)]
)
async def test_bad_arguments_are_not_retried(error: Exception, attempts: int) -> None:
    calls = 0

    @tool(retries=2)
    def fail(number: int = 1) -> None:
        nonlocal calls
        calls += 1
        raise error

    assert (await end_of(fail)).error.kind == type(error).__name__
    assert calls == attempts
    assert (await end_of(fail, '{"number": "x"}')).error.kind == "ToolArgumentsError"
    assert calls == attempts


async def test_many_attempts_do_not_recurse() -> None:
    @tool(retries=3000)
    def never() -> Observable[int]:
        return rx.create(fail_at_once)

    assert (await end_of(never)).error.kind == "KeyError"


async def test_timeout_cancels_an_async_tool() -> None:
    cancelled = asyncio.Event()

    @tool(timeout=0.01, retries=5)
    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    end = await end_of(wait)
    assert end.error is not None
    assert (end.error.kind, "0.01 seconds" in end.result) == ("ToolTimeoutError", True)
    await cancelled.wait()


async def test_timeout_sets_context_cancelled() -> None:
    contexts: list[ToolContext] = []
    release, left = threading.Event(), threading.Event()

    @tool(timeout=0.01)
    def hang(context: ToolContext) -> None:
        contexts.append(context)
        release.wait(10)
        left.set()

    assert (await end_of(hang)).error.kind == "ToolTimeoutError"
    release.set()
    assert left.wait(10)
    assert contexts[0].cancelled


async def test_end_leaves_context_not_cancelled() -> None:
    contexts: list[ToolContext] = []

    @tool(retries=1)
    def keep(context: ToolContext) -> Iterator[int]:
        contexts.append(context)
        yield 1
        if context.attempt == 1:
            raise KeyError("x")

    assert (await end_of(keep)).result == "1"
    assert [context.cancelled for context in contexts] == [False, False]


async def test_dispose_cancels_an_async_tool() -> None:
    started, cancelled = asyncio.Event(), asyncio.Event()

    @tool
    async def wait() -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    events: list[Any] = []
    subscription = execute(wait, call_of(wait)).subscribe(events.append)
    await started.wait()
    subscription.dispose()
    subscription.dispose()
    await cancelled.wait()
    assert events == []


@pytest.mark.parametrize("from_thread", [False, True])
async def test_dispose_discards_a_threads_result(from_thread: bool) -> None:
    started, seen = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    @tool
    def poll(context: ToolContext) -> str:
        loop.call_soon_threadsafe(started.set)
        deadline = time.monotonic() + 10
        while not context.cancelled and time.monotonic() < deadline:
            time.sleep(0.001)  # as a tool that polls does
        seen.set()
        return "too late"

    events: list[Any] = []
    subscription = execute(poll, call_of(poll)).subscribe(
        events.append, events.append, lambda: events.append("completed")
    )
    await started.wait()
    if from_thread:
        await asyncio.to_thread(subscription.dispose)
    else:
        subscription.dispose()
    assert await asyncio.to_thread(seen.wait, 10)
    await asyncio.sleep(0.01)
    assert events == []


async def test_dispose_closes_generator_on_its_thread() -> None:
    closed = threading.Event()
    threads: list[int] = []

    def numbers() -> Iterator[int]:
        threads.append(threading.get_ident())
        try:
            while True:
                yield 1
        finally:
            threads.append(threading.get_ident())
            closed.set()

    held = numbers()  # else it is closed because nothing refers to it

    @tool
    def endless() -> Iterator[int]:
        return held

    await execute(endless, call_of(endless)).pipe(rx_ops.take(2))
    assert await asyncio.to_thread(closed.wait, 10)
    assert threads[0] == threads[1] != threading.get_ident()


async def test_dispose_reaches_an_observable() -> None:
    contexts: list[ToolContext] = []
    disposed: list[str] = []

    @tool
    def endless(context: ToolContext) -> Observable[int]:
        contexts.append(context)
        return rx.interval(0.001).pipe(rx_ops.finally_action(lambda: disposed.append("source")))

    await execute(endless, call_of(endless)).pipe(rx_ops.take(2))
    assert (contexts[0].cancelled, disposed) == (True, ["source"])


@pytest.mark.parametrize("function", [add, add_later, tool(observe)], ids=lambda made: made.name)
async def test_dispose_at_once_calls_nothing(function: Tool) -> None:
    events: list[Any] = []
    execute(function, call_of(function, '{"a": 1, "b": 2}')).subscribe(events.append).dispose()
    await asyncio.sleep(0.01)
    assert events == []


async def test_slow_reader_slows_a_generator() -> None:
    made_items = 0

    @tool
    def eager() -> Iterator[int]:
        nonlocal made_items
        while True:
            made_items += 1
            yield made_items

    stream = execute(eager, call_of(eager))
    async with rxagents.to_aiter(stream, capacity=4) as events:
        await anext(events)
        await asyncio.sleep(0.05)
        assert made_items < 20


def play(made: Tool) -> list[tuple[float, Any]]:
    """Run a tool in virtual time; return times and events, with `None` for completion."""
    messages: list[Any] = TestScheduler().start(lambda: execute(made, call_of(made))).messages
    return [(note.time, getattr(note.value, "value", None)) for note in messages]


def test_observables_keep_virtual_time() -> None:
    @tool(timeout=100)
    def tick() -> Observable[int]:
        return rx.interval(10).pipe(rx_ops.take(3))

    (first, event), (second, _), (third, end), completed = play(tick)
    assert (first, second, third, completed) == (220, 230, 230, (230, None))
    assert (event.content, end.result, end.duration) == ("0", "2", 30)


def test_timeout_applies_to_each_attempt() -> None:
    @tool(timeout=50, retries=1)
    def slow_then_hung(context: ToolContext) -> Observable[float]:
        if context.attempt == 1:
            return rx.timer(40).pipe(rx_ops.map(lambda _: 1 / 0))
        return rx.never()

    (time_of_end, end), completed = play(slow_then_hung)
    assert (time_of_end, completed) == (290, (290, None))
    assert end.error.kind == "ToolTimeoutError"


def test_missing_loop_is_explained() -> None:
    errors: list[Exception] = []
    execute(add, call_of(add)).subscribe(on_error=errors.append)
    assert isinstance(errors[0], rxagents.ConfigurationError)
    assert "rxagents.run" in str(errors[0])


@pytest.mark.parametrize("asynchronous", [False, True])
async def test_tool_sees_subscribers_context_variables(asynchronous: bool) -> None:
    async def later() -> str:
        return USER.get()

    made = tool(later) if asynchronous else tool(name="now")(lambda: USER.get())
    USER.set("alice")
    stream = execute(made, call_of(made))
    ends: list[Any] = []
    over = asyncio.Event()
    stream.subscribe(ends.append, on_completed=over.set)
    USER.set("bob")
    await over.wait()
    assert ends[0].result == "alice"


class ConsumerError(Exception):
    pass


@pytest.mark.parametrize(
    "function",
    [count_up, count_async, observe, observe_at_once, observe_later, observe_unannotated],
)
@pytest.mark.parametrize("fails_at", [ToolProgress, ToolEnd])
async def test_consumer_error_is_reported_once(
    function: Callable[..., Any], fails_at: type[object], loop_errors: list[Exception]
) -> None:
    notes: list[Any] = []
    failed = asyncio.Event()

    def consume(event: Any) -> None:
        notes.append(type(event))
        if isinstance(event, fails_at):
            failed.set()
            raise ConsumerError

    made = tool(function)
    execute(made, call_of(made)).subscribe(consume, notes.append, lambda: notes.append("completed"))
    await failed.wait()
    assert [type(error) for error in loop_errors] == [ConsumerError]
    loop_errors.clear()
    assert notes[-1] is fails_at
    assert notes.count(fails_at) == 1


def test_run_raises_consumer_error() -> None:
    def consume(_: Any) -> None:
        raise ConsumerError

    for function in (count_up, count_async, observe, observe_at_once):
        made = tool(function)
        with pytest.raises(ConsumerError):
            rxagents.run(execute(made, call_of(made)), consume)


async def test_finished_call_keeps_no_result() -> None:
    class Result(str):
        __slots__ = ("__weakref__",)

    kept: list[weakref.ref[Result]] = []

    def make() -> Any:
        result = Result("text")
        kept.append(weakref.ref(result))
        return result

    made = tool(make)
    assert (await events_of(made))[-1].result == "text"
    join_tool_threads()
    gc.collect()
    assert kept[0]() is None


async def test_threads_end_with_their_calls() -> None:
    await asyncio.gather(*(events_of(tool(count_up)) for _ in range(20)))
    join_tool_threads()


@pytest.mark.parametrize("result", ["time.sleep(60)", "(time.sleep(60) for _ in range(3))"])
def test_hanging_tool_lets_interpreter_exit(result: str) -> None:
    program = f"""
        import asyncio, time, rxagents
        from rxagents.runtime.tool_execution.execute import execute

        @rxagents.tool(timeout=0.05)
        def hang():
            return {result}

        end = rxagents.run(execute(hang, rxagents.ToolCall("1", "hang")))
        print(end.error.kind)
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(program)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("ToolTimeoutError\n", "", 0)


def test_virtual_time_needs_observable_tools() -> None:
    async def wait() -> str:
        return "done"

    scheduler = TestScheduler()
    observer: Any = scheduler.start(
        lambda: execute(rxagents.tool(wait), ToolCall("call_1", "wait", "{}"))
    )
    (end,) = observer.messages
    assert isinstance(end.value.exception, rxagents.ConfigurationError)
    assert "running event loop" in str(end.value.exception)
