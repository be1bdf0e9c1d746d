"""An open stream keeps only what it still needs: a process may hold thousands of them."""

from __future__ import annotations

import gc

import pytest
from aiohttp import ClientRequest, RequestInfo
from aiohttp.http import HttpResponseParser
from faults import chunk, head
from faulty_server import Act, Cue, FaultyServer
from wires import WIRES

import rxagents
from rxagents import Message
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.runtime.metering.attempt import ModelRequest
from rxagents.transport.connection import Connection

WIRE = WIRES[0]
HEAD = head(200, b"content-type: " + WIRE.content_type, b"transfer-encoding: chunked")
BEGUN: Act = [HEAD, Cue.PAUSE, chunk(WIRE.text("a")), Cue.PAUSE]


def alive(*kinds: type) -> list[object]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, kinds)]


async def test_open_stream_drops_parser_and_request() -> None:
    kinds = HttpResponseParser, ClientRequest, RequestInfo
    before, connections = len(alive(*kinds)), len(alive(Connection))
    async with FaultyServer([*BEGUN, Cue.STALL]) as server, WIRE.model(server.url) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
            await anext(chunks)
            assert len(alive(*kinds)) == before
            assert len(alive(Connection)) == connections + 1
        await server.all_left()


async def test_begun_answer_drops_body_and_messages() -> None:
    kinds = Message, ModelRequest
    before = len(alive(*kinds))
    async with FaultyServer([*BEGUN, Cue.STALL]) as server, WIRE.model(server.url) as llm:
        async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
            await server.received.wait()
            assert len(alive(*kinds)) > before
            await anext(chunks)
            requests = [
                thing for thing in alive(PreparedRequest) if isinstance(thing, PreparedRequest)
            ]
            assert [request.body for request in requests] == [None]
            assert len(alive(*kinds)) == before
        await server.all_left()


def with_extension(data: bytes) -> bytes:
    return chunk(data).replace(b"\r\n", b";name=value\r\n", 1)


async def test_body_with_chunk_extensions_is_read_to_its_end() -> None:
    end = chunk(WIRE.finish()) + chunk(WIRE.done()) + b"0\r\nname: value\r\n\r\n"
    rest: Act = [with_extension(WIRE.text("b")), Cue.PAUSE, with_extension(WIRE.text("c")), end]
    async with FaultyServer([*BEGUN, *rest]) as server, WIRE.model(server.url) as llm:
        for _ in range(2):
            assert (await llm.chat("hi")).content == "abc"
        assert server.accepted == 1


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        (b"4;name\r\nab", rxagents.TruncatedStreamError),
        (b"4;name\r\nabcd_\r\n", rxagents.ProtocolError),
    ],
)
async def test_faults_after_chunk_extension_are_typed(
    rest: bytes, error: type[rxagents.ProviderError]
) -> None:
    act: Act = [*BEGUN, rest, Cue.PAUSE, Cue.FIN]
    text = ""
    async with FaultyServer(act) as server, WIRE.model(server.url, max_retries=0) as llm:
        with pytest.raises(error):
            async with rxagents.to_aiter(llm.chat_stream("hi")) as chunks:
                async for item in chunks:
                    text += item.delta
        await server.all_left()
    assert text == "a"
