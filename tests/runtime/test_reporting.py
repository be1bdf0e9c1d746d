"""Reports of exceptions that no stream delivers, and calls on a loop's thread."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import AsyncIterator
from typing import Any

import pytest
import reactivex as rx
from observing import FAILURE, fail, settle
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import operators as ops
from rxagents.core.errors import RxAgentsError
from rxagents.runtime.bridge import Bridge
from rxagents.runtime.loop import run_on_loop
from rxagents.runtime.reporting import as_exception, report_harmless, report_unhandled
from rxagents.testing import Reply, ScriptedLLM


def ignore(_: Exception) -> None:
    """Do nothing, as the owner of a bridge."""


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The messages that loops' exception handlers get."""
    seen: list[str] = []
    handle = asyncio.BaseEventLoop.call_exception_handler

    def note(self: asyncio.BaseEventLoop, context: dict[str, Any]) -> None:
        seen.append(context["message"])
        handle(self, context)

    monkeypatch.setattr(asyncio.BaseEventLoop, "call_exception_handler", note)
    return seen


async def test_only_awaiting_code_gets_error(loop_errors: list[Exception]) -> None:
    loop, raised, error = asyncio.get_running_loop(), list[Exception](), OSError()
    report_unhandled(error, loop, Bridge(loop, raised.append))
    assert raised == [error]
    assert loop_errors == []


@pytest.mark.parametrize("left", [True, False], ids=["bridge closed", "no bridge"])
async def test_loop_gets_error_nobody_awaits(
    left: bool, loop_errors: list[Exception], messages: list[str]
) -> None:
    loop, error = asyncio.get_running_loop(), OSError()
    bridge = Bridge(loop, ignore)
    bridge.close()
    report_unhandled(error, loop, bridge if left else None)
    report_unhandled(error, loop, bridge if left else None, "another message")
    assert loop_errors == [error, error]
    assert messages == ["A stream's subscriber raised", "another message"]
    loop_errors.clear()


async def failing() -> AsyncIterator[int]:
    """Fail as a source: a function for `from_aiter`."""
    yield 1
    raise OSError("mine")


OVERLOADED = Reply(error=rxagents.OverloadedError("busy", provider="any"))

SOURCES = {
    "our source": rxagents.from_aiter(failing),
    "after operators": rxagents.from_aiter(failing).pipe(ops.timeout_idle(1), rx_ops.map(str)),
    "after another error": rxagents.from_aiter(failing).pipe(
        rx_ops.catch(lambda *_: rx.throw(KeyError()))
    ),
    "shared": rxagents.from_aiter(failing).pipe(ops.share_bounded()),
    "model": ScriptedLLM(OVERLOADED).chat_stream("Hi"),
    "agent": rxagents.FunctionAgent(ScriptedLLM(OVERLOADED)).run_stream("Hi"),
}


@pytest.mark.parametrize("source", SOURCES.values(), ids=SOURCES)
async def test_missing_on_error_is_reported_as_such(
    source: Observable[Any], loop_errors: list[Exception], messages: list[str]
) -> None:
    source.subscribe()
    await settle()
    assert len(loop_errors) == 1
    (message,) = messages
    assert (
        message == "A stream failed, and its subscription has no on_error: pass one to subscribe()"
    )
    loop_errors.clear()


async def test_failing_on_error_is_the_subscribers(
    loop_errors: list[Exception], messages: list[str]
) -> None:
    rxagents.from_aiter(failing).subscribe(on_error=fail)
    await settle()
    assert loop_errors == [FAILURE]
    assert messages == ["A stream's subscriber raised"]
    loop_errors.clear()


def test_virtual_time_raises_the_error() -> None:
    with pytest.raises(OSError, match="mine"):
        report_unhandled(OSError("mine"), None, None)


async def test_harmless_error_goes_to_the_loop(
    loop_errors: list[Exception], messages: list[str]
) -> None:
    error = OSError()
    report_harmless(error, "a message")
    assert loop_errors == [error]
    assert messages == ["a message"]
    loop_errors.clear()


def test_harmless_error_without_loop_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    error = OSError()
    report_harmless(error, "a message")
    (record,) = caplog.records
    assert (record.name, record.levelno, record.getMessage()) == (
        "rxagents",
        logging.WARNING,
        "a message",
    )
    assert record.exc_info is not None
    assert record.exc_info[1] is error


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt, StopIteration])
def test_base_exceptions_are_wrapped(kind: type[BaseException]) -> None:
    ended = kind()
    error = as_exception(ended)
    assert type(error) is RxAgentsError
    assert error.__cause__ is ended
    assert kind.__name__ in str(error)


async def test_call_on_own_loop_is_immediate() -> None:
    calls: list[int] = []
    run_on_loop(asyncio.get_running_loop(), calls.append, 1)
    assert calls == [1]


async def test_call_from_another_thread_is_moved() -> None:
    loop = asyncio.get_running_loop()
    called_on: asyncio.Future[int] = loop.create_future()

    def call() -> None:
        called_on.set_result(threading.get_ident())

    thread = threading.Thread(target=run_on_loop, args=(loop, call))
    thread.start()
    assert await called_on == threading.get_ident()
    thread.join()


def test_closed_loop_ignores_the_call() -> None:
    loop = asyncio.new_event_loop()
    loop.close()
    calls: list[int] = []
    run_on_loop(loop, calls.append, 1)
    assert calls == []
