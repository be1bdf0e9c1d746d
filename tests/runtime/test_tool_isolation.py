"""Tools that misbehave: emit on other threads, raise `BaseException`, or start streams."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable, abc
from reactivex import operators as rx_ops
from reactivex.disposable import Disposable

import rxagents
from rxagents import (
    ConversationalAgent,
    FunctionAgent,
    StreamCancelledError,
    ToolCall,
    ToolEnd,
    from_aiter,
)
from rxagents.runtime.tool_execution.execute import execute
from rxagents.testing import Reply, ScriptedLLM


class FatalError(BaseException):
    """Would end more than the tool."""


def calling(name: str) -> Reply:
    return Reply(tool_calls=[ToolCall("call_1", name, "{}")])


async def events_of(function: Any, **options: Any) -> list[Any]:
    made = rxagents.tool(**options)(function)
    async with rxagents.to_aiter(execute(made, ToolCall("call_1", made.name, "{}"))) as events:
        return [event async for event in events]


async def test_other_threads_items_reach_the_loop() -> None:
    def from_a_thread() -> Observable[str]:
        def subscribe(observer: abc.ObserverBase[str], _: object = None) -> abc.DisposableBase:
            def work() -> None:
                for item in ("half", "whole"):
                    observer.on_next(item)
                observer.on_completed()

            threading.Thread(target=work).start()
            return Disposable()

        return rx.create(subscribe)

    llm = ScriptedLLM(calling("from_a_thread"), "It is whole.")
    threads: set[int] = set()
    events: list[Any] = []
    done = asyncio.Event()

    def on_event(event: Any) -> None:
        threads.add(threading.get_ident())
        events.append(event)

    run = FunctionAgent(llm, [from_a_thread]).run_stream("go")
    run.subscribe(on_event, events.append, done.set)
    await done.wait()
    assert threads == {threading.get_ident()}
    assert [e.content for e in events if e.type == "tool_progress"] == ["half"]
    assert events[-1].content == "It is whole."


@pytest.mark.parametrize("error", [FatalError, GeneratorExit, asyncio.CancelledError])
async def test_async_tools_base_exception_is_error(
    error: type[BaseException],
) -> None:
    async def end() -> str:
        raise error

    (event,) = await events_of(end)
    assert isinstance(event, ToolEnd)
    assert event.error is not None
    assert error.__name__ in event.result


async def test_base_exception_fails_the_source() -> None:
    async def numbers() -> Any:
        yield 1
        raise FatalError

    with pytest.raises(rxagents.RxAgentsError, match="FatalError"):
        async with rxagents.to_aiter(from_aiter(numbers)) as items:
            async for _ in items:
                pass


def raise_cancelled() -> str:
    raise StreamCancelledError("inner")


async def raise_cancelled_async() -> str:
    raise StreamCancelledError("inner")


def raise_cancelled_later() -> Iterator[int]:
    yield 1
    raise StreamCancelledError("inner")


def observe_cancelled() -> Observable[int]:
    return rx.throw(StreamCancelledError("inner"))


@pytest.mark.parametrize(
    "function", [raise_cancelled, raise_cancelled_async, raise_cancelled_later, observe_cancelled]
)
async def test_raised_stream_cancelled_is_tool_error(function: Any) -> None:
    *_, end = await events_of(function)
    assert isinstance(end, ToolEnd)
    assert end.error is not None
    assert "inner" in end.result


async def test_cancelled_tool_that_raises_is_cancelled() -> None:
    started: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def wait() -> str:
        started.set_result(asyncio.current_task())
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            raise StreamCancelledError("inner") from None
        return "never"

    reading = asyncio.create_task(events_of(wait))
    (await started).cancel()
    with pytest.raises(StreamCancelledError, match="cancelled from outside"):
        await reading


class FailsToClose:
    """An iterator whose `close` raises."""

    def __init__(self) -> None:
        self.items = iter([1, 2])

    def __iter__(self) -> FailsToClose:
        return self

    def __next__(self) -> int:
        return next(self.items)

    def close(self) -> None:
        raise FatalError("not closed")


def count_and_fail_to_close() -> FailsToClose:
    return FailsToClose()


async def test_failing_close_is_tool_error() -> None:
    *progress, end = await events_of(count_and_fail_to_close)
    assert [event.content for event in progress] == ["1", "2"]
    assert end.error is not None


async def test_failing_close_after_dispose_is_reported(loop_errors: list[Exception]) -> None:
    count = rxagents.tool(count_and_fail_to_close)
    await execute(count, ToolCall("call_1", count.name, "{}")).pipe(rx_ops.take(1))
    for thread in threading.enumerate():
        if thread.name == f"rxagents tool {count.name}":
            await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    (error,) = loop_errors
    loop_errors.clear()
    assert isinstance(error.__cause__, FatalError)


async def test_cancelled_tool_is_not_retried() -> None:
    started: list[asyncio.Task[Any]] = []
    waiting = asyncio.Event()

    async def wait() -> None:
        task = asyncio.current_task()
        assert task is not None
        started.append(task)
        waiting.set()
        await asyncio.Event().wait()

    llm = ScriptedLLM(calling("wait"), "never asked")
    agent = FunctionAgent(llm, [rxagents.tool(retries=2)(wait)])
    events: list[Any] = []
    ended = asyncio.Event()

    def end(error: Exception) -> None:
        events.append(error)
        ended.set()

    agent.run_stream("go").subscribe(events.append, end)
    await waiting.wait()
    started[0].cancel()
    await ended.wait()
    assert isinstance(events[-1], StreamCancelledError)
    assert (len(started), len(llm.requests)) == (1, 1)


async def test_tools_own_stream_is_independent(loop_errors: list[Exception]) -> None:
    async def ticks() -> Any:
        yield 1

    failed = asyncio.Event()

    def fail(_: int) -> None:
        failed.set()
        raise ZeroDivisionError

    async def watch() -> str:
        from_aiter(ticks).subscribe(fail)
        await failed.wait()
        return "watched"

    llm = ScriptedLLM(calling("watch"), "done")
    result = await FunctionAgent(llm, [watch]).run("go")
    assert result.output == "done"
    assert isinstance(loop_errors.pop(), ZeroDivisionError)


async def test_tool_asking_its_own_conversation_fails() -> None:
    async def ask(conversation_id: str) -> str:
        return (await agent.run("again", conversation_id=conversation_id)).output

    calls = [
        ToolCall("call_1", "ask", '{"conversation_id": "default"}'),
        ToolCall("call_2", "ask", '{"conversation_id": "other"}'),
    ]
    llm = ScriptedLLM(Reply(tool_calls=calls), "from the other", "done")
    agent = ConversationalAgent(llm, [ask])
    ends: dict[str, str] = {}

    def note(event: Any) -> None:
        if isinstance(event, ToolEnd):
            ends[event.call_id] = event.result

    async with rxagents.to_aiter(agent.run_stream("go")) as events:
        async for event in events:
            note(event)
    assert "wait for each other" in ends["call_1"]
    assert ends["call_2"] == "from the other"
