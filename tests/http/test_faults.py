"""Every fault over a real socket: its text, one terminal, and no open connection."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from typing import Any

import aiohttp
import pytest
from aiohttp.http import HttpResponseParser
from aiohttp.http_parser import HttpResponseParserPy
from faults import Fault, faults
from faulty_server import FaultyServer
from matrix import chosen, only_full
from observing import Seen
from wires import KEY, WIRES, SpokenWire

import rxagents
from rxagents import Timeouts

LIMITS = Timeouts(connect=2, first=0.3, idle=0.3)
SECONDS = 5
ELSEWHERE = "http://127.0.0.1:1/elsewhere"


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxagents.providers.retry.backoff", lambda attempt: 0.001)


def _matrix() -> list[Any]:
    """Return each fault on one wire, and on the others for `--full`."""
    on_wires: dict[str, list[SpokenWire]] = defaultdict(list)
    matrix = [(wire, fault) for wire in WIRES for fault in faults(wire, ELSEWHERE)]
    for wire, fault in matrix:
        on_wires[fault.name].append(wire)
    return [
        pytest.param(
            wire,
            fault,
            id=f"{wire.name}-{fault.name}",
            marks=() if wire is chosen(fault.name, on_wires[fault.name]) else only_full,
        )
        for wire, fault in matrix
    ]


@pytest.mark.parametrize(("wire", "fault"), _matrix())
async def test_fault_has_its_outcome(wire: SpokenWire, fault: Fault) -> None:
    await check(wire, fault)


def _of_any_session() -> list[Any]:
    """Return the faults that any session shows: every fourth one, and the others for `--full`."""
    shown = [
        fault
        for fault in faults(WIRES[0], ELSEWHERE)
        if not fault.ours_alone and _is_noticed(fault)
    ]
    return [
        pytest.param(fault, id=fault.name, marks=() if n % 4 == 0 else only_full)
        for n, fault in enumerate(shown)
    ]


def _is_noticed(fault: Fault) -> bool:
    """Return whether aiohttp notices it: its Python parser waits for the end of the headers."""
    is_invalid = fault.name.startswith("not valid HTTP")
    return HttpResponseParser is not HttpResponseParserPy or not is_invalid


@pytest.mark.parametrize("fault", _of_any_session())
async def test_fault_over_own_session(fault: Fault) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        await check(WIRES[0], fault, session=session)


@pytest.mark.parametrize(
    "name",
    ["bad chunk size", "negative chunk size", "chunk without its end", "closed after text"],
)
@pytest.mark.parametrize("is_own", [True, False])
async def test_broken_encoding_with_pure_python_parser(
    name: str, is_own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", HttpResponseParserPy)
    (fault,) = (fault for fault in faults(WIRES[0], ELSEWHERE) if fault.name == name)
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        await check(WIRES[0], fault, **({"session": session} if is_own else {}))


INVALID = [fault for fault in faults(WIRES[0], ELSEWHERE) if "not valid HTTP" in fault.name]


@pytest.mark.parametrize("fault", INVALID, ids=[fault.name for fault in INVALID])
async def test_invalid_http_with_pure_python_parser(
    fault: Fault, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", HttpResponseParserPy)
    await check(WIRES[0], fault)


async def test_two_lengths_with_pure_python_parser(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session of the caller's has connections of aiohttp's."""
    monkeypatch.setattr("aiohttp.client_proto.HttpResponseParser", HttpResponseParserPy)
    (fault,) = (fault for fault in INVALID if fault.name == "not valid HTTP: two lengths")
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        await check(WIRES[0], fault, session=session)


async def check(wire: SpokenWire, fault: Fault, **arguments: Any) -> None:
    async with FaultyServer(*fault.acts) as server:
        arguments |= {"timeout": LIMITS, "max_retries": 1, **fault.arguments}
        async with wire.model(server.url, **arguments) as llm:
            seen = Seen(llm.chat_stream("hi"))
            await asyncio.wait_for(seen.over.wait(), SECONDS)
        if "session" in arguments:
            await arguments["session"].close()
        await asyncio.wait_for(server.all_left(), SECONDS)
        assert len(server.requests) == fault.requests
        assert not any(b"cookie" in head.lower() for head, _ in server.requests)
    error = seen.error
    assert "".join(chunk.delta for chunk in seen.items) == fault.text
    if fault.error is None:
        assert seen.completed
        return
    assert isinstance(error, fault.error), repr(error)
    assert isinstance(error, rxagents.ProviderError)
    assert len(error.failed_attempts) == fault.requests - 1
    errors = [error, *error.failed_attempts, error.__cause__, error.__context__]
    assert KEY not in "".join(f"{one!r} {one} {vars(one)}" for one in errors if one is not None)


def test_fault_names_are_unique() -> None:
    names = [fault.name for fault in faults(WIRES[0], ELSEWHERE)]
    assert len(names) == len(set(names)) >= 60
