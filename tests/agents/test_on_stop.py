"""What a conversation keeps of a run that was stopped or disposed."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import pytest
from conversing import ASKS_WEATHER, Endless, conversing, said
from observing import Seen, settle
from remembering import conversation_in
from wires import SpokenWire, any_wire

from rxagents import (
    ConfigurationError,
    ConversationalAgent,
    Memory,
    ServerError,
    SQLiteStore,
    Token,
)
from rxagents.agents.partial import UNFINISHED, is_partial
from rxagents.testing import Ending, Reply, ScriptedLLM

BEGUN = Reply("one two three four", ending=Ending.STALL, cut_after=4)
How = Literal["stop", "dispose"]
each_way = pytest.mark.parametrize("how", ["stop", "dispose"])


async def ended_early(agent: ConversationalAgent, how: How) -> None:
    """Begin a run, and end it after its first tokens."""
    if how == "stop":
        run = agent.start("Count.")
        seen = Seen(run.events)
        await seen.saw(Token, 2)
        run.stop()
        await run.result
        return
    seen = Seen(agent.run_stream("Count."))
    await seen.saw(Token, 2)
    seen.subscription.dispose()
    await settle()


@each_way
@any_wire
async def test_dropped_by_default(how: How, wire: SpokenWire) -> None:
    async with conversing(wire, BEGUN, "Yes.") as it:
        await ended_early(it.agent, how)
        await it.server.disconnected()
        await it.agent.run("Well?")
        assert said(it.last) == ["Well?"]


@each_way
@any_wire
async def test_kept_with_what_was_seen(how: How, wire: SpokenWire) -> None:
    async with conversing(wire, BEGUN, "Yes.", on_stop="keep") as it:
        await ended_early(it.agent, how)
        await it.server.disconnected()
        await it.agent.run("Well?")
        count, partial, well = said(it.last)
        assert (count, well) == ("Count.", "Well?")
        assert partial
        assert "one two three four".startswith(partial.strip())
        kept = conversation_in(it.agent.memory).exchanges[0]
        assert [is_partial(message) for message in kept] == [False, True]


@each_way
@any_wire
async def test_kept_call_says_it_did_not_end(how: How, wire: SpokenWire) -> None:
    endless = Endless()
    async with conversing(wire, ASKS_WEATHER, "Yes.", tools=[endless.tool], on_stop="keep") as it:
        run = it.agent.start("Oslo?") if how == "stop" else None
        seen = None if run else Seen(it.agent.run_stream("Oslo?"))
        await endless.runs.wait()
        if run is not None:
            run.stop()
            await run.result
        elif seen is not None:
            seen.subscription.dispose()
        await endless.cancelled.wait()
        await it.agent.run("Well?")
        assert said(it.last) == ["Oslo?", UNFINISHED, "Well?"]


@each_way
async def test_nothing_seen_is_not_kept(how: How) -> None:
    agent = ConversationalAgent(ScriptedLLM(Reply("late", delay=1000), "Yes."), on_stop="keep")
    if how == "stop":
        run = agent.start("hi")
        await settle()
        run.stop()
        await run.result
    else:
        seen = Seen(agent.run_stream("hi"))
        await settle()
        seen.subscription.dispose()
    await agent.run("Well?")
    assert [each[0].text for each in conversation_in(agent.memory).exchanges] == ["Well?"]


@pytest.mark.real_time
@each_way
async def test_kept_in_a_file(how: How, tmp_path: Path) -> None:
    store = SQLiteStore(tmp_path / "conversations.db")
    memory = Memory(store=store)
    agent = ConversationalAgent(
        ScriptedLLM(Reply("one two three", interval=0.05), "Yes."),
        memory=memory,
        on_stop="keep",
    )
    await ended_early(agent, how)
    await agent.run("Well?")
    kept = await memory.conversation("default")
    await store.aclose()
    assert [exchange[0].text for exchange in kept.exchanges] == ["Count.", "Well?"]


async def test_failed_run_is_not_kept() -> None:
    llm = ScriptedLLM(Reply("one two", error=ServerError("no", status=500)), "Yes.")
    agent = ConversationalAgent(llm, on_stop="keep")
    seen = Seen(agent.run_stream("hi"))
    await seen.over.wait()
    await agent.run("Well?")
    assert [each[0].text for each in conversation_in(agent.memory).exchanges] == ["Well?"]


def test_on_stop_is_checked() -> None:
    bad: Any = "maybe"
    with pytest.raises(ConfigurationError, match="on_stop"):
        ConversationalAgent(ScriptedLLM("hi"), on_stop=bad)
