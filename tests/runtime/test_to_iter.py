"""Read Observables with a plain `for` loop."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from contextvars import ContextVar
from typing import Any

import pytest
import reactivex as rx
from child import SECONDS, run_program, started
from observing import Numbers, settle, stall
from reactivex import operators as rx_ops

import rxagents
from rxagents import Overflow, Token, from_aiter, to_iter
from rxagents.testing import Ending, Reply, ScriptedServer


def streaming_threads() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "rxagents to_iter"]


@pytest.fixture(autouse=True)
def no_thread_left() -> Iterator[None]:
    yield
    assert not streaming_threads()


def wait_until_settled(items: Any) -> None:
    """Let everything happen on the loop of `items` that needs no time."""
    asyncio.run_coroutine_threadsafe(settle(), items._worker._loop).result(SECONDS)


def wait_until_ended(items: Any) -> None:
    """Let the whole stream happen, of which nothing was read yet."""
    items._worker._thread.join(SECONDS)


def test_loop_gets_all_items() -> None:
    assert list(to_iter(rx.of(1, 2, 3))) == [1, 2, 3]


def test_nothing_starts_before_first_item() -> None:
    numbers = Numbers(2)
    items = to_iter(from_aiter(numbers))
    assert (numbers.started, streaming_threads()) == (0, [])
    assert list(items) == [0, 1]
    assert numbers.started == 1


def test_items_come_before_the_error() -> None:
    items = to_iter(rx.concat(rx.of(1, 2), rx.throw(KeyError("mine"))))
    assert [next(items), next(items)] == [1, 2]
    with pytest.raises(KeyError, match="mine"):
        next(items)
    assert list(items) == []


def test_stop_iteration_as_error_is_no_end() -> None:
    with pytest.raises(rxagents.RxAgentsError, match="StopIteration"):
        next(to_iter(rx.throw(StopIteration())))


def divide_by_zero(number: int) -> float:
    return number / 0


def test_operators_exception_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        list(to_iter(from_aiter(Numbers()).pipe(rx_ops.map(divide_by_zero))))


def test_system_exit_on_the_thread_is_raised() -> None:
    async def leave() -> AsyncIterator[int]:
        yield 1
        sys.exit(3)

    items = to_iter(from_aiter(leave))
    assert next(items) == 1
    with pytest.raises(SystemExit):
        next(items)


def test_leaving_the_block_ends_the_stream() -> None:
    numbers = Numbers()
    with to_iter(from_aiter(numbers)) as items:
        assert next(items) == 0
    assert numbers.closed == 1
    assert list(items) == []


def test_exception_in_block_ends_the_stream() -> None:
    numbers = Numbers()
    with pytest.raises(KeyError), to_iter(from_aiter(numbers)) as items:
        raise KeyError(next(items))
    assert numbers.closed == 1


def test_break_ends_the_stream() -> None:
    numbers = Numbers()
    for number in to_iter(from_aiter(numbers)):
        if number == 100:
            break
    assert numbers.closed == 1


def test_block_without_reading_ends_the_stream() -> None:
    with to_iter(from_aiter(stall)):
        pass


@pytest.mark.parametrize("capacity", [1, 64])
def test_stopped_reader_stops_the_source(capacity: int) -> None:
    numbers = Numbers()
    with to_iter(from_aiter(numbers), capacity=capacity) as items:
        assert next(items) == 0
        wait_until_settled(items)
        assert numbers.made <= capacity + 1
        assert [next(items) for _ in range(500)] == list(range(1, 501))
        wait_until_settled(items)
        assert numbers.made <= 501 + capacity + 1


def test_full_buffer_fails_with_policy_error() -> None:
    with to_iter(rx.of(1, 2, 3), capacity=2, overflow=Overflow.ERROR) as items:
        wait_until_ended(items)
        assert [next(items), next(items)] == [1, 2]
        with pytest.raises(rxagents.BackpressureError, match="raise capacity"):
            next(items)


def test_dropped_items_are_counted() -> None:
    items = to_iter(rx.of(1, 2, 3), capacity=1, overflow=Overflow.DROP_OLDEST)
    assert items.dropped == 0
    with items:
        wait_until_ended(items)
        assert (list(items), items.dropped) == ([3], 2)


def test_policy_reduce_joins_text() -> None:
    tokens = rx.of(Token("a"), Token("b"), Token("c"))
    with to_iter(tokens, capacity=1, overflow=Overflow.REDUCE) as items:
        wait_until_ended(items)
        assert [item.content for item in items] == ["abc"]


async def test_running_loop_is_refused() -> None:
    items = to_iter(rx.of(1))
    with pytest.raises(rxagents.ConfigurationError, match="to_aiter"):
        next(items)
    with pytest.raises(rxagents.ConfigurationError, match="to_aiter"), items:
        pass


@pytest.mark.real_time
async def test_threads_of_asynchronous_code_may_read() -> None:
    items = to_iter(from_aiter(Numbers(3)))  # as a web framework does with a plain iterator
    assert await asyncio.to_thread(next, items) == 0
    assert await asyncio.to_thread(list, items) == [1, 2]


@pytest.mark.real_time
async def test_server_sees_the_close() -> None:
    async with ScriptedServer(Reply("Hello you", cut_after=2, ending=Ending.STALL)) as server:
        llm = rxagents.OpenAI("any", api_key="any", base_url=server.url)

        def read() -> str:
            with to_iter(llm.chat_stream("Hi")) as chunks:
                return next(chunks).delta

        assert await asyncio.to_thread(read) == "Hello"
        await server.disconnected()


def test_second_reader_at_a_time_is_refused() -> None:
    with to_iter(from_aiter(stall)) as items:
        items._worker._buffer.waiter = Future()  # as another thread that waits leaves it
        with pytest.raises(rxagents.ConfigurationError, match="Two threads"):
            next(items)


def test_close_ends_a_reader_on_another_thread() -> None:
    read: list[list[int]] = []
    items = to_iter(from_aiter(stall))
    reader = threading.Thread(target=lambda: read.append(list(items)))
    reader.start()
    items.close()
    reader.join(SECONDS)
    assert read == [[]]


def test_last_reference_may_end_on_the_streams_thread() -> None:
    collected = threading.Event()

    async def collect() -> AsyncIterator[int]:
        yield 1
        await release.wait()
        holder.clear()
        gc.collect()
        collected.set()
        await asyncio.Event().wait()

    release = asyncio.Event()
    holder = [to_iter(from_aiter(collect))]
    assert next(holder[0]) == 1
    (thread,) = streaming_threads()
    holder[0]._worker._loop.call_soon_threadsafe(release.set)
    assert collected.wait(SECONDS)
    thread.join(SECONDS)


def test_closed_iterator_is_not_entered_again() -> None:
    items = to_iter(rx.of(1))
    with items:
        pass
    with pytest.raises(rxagents.ConfigurationError, match="was closed"), items:
        pass


def test_stream_sees_the_readers_context() -> None:
    user: ContextVar[str] = ContextVar("user", default="nobody")
    user.set("ada")
    stream = rx.defer(lambda _: rx.of(user.get()))
    assert list(to_iter(stream)) == ["ada"]


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ({"source": [1]}, "reads an Observable, not list"),
        ({"source": rx.of(1), "capacity": 0}, "capacity"),
        ({"source": rx.of(1), "overflow": "block"}, "rxagents.Overflow"),
    ],
    ids=["source", "capacity", "overflow"],
)
def test_wrong_argument_is_refused(arguments: dict[str, Any], match: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=match):
        to_iter(**arguments)


ENDLESS = """
    import asyncio, signal, time
    import rxagents

    signal.signal(signal.SIGINT, signal.default_int_handler)  # the parent may ignore it

    async def endless():
        try:
            yield "started"
            while items._worker._buffer.waiter is None:
                await asyncio.sleep(0)
            print("waiting", flush=True)
            await asyncio.Event().wait()
        finally:
            print("closed", flush=True)

    items = rxagents.to_iter(rxagents.from_aiter(endless))
"""


def test_ctrl_c_ends_the_stream() -> None:
    script = textwrap.dedent(ENDLESS) + textwrap.dedent("""
        try:
            for item in items:
                print(item, flush=True)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """)
    command = [sys.executable, "-X", "dev", "-W", "error", "-c", script]
    with started(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"started\n"
        assert process.stdout.readline() == b"waiting\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == b"closed\ninterrupted\n"
    assert process.returncode == 0


def test_end_of_program_ends_the_stream() -> None:
    script = textwrap.dedent(ENDLESS) + "print(next(items), flush=True)\n"
    assert run_program(script, "-X", "dev", "-W", "error") == "started\nclosed\n"
