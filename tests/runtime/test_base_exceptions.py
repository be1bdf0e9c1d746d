"""Callbacks that raise what is no `Exception`: every stream ends, and the report comes once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from observing import Numbers, Seen, settle
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import (
    ConversationalAgent,
    ErrorInfo,
    FunctionAgent,
    RxAgentsError,
    StreamChunk,
    ToolCall,
    ToolEnd,
    tool,
)
from rxagents import operators as ops
from rxagents.runtime.last_value import last_value
from rxagents.testing import Reply, ScriptedLLM


class OwnBaseError(BaseException):
    """Ends neither the program nor a task."""


KINDS = [asyncio.CancelledError, GeneratorExit, OwnBaseError, StopIteration, StopAsyncIteration]
each_kind = pytest.mark.parametrize("kind", KINDS)

Raise = Callable[..., Any]


def raiser(kind: type[BaseException]) -> Raise:
    """Return a function that raises, whatever it is called with."""

    def fail(*_: Any) -> Any:
        raise kind

    return fail


def numbers() -> Observable[int]:
    return rxagents.from_aiter(Numbers(limit=3))


def scripted() -> Observable[StreamChunk]:
    return ScriptedLLM(Reply("a b c", interval=0.001)).chat_stream("hi")


def is_wrapped(error: BaseException | None, kind: type[BaseException]) -> bool:
    return type(error) is RxAgentsError and type(error.__cause__) is kind


OPERATORS: dict[str, Callable[[Observable[Any]], Observable[Any]]] = {
    "none": lambda source: source,
    "retry": ops.retry_with_backoff(first_wait=0, on_reset=StreamChunk.reset),
    "coalesce": ops.coalesce(0.001),
    "share": ops.share_bounded(),
    "replay": ops.replay_bounded(5),
    "map_async": ops.map_async(lambda item: asyncio.sleep(0, item)),
    "hedge": ops.hedge(rx.never(), after=1),
}


@each_kind
@pytest.mark.parametrize("source", [numbers, scripted])
@pytest.mark.parametrize("name", OPERATORS)
async def test_raising_subscriber_is_reported_once(
    name: str,
    source: Callable[[], Observable[Any]],
    kind: type[BaseException],
    loop_errors: list[Exception],
) -> None:
    seen = Seen(source().pipe(OPERATORS[name]), raiser(kind))
    await seen.first.wait()
    await settle()
    assert len(seen.notes) == 1
    assert [is_wrapped(error, kind) for error in loop_errors] == [True]
    loop_errors.clear()


@each_kind
@pytest.mark.parametrize("source", [numbers, scripted, lambda: rx.timer(0.001)])
@pytest.mark.parametrize("place", ["on_next", "map"])
async def test_awaiting_code_gets_what_was_raised(
    place: str, source: Callable[[], Observable[Any]], kind: type[BaseException]
) -> None:
    fail = raiser(kind)
    with pytest.raises(RxAgentsError, match=kind.__name__) as raised:
        async with asyncio.timeout(5):
            if place == "on_next":
                await last_value(source(), fail)
            else:
                await last_value(source().pipe(rx_ops.map(fail)))
    assert is_wrapped(raised.value, kind)


@each_kind
async def test_reader_does_not_take_failure_for_end(kind: type[BaseException]) -> None:
    with pytest.raises(RxAgentsError, match=kind.__name__):
        async with rxagents.to_aiter(numbers().pipe(rx_ops.do_action(raiser(kind)))) as items:
            async for _ in items:
                pass


@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_exceptions_that_end_the_program_pass(kind: type[BaseException]) -> None:
    with pytest.raises(kind):
        rxagents.run(ScriptedLLM("a b").chat_stream("hi"), raiser(kind))


@each_kind
async def test_raising_observer_does_not_end_the_stream(
    kind: type[BaseException], loop_errors: list[Exception]
) -> None:
    seen = Seen(numbers().pipe(ops.tap_safely(on_completed=raiser(kind))))
    await seen.over.wait()
    assert seen.notes == [0, 1, 2, "end"]
    assert [is_wrapped(error, kind) for error in loop_errors] == [True]
    loop_errors.clear()


@each_kind
@pytest.mark.parametrize(
    "operator",
    [
        lambda fail: ops.retry_with_backoff(retry_if=fail, on_reset=lambda _: 0),
        lambda fail: ops.retry_with_backoff(first_wait=0, retry_if=lambda _: True, on_reset=fail),
        lambda fail: ops.fallback_to(rx.never(), fallback_if=fail, on_reset=lambda _: 0),
        lambda fail: ops.fallback_to(rx.never(), on_reset=fail),
    ],
    ids=["retry_if", "retry on_reset", "fallback_if", "fallback on_reset"],
)
async def test_raising_decision_fails_the_stream(
    operator: Callable[[Raise], Any], kind: type[BaseException]
) -> None:
    failing: Observable[Any] = rx.concat(numbers(), rx.throw(OSError()))
    seen = Seen(failing.pipe(operator(raiser(kind))))
    await seen.over.wait()
    assert seen.notes[:-1] == [0, 1, 2]
    assert is_wrapped(seen.error, kind)


@each_kind
async def test_raising_approval_refuses_the_call(kind: type[BaseException]) -> None:
    made = tool(requires_approval=True, name="made")(lambda: "ran")
    call = ToolCall("call_1", "made", "{}")
    seen = Seen(rx.of(call).pipe(ops.run_tools([made], approve=raiser(kind))))
    await seen.over.wait()
    (end,) = seen.all(ToolEnd)
    assert seen.completed
    assert "could not be approved" in end.result
    assert kind.__name__ in end.result or kind is StopIteration


def raised_by_function(fail: Raise) -> Observable[Any]:
    return fail()  # type: ignore[no-any-return]  # it returns nothing


def raised_by_subscribe(fail: Raise) -> Observable[Any]:
    return Observable(fail)


def raised_by_operator(fail: Raise) -> Observable[Any]:
    return rx.of(1).pipe(rx_ops.map(fail))


def raised_by_timer(fail: Raise) -> Observable[Any]:
    return rx.timer(0.001).pipe(rx_ops.map(fail))


@each_kind
@pytest.mark.parametrize(
    "make", [raised_by_function, raised_by_subscribe, raised_by_operator, raised_by_timer]
)
async def test_raising_observable_tool_ends_with_error(
    make: Callable[[Raise], Observable[Any]], kind: type[BaseException]
) -> None:
    def observe() -> Observable[Any]:
        return make(raiser(kind))

    call = ToolCall("call_1", "observe", "{}")
    seen = Seen(rx.of(call).pipe(ops.run_tools([tool(observe)])))
    async with asyncio.timeout(5):
        await seen.over.wait()
    (end,) = seen.all(ToolEnd)
    assert seen.completed
    assert end.error is not None
    assert kind.__name__ in end.result or kind is StopIteration


class UnprintableError(Exception):
    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self._kind = kind

    def __str__(self) -> str:
        raise self._kind


class BrokenLLM(ScriptedLLM):
    """Fails with an exception that cannot be printed, after one chunk."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__()
        self._kind = kind

    def chat_stream(self, *_: Any, **__: Any) -> Observable[StreamChunk]:
        return rx.concat(rx.of(StreamChunk("a")), rx.throw(UnprintableError(self._kind)))


each_printing_error = pytest.mark.parametrize("kind", [AttributeError, OwnBaseError, SystemExit])


@each_printing_error
async def test_unprintable_error_ends_run_and_frees_conversation(
    kind: type[BaseException],
) -> None:
    agent = ConversationalAgent(BrokenLLM(kind))
    for _ in range(2):
        seen = Seen(agent.run_stream("hi"))
        async with asyncio.timeout(5):
            await seen.over.wait()
        assert type(seen.error) is UnprintableError
        assert seen.items[-1].content == "(a UnprintableError that cannot be printed)"


class RaisingLLM(ScriptedLLM):
    """Calls a tool, and raises when it is asked for the second turn."""

    def __init__(self, kind: type[BaseException]) -> None:
        super().__init__(Reply(tool_calls=[ToolCall("call_1", "give", "{}")]))
        self._kind = kind

    def chat_stream(self, *args: Any, **settings: Any) -> Observable[StreamChunk]:
        if self.requests:
            raise self._kind
        return super().chat_stream(*args, **settings)


@pytest.mark.parametrize("kind", [ValueError, asyncio.CancelledError, OwnBaseError])
async def test_model_that_raises_later_ends_run_and_frees_conversation(
    kind: type[BaseException],
) -> None:
    def give() -> str:
        return "given"

    agent = ConversationalAgent(RaisingLLM(kind), [give])
    for _ in range(2):
        seen = Seen(agent.run_stream("hi"))
        async with asyncio.timeout(5):
            await seen.over.wait()
        assert type(seen.error) is kind or is_wrapped(seen.error, kind)
        assert seen.items[-1].type == "error"


@each_printing_error
def test_unprintable_error_has_an_error_info(kind: type[BaseException]) -> None:
    info = ErrorInfo.of(UnprintableError(kind))
    assert info == ErrorInfo("UnprintableError", "(a UnprintableError that cannot be printed)")


def test_error_info_can_be_encoded() -> None:
    assert ErrorInfo.of(OSError("half \ud800")).message == "half ?"


@each_printing_error
async def test_unprintable_result_is_described(kind: type[BaseException]) -> None:
    class Unprintable:
        def __str__(self) -> str:
            raise kind

    def give() -> object:
        return Unprintable()

    call = ToolCall("call_1", "give", "{}")
    llm = ScriptedLLM(Reply(tool_calls=[call]), "done")
    result = await FunctionAgent(llm, [give]).run("go")
    assert "(a Unprintable that cannot be printed)" in str(result.messages)
