"""Queued runs, and dispose in every phase of a run, over HTTP, on every wire."""

from __future__ import annotations

import asyncio

from conversing import ASKS_WEATHER, Conversing, Endless, conversing, said, weather
from observing import Seen, in_thread, settle
from reactivex import abc
from wires import SpokenWire, any_wire

import rxagents
from rxagents import Answer, Memory, StreamEvent, Token, ToolEnd, TurnStart
from rxagents.testing import Ending, NoReply, Reply

STALLED = NoReply(Ending.STALL)
BEGUN = Reply("a b c d", cut_after=3, ending=Ending.STALL)


class UntilEvent:
    """Subscribes, and disposes at the first event of a kind."""

    def __init__(self, it: Conversing, text: str, kind: type) -> None:
        self.over = asyncio.Event()
        self._kind = kind
        self._subscription: abc.DisposableBase = it.agent.run_stream(text).subscribe(self._take)

    def _take(self, event: StreamEvent) -> None:
        assert not self.over.is_set(), "nothing comes after dispose"
        if isinstance(event, self._kind):
            self._subscription.dispose()
            self.over.set()


async def assert_unchanged(it: Conversing, before: str, *earlier: str) -> None:
    """Check that memory is unchanged and that the next run starts from it."""
    assert it.kept == before
    await asyncio.wait_for(it.agent.run("next"), 10)
    assert said(it.last) == [*earlier, "next"]


@any_wire
async def test_runs_of_one_conversation_queue(wire: SpokenWire) -> None:
    async with conversing(wire, STALLED, "Yes.") as it:
        seen = [Seen(it.agent.run_stream(text)) for text in ("one", "two", "three")]
        await it.server.received()
        await settle()
        assert len(it.server.requests) == 1
        seen[0].subscription.dispose()
        for each in seen[1:]:
            await each.over.wait()
        assert [said(request) for request in it.server.requests] == [
            ["one"],
            ["two"],
            ["two", "Yes.", "three"],
        ]


@any_wire
async def test_runs_of_two_conversations_overlap(wire: SpokenWire) -> None:
    async with conversing(wire, STALLED, "Yes.") as it:
        stalled = Seen(it.agent.run_stream("one", "a"))
        await it.server.received()
        assert (await it.agent.run("two", "b")).output == "Yes."
        assert [type(note) for note in stalled.notes] == [TurnStart]
        stalled.subscription.dispose()


@any_wire
async def test_dispose_while_queued(wire: SpokenWire) -> None:
    async with conversing(wire, STALLED, "Yes.") as it:
        before = it.kept
        first, second = Seen(it.agent.run_stream("one")), Seen(it.agent.run_stream("two"))
        await it.server.received()
        second.subscription.dispose()
        await settle()
        first.subscription.dispose()
        await assert_unchanged(it, before)
        assert len(it.server.requests) == 2
        assert second.notes == []


@any_wire
async def test_dispose_before_the_start(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        before = it.kept
        seen = Seen(it.agent.run_stream("one"))
        seen.subscription.dispose()
        await assert_unchanged(it, before)
        assert len(it.server.requests) == 1
        assert seen.notes == []


@any_wire
async def test_dispose_during_the_summary(wire: SpokenWire) -> None:
    memory = Memory("summarize", max_messages=1)
    async with conversing(wire, "Yes.", BEGUN, "They talked.", "Yes.", memory=memory) as it:
        await it.agent.run("one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await it.server.received(2)
        await settle()
        seen.subscription.dispose()
        await it.server.disconnected()
        assert seen.notes == []
        shown = "Summary of our conversation so far:\nThey talked."
        await assert_unchanged(it, before, shown)


@any_wire
async def test_dispose_before_the_first_byte(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.", STALLED, "Yes.") as it:
        await it.agent.run("one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await it.server.received(2)
        seen.subscription.dispose()
        await it.server.disconnected()
        assert [type(note) for note in seen.notes] == [TurnStart]
        await assert_unchanged(it, before, "one", "Yes.")


@any_wire
async def test_dispose_while_the_answer_streams(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.", BEGUN, "Yes.") as it:
        await it.agent.run("one")
        before = it.kept
        await UntilEvent(it, "two", Token).over.wait()
        await it.server.disconnected()
        await assert_unchanged(it, before, "one", "Yes.")


@any_wire
async def test_dispose_cancels_the_running_tool(wire: SpokenWire) -> None:
    tool = Endless()
    replies = ("Yes.", ASKS_WEATHER, "Yes.")
    async with conversing(wire, *replies, tools=[tool.tool]) as it:
        await it.agent.run("one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await tool.runs.wait()
        seen.subscription.dispose()
        await tool.cancelled.wait()
        await assert_unchanged(it, before, "one", "Yes.")


@any_wire
async def test_dispose_between_turns(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.", ASKS_WEATHER, "Yes.", tools=[weather]) as it:
        await it.agent.run("one")
        before = it.kept
        await UntilEvent(it, "two", ToolEnd).over.wait()
        await assert_unchanged(it, before, "one", "Yes.")
        assert len(it.server.requests) == 3


@any_wire
async def test_dispose_in_the_second_turn(wire: SpokenWire) -> None:
    replies = ("Yes.", ASKS_WEATHER, BEGUN, "Yes.")
    async with conversing(wire, *replies, tools=[weather]) as it:
        await it.agent.run("one")
        before = it.kept
        await UntilEvent(it, "two", Token).over.wait()
        await it.server.disconnected()
        await assert_unchanged(it, before, "one", "Yes.")


@any_wire
async def test_dispose_at_the_answer_event(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        before = it.kept
        await UntilEvent(it, "one", Answer).over.wait()
        await assert_unchanged(it, before)


@any_wire
async def test_reader_leaves_at_the_answer(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        before = it.kept
        stream = it.agent.run_stream("one")
        async with rxagents.to_aiter(stream, capacity=1) as events:
            async for event in events:
                if isinstance(event, Answer):
                    break
        await assert_unchanged(it, before)


@any_wire
async def test_dispose_from_another_thread(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.", STALLED, "Yes.") as it:
        await it.agent.run("one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await it.server.received(2)
        in_thread(seen.subscription.dispose)
        await it.server.disconnected()
        assert [type(note) for note in seen.notes] == [TurnStart]
        await assert_unchanged(it, before, "one", "Yes.")
