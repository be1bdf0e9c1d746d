"""A release of aiohttp that changes what `Connection` uses costs CPU, and no text."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import aiohttp
import pytest
from wires import SpokenWire, any_wire

from rxagents.testing import ScriptedServer
from rxagents.transport import self_check
from rxagents.transport.connection import Connection


@pytest.fixture(autouse=True)
def unchecked() -> Iterator[None]:
    self_check.is_supported.cache_clear()
    yield
    self_check.is_supported.cache_clear()


async def test_installed_aiohttp_is_supported() -> None:
    self_check._check()
    assert self_check.is_supported()


def without_buffer(patch: pytest.MonkeyPatch) -> None:
    """Let aiohttp's reader keep its bytes elsewhere."""

    def read_nothing(self: Any, n: int) -> bytes:
        return b""

    patch.setattr(aiohttp.StreamReader, "_read_nowait", read_nothing)


def without_message(patch: pytest.MonkeyPatch) -> None:
    """Let aiohttp's handler deliver responses in another way."""
    patch.setattr(Connection, "feed_data", lambda self, data: None, raising=True)


def without_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Connection, "pause_reading", lambda self: None)


def without_parser(patch: pytest.MonkeyPatch) -> None:
    def no_attribute(*_: object) -> None:
        raise AttributeError("_parser")

    patch.setattr("rxagents.transport.connection.take_body", no_attribute)


@pytest.mark.parametrize("change", [without_buffer, without_message, without_pause, without_parser])
async def test_changed_aiohttp_is_noticed(
    change: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    change(monkeypatch)
    with caplog.at_level(logging.WARNING, "rxagents"):
        assert not self_check.is_supported()
        assert not self_check.is_supported()
    (record,) = caplog.records
    assert f"aiohttp {aiohttp.__version__} differs" in record.getMessage()


@any_wire
async def test_streams_work_with_aiohttps_own_connections(
    wire: SpokenWire, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_parser(monkeypatch)
    async with ScriptedServer("Hello there.") as server, wire.model(server.url) as llm:
        for _ in range(2):
            assert (await llm.chat("hi")).content == "Hello there."
        assert server.connections == 1
