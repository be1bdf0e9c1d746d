"""A server's keys, cookies and connections stay with that server."""

from __future__ import annotations

import asyncio

import pytest
from faults import head, whole
from faulty_server import Act, Cue, FaultyServer
from wires import KEY, SpokenWire, any_wire

import rxagents


def answer(wire: SpokenWire, text: str) -> bytes:
    body = wire.text(text) + wire.finish() + wire.done()
    kind = b"content-type: " + wire.content_type
    return head(200, kind, b"content-length: %d" % len(body)) + body


@any_wire
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_target_receives_nothing(wire: SpokenWire, status: int) -> None:
    async with FaultyServer([answer(wire, "taken")]) as target:
        where = b"location: " + target.url.encode()
        async with FaultyServer(whole(status, b"", where)) as server:
            async with wire.model(server.url) as llm:
                with pytest.raises(rxagents.RedirectError, match=r"127\.0\.0\.1"):
                    await llm.chat("hi")
            assert any(KEY.encode() in head for head, _ in server.requests)
        assert target.requests == []


@any_wire
async def test_cookies_are_not_kept(wire: SpokenWire) -> None:
    body = wire.text("hi") + wire.finish() + wire.done()
    length = b"content-length: %d" % len(body)
    sets = head(200, b"content-type: " + wire.content_type, length, b"set-cookie: a=b; path=/")
    async with FaultyServer([sets + body]) as server, wire.model(server.url) as llm:
        for _ in range(2):
            await llm.chat("hi")
        assert not any(b"cookie" in head.lower() for head, _ in server.requests)


@any_wire
@pytest.mark.parametrize("end", [Cue.FIN, Cue.RESET])
async def test_stale_connection_costs_no_retry(wire: SpokenWire, end: Cue) -> None:
    acts = ([answer(wire, "first")], [end], [answer(wire, "second")])
    async with FaultyServer(*acts) as server:
        async with wire.model(server.url, max_retries=0) as llm:
            assert (await llm.chat("hi")).content == "first"
            second = await llm.chat("hi")
        assert second.content == "second"
        (stale,) = second.metadata["failed_attempts"]
        assert stale.kind == "StaleConnectionError"
        assert len(server.requests) == 3


@any_wire
async def test_stale_connections_do_not_add_retries(
    wire: SpokenWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxagents.providers.retry.backoff", lambda attempt: 0.001)
    async with FaultyServer([answer(wire, "first")], [Cue.FIN]) as server:
        async with wire.model(server.url, max_retries=2) as llm:
            await llm.chat("hi")
            with pytest.raises(rxagents.TransportError) as caught:
                await llm.chat("hi")
        assert len(server.requests) == 1 + 1 + 3
        assert len(caught.value.failed_attempts) == 3


@any_wire
async def test_metadata_lists_failed_attempts(
    wire: SpokenWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxagents.providers.retry.backoff", lambda attempt: 0.001)
    refused = whole(
        429, b'{"error": {"message": "Not so fast."}}', b"x-request-id: r1", b"connection: close"
    )
    async with FaultyServer(refused, [Cue.FIN], [answer(wire, "hi")]) as server:
        async with wire.model(server.url) as llm:
            response = await llm.chat("hi")
    first, second = response.metadata["failed_attempts"]
    assert (first.kind, first.status, first.request_id) == ("RateLimitError", 429, "r1")
    assert second.kind == "TransportError"


@any_wire
@pytest.mark.parametrize("waiting", [True, False], ids=["for headers", "for text"])
async def test_aclose_fails_running_streams(wire: SpokenWire, waiting: bool) -> None:
    kind = b"content-type: " + wire.content_type
    begun: Act = [head(200, kind, b"transfer-encoding: chunked"), Cue.STALL]
    silent: Act = [Cue.STALL]
    async with FaultyServer(silent if waiting else begun) as server:
        llm = wire.model(server.url)
        stream = asyncio.ensure_future(llm.chat("hi"))
        await server.received.wait()
        if not waiting:
            await asyncio.sleep(0.02)  # until the headers are read
        await llm.aclose()
        with pytest.raises(rxagents.TransportError, match="aclose"):
            await asyncio.wait_for(stream, 5)
        await asyncio.wait_for(server.all_left(), 5)
        assert len(server.requests) == 1
