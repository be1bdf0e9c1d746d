"""The requests of each memory strategy, and summaries, over HTTP, on every wire."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from conversing import ASKS_WEATHER, Conversing, conversing, said, system_of, weather
from observing import Seen
from remembering import conversation_in, done
from wires import SpokenWire, any_wire

import rxagents
from rxagents import Complete, ErrorEvent, Memory, Token, Usage
from rxagents.testing import Ending, Reply, StatusReply

SUMMARY = "They like one and two."
SHOWN_SUMMARY = f"Summary of our conversation so far:\n{SUMMARY}"


async def ask(it: Conversing, *texts: str) -> None:
    for text in texts:
        await it.agent.run(text)


@any_wire
async def test_all_sends_everything(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.", memory=Memory("all")) as it:
        await ask(it, "1", "2", "3", "4")
        assert said(it.last) == ["1", "Yes.", "2", "Yes.", "3", "Yes.", "4"]


@any_wire
async def test_window_sends_the_newest_exchanges(wire: SpokenWire) -> None:
    memory = Memory("window", max_messages=2)
    async with conversing(wire, "Yes.", memory=memory, system_prompt="Be brief.") as it:
        await ask(it, "1", "2", "3", "4")
        assert system_of(it.last) == ["Be brief."]
        assert said(it.last) == ["3", "Yes.", "4"]
        assert len(conversation_in(memory).exchanges) == 4


@any_wire
async def test_window_sends_calls_with_results(wire: SpokenWire) -> None:
    for limit in range(1, 9):
        memory = Memory("window", max_messages=limit)
        replies = (ASKS_WEATHER, "It is cold.", "Yes.")
        async with conversing(wire, *replies, memory=memory, tools=[weather]) as it:
            await ask(it, "Oslo?", "2", "3")
            with_tool = ["Oslo?", "cold in Oslo", "It is cold."] if limit >= 6 else []
            assert said(it.last) == [*with_tool, *(["2", "Yes."] if limit >= 2 else []), "3"]


@any_wire
@pytest.mark.parametrize("strategy", ["window", "selective", "summarize"])
async def test_smallest_limit_keeps_newest_and_system(wire: SpokenWire, strategy: Any) -> None:
    memory = Memory(strategy, max_messages=1, max_tokens=1)
    async with conversing(wire, "Yes.", memory=memory, system_prompt="Be brief.") as it:
        await ask(it, "a question of many words", "and another one")
        assert system_of(it.last) == ["Be brief."]
        assert said(it.last)[-1] == "and another one"


@any_wire
async def test_window_uses_the_given_counter(
    wire: SpokenWire,
) -> None:
    memory = Memory("window", max_tokens=4, count_tokens=lambda text: len(text.split()))
    async with conversing(wire, "Yes.", memory=memory) as it:
        await ask(it, "one", "two", "three of many words")
        assert said(it.last) == ["one", "Yes.", "two", "Yes.", "three of many words"]
        await ask(it, "four")
        assert said(it.last) == ["four"]


@any_wire
async def test_selective_sends_first_newest_and_relevant(
    wire: SpokenWire,
) -> None:
    memory = Memory("selective", max_messages=6)
    async with conversing(wire, "Yes.", memory=memory) as it:
        await ask(it, "I am Eva", "I have a cat", "I have a dog", "I have a car", "bye")
        await ask(it, "How is my cat?")
        assert said(it.last)[::2] == ["I am Eva", "I have a cat", "bye", "How is my cat?"]
        await ask(it, "And my dog?")
        shown = ["I am Eva", "I have a dog", "How is my cat?", "And my dog?"]
        assert said(it.last)[::2] == shown


@any_wire
async def test_summarize_asks_only_when_needed(
    wire: SpokenWire,
) -> None:
    memory = Memory("summarize", max_messages=4)
    replies = ("Yes.", "Yes.", "Yes.", SUMMARY, "Yes.")
    async with conversing(
        wire, *replies, memory=memory, system_prompt="Be brief.", tools=[weather]
    ) as it:
        await ask(it, "one", "two", "three", "four")
        asked, answered = it.server.requests[3:]
        assert "tools" not in asked.json()
        assert "Be brief." not in system_of(asked)
        [request] = said(asked)
        assert "user: one\n\nassistant: Yes.\n\nuser: two" in request
        assert "three" not in request
        assert said(answered) == [SHOWN_SUMMARY, "three", "Yes.", "four"]
        assert system_of(answered) == ["Be brief."]
        await ask(it, "five")
        assert said(it.last) == [SHOWN_SUMMARY, "three", "Yes.", "four", "Yes.", "five"]
        assert len(it.server.requests) == 6


@any_wire
async def test_summary_covers_results_and_earlier_summary(
    wire: SpokenWire,
) -> None:
    memory = Memory("summarize", max_messages=2)
    replies = (ASKS_WEATHER, "It is cold.", "They asked of Oslo.", "Yes.", SUMMARY, "Yes.")
    async with conversing(wire, *replies, memory=memory, tools=[weather]) as it:
        await ask(it, "Oslo?", "two")
        assert "cold in Oslo" in said(it.server.requests[2])[0]
        assert "Summary so far: none" in said(it.server.requests[2])[0]
        memory._max_messages = 1
        await ask(it, "three")
        assert "Summary so far: They asked of Oslo." in said(it.server.requests[4])[0]
        assert said(it.last) == [SHOWN_SUMMARY, "three"]


@any_wire
async def test_summary_counts_as_usage_only(
    wire: SpokenWire,
) -> None:
    memory = Memory("summarize", max_messages=1)
    summary, answer = Reply(SUMMARY, usage=Usage(5, 6)), Reply("Ah.", usage=Usage(7, 8))
    async with conversing(wire, "Yes.", summary, answer, memory=memory) as it:
        await ask(it, "one")
        seen = Seen(it.agent.run_stream("two"))
        await seen.over.wait()
        assert SUMMARY not in " ".join(system_of(it.last))
        tokens = [event.content for event in seen.notes if isinstance(event, Token)]
        assert "".join(tokens) == "Ah."
        [complete] = [event for event in seen.notes if isinstance(event, Complete)]
        assert complete.usage is not None
        assert (complete.usage.input_tokens, complete.usage.output_tokens) == (12, 14)
        assert complete.iterations == 1


@any_wire
@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (StatusReply(400, "no"), rxagents.BadRequestError),
        (Reply("They like", cut_after=2, ending=Ending.CLOSE), rxagents.TruncatedStreamError),
        (Reply(" "), rxagents.OutputError),
        (Reply("They", finish_reason="content_filter"), rxagents.OutputError),
        (
            Reply("They", error=rxagents.ServerError("It broke.", status=500)),
            rxagents.ProviderError,
        ),
    ],
    ids=["refused", "cut off", "empty", "withheld", "broken"],
)
async def test_failed_summary_fails_the_run(
    wire: SpokenWire, fault: Any, error: type[Exception]
) -> None:
    memory = Memory("summarize", max_messages=1)
    async with conversing(wire, "Yes.", fault, SUMMARY, "Yes.", memory=memory) as it:
        await ask(it, "one")
        before = it.kept
        seen = Seen(it.agent.run_stream("two"))
        await seen.over.wait()
        event, raised = seen.notes
        assert isinstance(event, ErrorEvent)
        assert isinstance(raised, error)
        assert event.error.kind == type(raised).__name__
        assert it.kept == before
        await ask(it, "three")
        assert said(it.last) == [SHOWN_SUMMARY, "three"]


@any_wire
async def test_failed_run_discards_its_summary(wire: SpokenWire) -> None:
    memory = Memory("summarize", max_messages=1)
    replies = ("Yes.", SUMMARY, StatusReply(400, "no"))
    async with conversing(wire, *replies, memory=memory) as it:
        await ask(it, "one")
        before = it.kept
        with pytest.raises(rxagents.BadRequestError):
            await ask(it, "two")
        assert it.kept == before


@any_wire
async def test_raising_counter_fails_the_run(
    wire: SpokenWire,
) -> None:
    def count(text: str) -> int:
        raise ZeroDivisionError(text)

    memory = Memory("window", max_tokens=9, count_tokens=count)
    async with conversing(wire, "Yes.", memory=memory) as it:
        await ask(it, "one")
        seen = Seen(it.agent.run_stream("two"))
        await seen.over.wait()
        assert [type(note) for note in seen.notes] == [ErrorEvent, ZeroDivisionError]
        assert len(it.server.requests) == 1


@any_wire
async def test_forget_during_summary_is_final(
    wire: SpokenWire,
) -> None:
    memory = Memory("summarize", max_messages=1)
    replies = ("Yes.", Reply(SUMMARY, delay=0.02), "Yes.")
    async with conversing(wire, *replies, memory=memory) as it:
        await ask(it, "one")
        run = asyncio.create_task(it.agent.run("two"))
        await it.server.received(2)
        done(memory.forget("default"))
        await run
        assert it.kept == '{"exchanges":[],"summary":"","deferred":[]}'
        await ask(it, "three")
        assert said(it.last) == ["three"]
