"""The rules of every stream, over real HTTP (docs/how_it_works.md lists them)."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from contextvars import ContextVar
from typing import Any

import aiohttp
import pytest
import reactivex as rx
from observing import Seen, settle
from reactivex import operators as rx_ops
from reactivex.abc import DisposableBase
from reactivex.disposable import SerialDisposable

import rxagents
from rxagents import OpenAI, StreamChunk
from rxagents import operators as ops
from rxagents.testing import Ending, Framing, RawReply, Reply, ScriptedServer, StatusReply

LONG = Reply("word " * 50, interval=0.001)
STALLED = Reply("one two three", ending=Ending.STALL, cut_after=3)


def deltas(seen: Seen) -> list[str]:
    return [chunk.delta for chunk in seen.items]


def model(server: ScriptedServer) -> OpenAI:
    return OpenAI("scripted", base_url=server.url, max_retries=0)


# Rule 1: the grammar, on the loop's thread.


async def test_success_is_chunks_then_completion() -> None:
    async with ScriptedServer("Hello there") as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await seen.over.wait()
    assert (deltas(seen), seen.completed) == (["Hello", " there", ""], True)
    assert seen.threads == {threading.get_ident()}


async def test_failure_is_chunks_then_error() -> None:
    reply = Reply("one two", error=rxagents.ServerError("broken", status=500))
    async with ScriptedServer(reply) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await seen.over.wait()
    assert deltas(seen) == ["one", " two"]
    assert isinstance(seen.error, rxagents.ServerError)


@pytest.mark.parametrize("body", [b"", b'data: {"choices":[],"usage":{"prompt_tokens":1}}\n\n'])
async def test_done_without_choice_is_truncated(body: bytes) -> None:
    async with ScriptedServer(RawReply([body + b"data: [DONE]\n\n"])) as server:
        async with model(server) as llm:
            seen = Seen(llm.chat_stream("hi"))
            await seen.over.wait()
    assert isinstance(seen.error, rxagents.TruncatedStreamError)


async def test_callbacks_run_in_subscriber_context() -> None:
    name: ContextVar[str] = ContextVar("name", default="nobody")
    names: list[str] = []

    async def subscribe_as(llm: OpenAI, who: str) -> None:
        name.set(who)
        seen = Seen(llm.chat_stream("hi"), lambda _: names.append(name.get()))
        await seen.over.wait()

    async with ScriptedServer(Reply("a b", interval=0.001)) as server, model(server) as llm:
        for who in ("first", "second"):  # over one connection
            await asyncio.create_task(subscribe_as(llm, who))
        assert server.connections == 1
    assert names == ["first"] * 3 + ["second"] * 3


# Rule 2: cold, independent, silent inside `subscribe`.


async def test_each_subscription_sends_a_request() -> None:
    async with ScriptedServer("first", "second") as server, model(server) as llm:
        stream = llm.chat_stream("hi").pipe(ops.collect())
        assert not server.requests
        answers = [await rxagents_last(stream) for _ in range(2)]
        assert [answer.content for answer in answers] == ["first", "second"]
        assert len(server.requests) == 2


async def rxagents_last(stream: rx.Observable[Any]) -> Any:
    async with rxagents.to_aiter(stream) as items:
        return [item async for item in items][-1]


async def test_subscribe_emits_nothing_itself() -> None:
    async with ScriptedServer("x") as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        assert seen.notes == []
        await seen.over.wait()


def test_missing_loop_error_names_run() -> None:
    stream = OpenAI("m", base_url="http://127.0.0.1:9").chat_stream("hi")
    errors: list[Exception] = []
    stream.subscribe(on_error=errors.append)
    stream.pipe(rx_ops.map(repr)).subscribe(on_error=errors.append)
    assert [type(error) for error in errors] == [rxagents.ConfigurationError] * 2
    assert "rxagents.run" in str(errors[0])
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        stream.subscribe(lambda chunk: None)


# Rule 3: one terminal.


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (StatusReply(500, "no"), rxagents.ServerError),
        (Reply("a b", ending=Ending.CLOSE, cut_after=2), rxagents.TruncatedStreamError),
        (Reply("a b", ending=Ending.RESET, cut_after=2), rxagents.TruncatedStreamError),
        (RawReply([b"data: {\n\n"]), rxagents.StreamDecodeError),
        (RawReply([b"<html>"], "text/html"), rxagents.ResponseError),
    ],
)
async def test_failure_has_one_terminal(reply: Any, error: type[Exception]) -> None:
    async with ScriptedServer(reply) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await seen.over.wait()
        await settle()
    assert type(seen.error) is error  # `Seen` fails if anything follows


async def test_text_before_reset_is_delivered() -> None:
    reply = Reply("one two three", ending=Ending.RESET, cut_after=3)
    async with ScriptedServer(reply) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await seen.over.wait()
    assert deltas(seen) == ["one", " two"]
    assert seen.error is not None


EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"%s"}}]}\n\n'


async def read_raw(*pieces: bytes) -> tuple[list[str], Exception | None]:
    """Stream from a server that writes each piece as a packet, and then closes."""

    served = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.005)  # so that each is a packet
            writer.close()
            await writer.wait_closed()
        served.set()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with OpenAI("raw", base_url=url, timeout=5, max_retries=0) as llm:
            seen = Seen(llm.chat_stream("hi"))
            await seen.over.wait()
        await served.wait()
    return deltas(seen), seen.error


HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def chunked(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


@pytest.mark.parametrize("position", [1, 20, 40, len(EVENT) - 3])
async def test_cut_inside_event_is_truncation(position: int) -> None:
    cut = (EVENT % b"two")[:position]
    notes, error = await read_raw(HEAD, chunked(EVENT % b"one"), chunked(cut))
    assert notes == ["one"]
    assert type(error) is rxagents.TruncatedStreamError


@pytest.mark.parametrize(
    ("framing", "ending", "why"),
    [
        (Framing.CHUNKED, Ending.FIN, "the connection was closed before the last chunk"),
        (Framing.CHUNKED, Ending.RESET, "the connection was reset"),
        (Framing.LENGTH, Ending.FIN, "the body is shorter than its content-length"),
        (Framing.LENGTH, Ending.RESET, "the connection was reset"),
        (Framing.CLOSE, Ending.FIN, "without a finish reason or end marker"),
        (Framing.CHUNKED, Ending.CLOSE, "without a finish reason or end marker"),
    ],
)
async def test_truncation_says_why(framing: Framing, ending: Ending, why: str) -> None:
    reply = Reply("one two", framing=framing, ending=ending, cut_after=2)
    async with ScriptedServer(reply) as server, model(server) as llm:
        with pytest.raises(rxagents.TruncatedStreamError, match=why) as caught:
            await llm.chat("hi")
    assert caught.value.retryable
    assert "Error" not in str(caught.value)


async def test_text_beside_broken_encoding_is_delivered() -> None:
    broken = chunked(EVENT % b"two") + b"no size\r\n"
    notes, error = await read_raw(HEAD, chunked(EVENT % b"one"), broken)
    assert notes == ["one", "two"]
    assert isinstance(error, rxagents.ProtocolError | rxagents.TruncatedStreamError)


# Rule 4: complete is what the provider calls complete.


async def test_done_completes_before_socket_closes() -> None:
    pieces = [b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n']
    reply = RawReply(pieces, ending=Ending.STALL)
    async with ScriptedServer(reply) as server, model(server) as llm:
        response = await llm.chat("hi")
        assert (response.content, response.finish_reason) == ("x", "")
        await server.disconnected()


async def test_finish_reason_alone_completes() -> None:
    async with ScriptedServer(Reply("x", ending=Ending.CLOSE)) as server, model(server) as llm:
        assert (await llm.chat("hi")).finish_reason == "stop"


async def test_turns_share_one_connection() -> None:
    async with ScriptedServer("x") as server, model(server) as llm:
        for _ in range(3):
            await llm.chat("hi")
        assert len({request.client_port for request in server.requests}) == 1


async def test_late_end_of_body_keeps_connection() -> None:
    body = b'data: {"choices":[{"index":0,"delta":{"content":"x"}}]}\n\ndata: [DONE]\n\n'
    late = RawReply([body, b": the end\n\n"], interval=0.02)
    async with ScriptedServer(late, Reply("y", delay=0.05), "z") as server:
        async with model(server) as llm:
            for _ in range(3):
                await llm.chat("hi")
        first, _, third = [request.client_port for request in server.requests]
        assert third == first
        assert server.disconnects == 0


# Rule 5: dispose.


@pytest.mark.parametrize("reply", [LONG, STALLED, Reply("late", delay=60)])
async def test_dispose_silences_and_closes(reply: Reply) -> None:
    async with ScriptedServer(reply) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await (server.received() if reply.delay else seen.first.wait())
        before = list(seen.notes)
        seen.subscription.dispose()
        seen.subscription.dispose()
        await asyncio.wait_for(server.disconnected(), 5)
        assert seen.notes == before


ONE = b'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\n'


@pytest.mark.parametrize(
    "rest", [b'data: {"error":{"message":"It broke."}}\n\n', b"data: {oops\n\n"]
)
@pytest.mark.parametrize("how", ["dispose", "take"])
@pytest.mark.parametrize("own_session", [True, False])
async def test_error_after_dispose_is_dropped(rest: bytes, how: str, own_session: bool) -> None:
    async with ScriptedServer(RawReply([ONE + ONE + rest])) as server:
        session = None if own_session else aiohttp.ClientSession()
        llm = OpenAI("m", base_url=server.url, max_retries=0, session=session)
        stream = llm.chat_stream("hi")
        if how == "take":
            stream = stream.pipe(rx_ops.take(1))
        stop = SerialDisposable()

        seen = Seen(stream, lambda _: stop.dispose() if how == "dispose" else None)
        stop.disposable = seen.subscription
        await seen.first.wait()
        await llm.aclose()
        if session is not None:
            await session.close()
        await server.connections_closed()
    assert (deltas(seen), seen.error) == (["one"], None)
    assert seen.completed == (how == "take")


@pytest.mark.parametrize("at", [1, 2])
async def test_cancelled_error_in_callback_ends_stream(
    at: int, loop_errors: list[BaseException]
) -> None:
    async with ScriptedServer(Reply("one two three", interval=0.01)) as server:
        async with model(server) as llm:

            def cancel(chunk: StreamChunk) -> None:
                if chunk.index == at - 1:
                    raise asyncio.CancelledError

            seen = Seen(llm.chat_stream("hi"), cancel)
            await asyncio.wait_for(server.disconnected(), 5)
        assert deltas(seen) == ["one", " two"][:at]
        assert not seen.over.is_set()
    (reported,) = loop_errors
    assert isinstance(reported.__cause__, asyncio.CancelledError)
    loop_errors.clear()


async def test_dispose_works_from_another_thread() -> None:
    async with ScriptedServer(STALLED) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi"))
        await seen.first.wait()
        await asyncio.to_thread(seen.subscription.dispose)
        await asyncio.wait_for(server.disconnected(), 5)


async def test_early_and_late_dispose_do_nothing() -> None:
    async with ScriptedServer("x") as server, model(server) as llm:
        early = Seen(llm.chat_stream("hi"))
        early.subscription.dispose()
        await asyncio.sleep(0)
        assert (early.notes, server.requests) == ([], [])
        seen = Seen(llm.chat_stream("hi"))
        await seen.over.wait()
        seen.subscription.dispose()
        assert seen.completed


def test_dispose_after_closed_loop() -> None:
    subscriptions: list[DisposableBase] = []

    async def leave() -> None:
        async with ScriptedServer("x") as server, model(server) as llm:
            seen = Seen(llm.chat_stream("hi"))
            subscriptions.append(seen.subscription)
            await seen.over.wait()

    asyncio.run(leave())
    subscriptions[0].dispose()


async def test_take_closes_the_connection() -> None:
    async with ScriptedServer(STALLED) as server, model(server) as llm:
        seen = Seen(llm.chat_stream("hi").pipe(rx_ops.take(1)))
        await asyncio.wait_for(server.disconnected(), 5)
        assert (deltas(seen), seen.completed) == (["one"], True)


async def test_to_aiter_leaves_nothing_open() -> None:
    async with ScriptedServer(STALLED) as server, model(server) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
            assert (await anext(chunks)).delta == "one"
        mine = {task.get_coro().__qualname__ for task in asyncio.all_tasks()}  # type: ignore[union-attr]  # all are coroutines
        assert not any("produce" in name or "_Stream" in name for name in mine)
        await asyncio.wait_for(server.disconnected(), 5)


async def test_cancelled_task_fails_the_stream() -> None:
    async with ScriptedServer(STALLED) as server, model(server) as llm:
        before = asyncio.all_tasks()
        seen = Seen(llm.chat_stream("hi"))
        (task,) = asyncio.all_tasks() - before
        await seen.first.wait()
        task.cancel()
        await seen.over.wait()
        assert isinstance(seen.error, rxagents.StreamCancelledError)


# Rule 6: a consumer's exception.


@pytest.mark.parametrize("resilient", [False, True])
async def test_consumer_exception_is_reported_once(
    resilient: bool, loop_errors: list[Exception]
) -> None:
    async with ScriptedServer(STALLED) as server, model(server) as llm:

        def fail(chunk: StreamChunk) -> None:
            raise KeyError("mine")

        stream = llm.chat_stream("hi").pipe(rx_ops.map(lambda chunk: chunk))
        if resilient:
            stream = stream.pipe(rx_ops.retry(3), rx_ops.catch(rx.empty()))
        seen = Seen(stream, fail)
        await asyncio.wait_for(server.disconnected(), 5)
        assert deltas(seen) == ["one"]
        assert not seen.over.is_set()
        assert len(server.requests) == 1
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


async def test_on_completed_exception_is_reported_once(loop_errors: list[Exception]) -> None:
    async with ScriptedServer("x") as server, model(server) as llm:
        done = asyncio.Event()

        def fail() -> None:
            done.set()
            raise KeyError("mine")

        llm.chat_stream("hi").subscribe(lambda chunk: None, on_completed=fail)
        await done.wait()
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


async def test_to_aiter_raises_operator_exception() -> None:
    def broken(source: rx.Observable[StreamChunk]) -> rx.Observable[StreamChunk]:
        def subscribe(observer: Any, scheduler: Any = None) -> DisposableBase:
            def on_next(chunk: StreamChunk) -> None:
                raise KeyError("mine")

            return source.subscribe(on_next, observer.on_error, observer.on_completed)

        return rx.Observable(subscribe)

    async with ScriptedServer(STALLED) as server, model(server) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi").pipe(broken)) as chunks:
            with pytest.raises(KeyError):
                await anext(chunks)
        await asyncio.wait_for(server.disconnected(), 5)


# Rule 10: connections.


@pytest.mark.real_time  # the kernel may ask a full listener again, in its own time
async def test_connections_are_not_limited() -> None:
    together = 150  # more than the 100 connections aiohttp allows by default
    reply = Reply("x", ending=Ending.STALL, cut_after=2)
    async with ScriptedServer(reply) as server, model(server) as llm:
        subscribers = [Seen(llm.chat_stream("hi")) for _ in range(together)]
        await asyncio.gather(*(each.first.wait() for each in subscribers))
        for each in subscribers:
            each.subscription.dispose()
        await asyncio.wait_for(server.disconnected(together), 5)
