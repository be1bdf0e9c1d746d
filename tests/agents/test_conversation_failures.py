"""A failed run leaves memory unchanged and lets the next one start, on every wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conversing import ASKS_WEATHER, WEATHER, Endless, conversing, said, weather
from msgspec.structs import replace
from observing import Seen, settle
from reactivex import operators as rx_ops
from remembering import conversation_in
from wires import SpokenWire, any_wire

import rxagents
from rxagents import ErrorEvent, StreamEvent, Token, Usage, to_aiter
from rxagents.testing import Ending, NoReply, Reply, StatusReply
from rxagents.testing.scripted_server import Script

FAULTS: dict[str, tuple[Script, type[Exception]]] = {
    "refused": (StatusReply(400, "no"), rxagents.BadRequestError),
    "no such model": (StatusReply(404, "no"), rxagents.NotFoundError),
    "overloaded": (StatusReply(503, "no"), rxagents.OverloadedError),
    "cut off": (Reply("a b c", cut_after=2, ending=Ending.CLOSE), rxagents.TruncatedStreamError),
    "reset": (Reply("a b c", cut_after=2, ending=Ending.RESET), rxagents.ProviderError),
    "broken": (
        Reply("a b", error=rxagents.ServerError("It broke.", status=500)),
        rxagents.ServerError,
    ),
}


def token_text(event: StreamEvent) -> str:
    return event.content if isinstance(event, Token) else ""


@any_wire
@pytest.mark.parametrize("fault", FAULTS)
async def test_failed_run_leaves_memory_unchanged(wire: SpokenWire, fault: str) -> None:
    reply, error = FAULTS[fault]
    async with conversing(wire, "Yes.", reply, "Yes.") as it:
        await it.agent.run("one")
        before = it.kept
        failing, following = (
            Seen(it.agent.run_stream("two")),
            Seen(it.agent.run_stream("three")),
        )
        await failing.over.wait()
        *_, event, raised = failing.notes
        assert isinstance(event, ErrorEvent)
        assert isinstance(raised, error)
        assert event.error.kind == type(raised).__name__
        assert it.kept == before
        await following.over.wait()
        assert following.notes[-1] == "end"
        assert said(it.last) == ["one", "Yes.", "three"]


@any_wire
async def test_failed_run_leaves_no_half_exchange(
    wire: SpokenWire,
) -> None:
    replies = (ASKS_WEATHER, StatusReply(400, "no"), "Yes.")
    async with conversing(wire, *replies, tools=[weather]) as it:
        with pytest.raises(rxagents.BadRequestError):
            await it.agent.run("How is Oslo?")
        assert said(it.last) == ["How is Oslo?", "cold in Oslo"]
        assert conversation_in(it.agent.memory).exchanges == ()
        await it.agent.run("hello")
        assert said(it.last) == ["hello"]


@any_wire
async def test_failed_tool_is_remembered(
    wire: SpokenWire,
) -> None:
    @rxagents.tool(name="weather")
    def broken(city: str) -> str:
        raise ZeroDivisionError(city)

    replies = (ASKS_WEATHER, "I cannot tell.", "Yes.")
    async with conversing(wire, *replies, tools=[broken]) as it:
        await it.agent.run("How is Oslo?")
        await it.agent.run("Really?")
        asked, result, answer, again = said(it.last)
        assert (asked, answer, again) == ("How is Oslo?", "I cannot tell.", "Really?")
        assert "ZeroDivisionError" in result


@any_wire
@pytest.mark.parametrize(
    ("limits", "replies", "error", "requests"),
    [
        ({"max_iterations": 2}, [ASKS_WEATHER], rxagents.MaxIterationsError, 2),
        ({"max_tool_calls": 1}, [ASKS_WEATHER], rxagents.RunLimitError, 2),
        (
            {"max_total_tokens": 5},
            [Reply(tool_calls=[WEATHER], usage=Usage(3, 4, 7))],
            rxagents.RunLimitError,
            1,
        ),
        ({"max_seconds": 0.05}, [NoReply(Ending.STALL)], rxagents.RunLimitError, 1),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
async def test_reached_limit_leaves_memory_unchanged(
    wire: SpokenWire,
    limits: dict[str, Any],
    replies: list[Any],
    error: type[Exception],
    requests: int,
) -> None:
    async with conversing(wire, "Yes.", *replies, tools=[weather], **limits) as it:
        await it.agent.run("one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await seen.over.wait()
        *_, event, raised = seen.notes
        assert isinstance(event, ErrorEvent)
        assert type(raised) is error
        assert it.kept == before
        assert len(it.server.requests) == 1 + requests


@any_wire
async def test_truncated_call_leaves_memory_unchanged(wire: SpokenWire) -> None:
    cut = replace(ASKS_WEATHER, cut_after=1, ending=Ending.CLOSE)
    async with conversing(wire, "Yes.", cut, tools=[weather]) as it:
        await it.agent.run("one")
        before = it.kept
        with pytest.raises(rxagents.TruncatedStreamError):
            await it.agent.run("two")
        assert it.kept == before


@any_wire
async def test_raising_consumer_leaves_memory_unchanged(
    wire: SpokenWire, loop_errors: list[Exception]
) -> None:
    async with conversing(wire, "Yes.") as it:
        await it.agent.run("one")

        def fail(event: StreamEvent) -> None:
            raise ZeroDivisionError(event.type)

        it.agent.run_stream("two").subscribe(fail)
        following = Seen(it.agent.run_stream("three"))
        await following.over.wait()
        assert said(it.last) == ["one", "Yes.", "three"]
        assert it.questions == ["one", "three"]
        assert [type(error) for error in loop_errors] == [ZeroDivisionError]
        loop_errors.clear()


@any_wire
async def test_raising_reader_leaves_memory_unchanged(wire: SpokenWire) -> None:
    async with conversing(wire, Reply("a b c d e f g")) as it:
        with pytest.raises(ZeroDivisionError):
            async with to_aiter(it.agent.run_stream("one"), capacity=1) as events:
                async for _ in events:
                    raise ZeroDivisionError
        assert "one" not in it.kept
        await it.agent.run("two")
        assert said(it.last) == ["two"]


@any_wire
async def test_cancelled_run_leaves_memory_unchanged(wire: SpokenWire) -> None:
    tool = Endless()
    async with conversing(wire, ASKS_WEATHER, "Yes.", tools=[tool.tool]) as it:
        task = asyncio.create_task(it.agent.run("How is Oslo?"))
        await tool.runs.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert tool.cancelled.is_set()
        await it.agent.run("hello")
        assert said(it.last) == ["hello"]


@any_wire
async def test_retried_run_is_remembered_once(wire: SpokenWire) -> None:
    async with conversing(wire, StatusReply(400, "no"), "Yes.") as it:
        seen = Seen(it.agent.run_stream("one").pipe(rx_ops.retry(2)))
        await seen.over.wait()
        assert "".join(map(token_text, seen.notes[:-1])) == "Yes."
        await settle()
        assert len(conversation_in(it.agent.memory).exchanges) == 1
