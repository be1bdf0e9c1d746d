"""`ConversationalAgent` over HTTP, on every wire."""

from __future__ import annotations

import asyncio
from base64 import b64encode
from typing import Any

import pytest
from conversing import ASKS_WEATHER, conversing, said, system_of, weather
from msgspec.structs import replace
from observing import Seen
from reactivex import operators as rx_ops
from remembering import conversation_in, done
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConversationalAgent,
    ImagePart,
    Memory,
    Message,
    Token,
    ToolEnd,
    ToolStart,
    Usage,
    to_aiter,
)
from rxagents.testing import Reply, ScriptedLLM

PICTURE = ImagePart(data=b"\x89PNG", media_type="image/png")
WITHHELD = Reply("I can", finish_reason="content_filter")


@any_wire
async def test_messages_are_remembered_across_runs(wire: SpokenWire) -> None:
    async with conversing(wire, "Hello Eva.", "You are Eva.", "Bye.") as it:
        assert (await it.agent.run("I am Eva.")).output == "Hello Eva."
        assert (await it.agent.run("Who am I?")).output == "You are Eva."
        await it.agent.run("Bye.")
        assert said(it.last) == [
            "I am Eva.",
            "Hello Eva.",
            "Who am I?",
            "You are Eva.",
            "Bye.",
        ]


@any_wire
async def test_conversations_are_separate(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        await it.agent.run("one")
        await it.agent.run("two", "other")
        assert said(it.last) == ["two"]
        await it.agent.run("three", conversation_id="other")
        assert said(it.last) == ["two", "Yes.", "three"]
        await it.agent.run("four")
        assert said(it.last) == ["one", "Yes.", "four"]


@any_wire
async def test_exchange_with_tools_is_sent_back(wire: SpokenWire) -> None:
    replies = (replace(ASKS_WEATHER, reasoning="Look it up."), "It is cold.", "Very.")
    async with conversing(wire, *replies, tools=[weather]) as it:
        events = await it.agent.run_stream("How is Oslo?").pipe(rx_ops.to_list())
        kinds = [type(event) for event in events if event.type.startswith("tool_")]
        assert kinds[-2:] == [ToolStart, ToolEnd]
        assert (await it.agent.run("How cold?")).output == "Very."
        assert said(it.last) == ["How is Oslo?", "cold in Oslo", "It is cold.", "How cold?"]
        [exchange, _] = conversation_in(it.agent.memory).exchanges
        assert [message.role for message in exchange] == [
            "user",
            "assistant",
            "tool",
            "assistant",
        ]


@any_wire
async def test_loaded_exchange_is_sent_back_equal(wire: SpokenWire) -> None:
    memory = Memory()
    replies = (replace(ASKS_WEATHER, reasoning="Look it up."), "It is cold.", "Very.")
    async with conversing(wire, *replies, tools=[weather]) as it:
        await it.agent.run(Message.user("How is Oslo?", PICTURE))
        done(memory.load("default", it.kept))
        await it.agent.run("How cold?")
        later = ConversationalAgent(it.agent.agent.llm, [weather], memory=memory)
        await later.run("How cold?")
        assert it.server.requests[-1].json() == it.server.requests[-2].json()


@any_wire
async def test_images_stay_in_the_conversation(wire: SpokenWire) -> None:
    async with conversing(wire, "A cat.", "Black.") as it:
        await it.agent.run(Message.user("What is it?", PICTURE))
        await it.agent.run("Which colour?")
        assert said(it.last) == ["What is it?", "A cat.", "Which colour?"]
        assert it.last.body.count(b64encode(PICTURE.data)) == 1


@any_wire
async def test_several_messages_are_one_exchange(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        await it.agent.run(["one", {"role": "assistant", "content": "two"}, "three"])
        await it.agent.run("four")
        assert said(it.last) == ["one", "two", "three", "Yes.", "four"]
        assert len(conversation_in(it.agent.memory).exchanges) == 2


@any_wire
async def test_system_prompt_is_not_kept(
    wire: SpokenWire,
) -> None:
    memory = Memory()
    async with conversing(wire, "Yes.", memory=memory, system_prompt="Be brief.") as it:
        await it.agent.run("one")
        assert system_of(it.last) == ["Be brief."]
        other = ConversationalAgent(it.agent.agent.llm, memory=memory, system_prompt="Be kind.")
        await other.run("two")
        assert system_of(it.last) == ["Be kind."]
        assert said(it.last) == ["one", "Yes.", "two"]
        assert "Be " not in it.kept


@any_wire
async def test_two_agents_may_share_memory(wire: SpokenWire) -> None:
    memory = Memory()
    async with conversing(wire, "Yes.", memory=memory) as it:
        other = ConversationalAgent(it.agent.agent.llm, memory=memory)
        await asyncio.gather(it.agent.run("one"), other.run("two"))
        assert said(it.last) == ["one", "Yes.", "two"]


@any_wire
async def test_run_ends_with_answer_and_usage(wire: SpokenWire) -> None:
    asks, answers = replace(ASKS_WEATHER, usage=Usage(5, 6, 11)), Usage(7, 8, 15)
    replies = (asks, Reply("It is cold.", usage=answers))
    async with conversing(wire, *replies, tools=[weather]) as it:
        events = await it.agent.run_stream("How is Oslo?").pipe(rx_ops.to_list())
        *_, answer, _, complete = events
        assert isinstance(answer, Answer)
        assert isinstance(complete, Complete)
        assert answer.content == complete.content == "It is cold."
        assert (complete.iterations, complete.finish_reason) == (2, "stop")
        assert complete.usage is not None
        assert (complete.usage.input_tokens, complete.usage.output_tokens) == (12, 14)
        tokens = [event.content for event in events if isinstance(event, Token)]
        assert "".join(tokens) == "It is cold."


@any_wire
async def test_run_equals_folded_run_stream(wire: SpokenWire) -> None:
    replies = (ASKS_WEATHER, Reply("It is cold.", usage=Usage(7, 8, 15)))
    async with conversing(wire, *replies, *replies, tools=[weather]) as it:
        *_, complete = await it.agent.run_stream("Oslo?", "a").pipe(rx_ops.to_list())
        result = await it.agent.run("Oslo?", "b")
        assert isinstance(complete, Complete)
        assert (result.output, result.usage) == (complete.content, complete.usage)
        assert (result.iterations, result.finish_reason) == (2, complete.finish_reason)
        [exchange] = conversation_in(it.agent.memory, "b").exchanges
        assert result.messages == exchange
        assert [m.role for m in exchange] == ["user", "assistant", "tool", "assistant"]


@any_wire
async def test_two_subscriptions_are_two_runs(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        stream = it.agent.run_stream("Again?")
        seen = [Seen(stream), Seen(stream)]
        assert it.server.requests == []
        for each in seen:
            await each.over.wait()
            assert each.notes[-1] == "end"
        assert [said(request) for request in it.server.requests] == [
            ["Again?"],
            ["Again?", "Yes.", "Again?"],
        ]


@any_wire
async def test_complete_comes_after_remembering(wire: SpokenWire) -> None:
    async with conversing(wire, "Yes.") as it:
        kept: dict[str, bool] = {}
        async with to_aiter(it.agent.run_stream("one"), capacity=1) as events:
            async for event in events:
                kept[event.type] = "one" in it.kept
        assert kept["complete"]
        complete = rx_ops.filter(lambda event: isinstance(event, Complete))
        await it.agent.run_stream("two").pipe(complete, rx_ops.take(1))
        assert "two" in it.kept


@any_wire
async def test_withheld_answer_is_not_remembered(
    wire: SpokenWire,
) -> None:
    async with conversing(wire, "Yes.", WITHHELD, "Yes.") as it:
        await it.agent.run("one")
        result = await it.agent.run("something forbidden")
        assert result.finish_reason == "content_filter"
        await it.agent.run("three")
        assert said(it.last) == ["one", "Yes.", "three"]


@any_wire
async def test_empty_answer_is_not_remembered(wire: SpokenWire) -> None:
    async with conversing(wire, Reply(reasoning="Hm."), "Yes.") as it:
        assert (await it.agent.run("one")).output == ""
        await it.agent.run("two")
        assert said(it.last) == ["two"]


@any_wire
async def test_added_tool_serves_the_next_run(
    wire: SpokenWire,
) -> None:
    async with conversing(wire, "Yes.", ASKS_WEATHER, "It is cold.") as it:
        await it.agent.run("one")
        assert "tools" not in it.last.json()
        it.agent.add_tool(weather)
        await it.agent.run("How is Oslo?")
        assert "tools" in it.last.json()
        assert said(it.last)[-1] == "cold in Oslo"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"memory": "all"}, "memory must be an rxagents.Memory, not str"),
        ({"memory": {}}, "memory must be an rxagents.Memory, not dict"),
        ({"max_iterations": 0}, "max_iterations"),
        ({"strategy": "window"}, "strategy"),
    ],
)
def test_bad_argument_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(rxagents.ConfigurationError, match=words):
        ConversationalAgent(ScriptedLLM(), **arguments)


@pytest.mark.parametrize("conversation_id", [None, 7, ["x"]])
def test_conversation_id_must_be_text(conversation_id: Any) -> None:
    with pytest.raises(rxagents.ConfigurationError, match="conversation_id must be a str"):
        ConversationalAgent(ScriptedLLM()).run_stream("hi", conversation_id)
