"""Conversations with a ReAct agent and with a user's own agents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import reactivex as rx
from agent_runs import RunSeen, seen_to_end
from conversing import said, system_of, weather
from observing import settle
from reactivex import Observable
from reactivex import operators as rx_ops
from reactivex.testing import TestScheduler
from remembering import conversation_in
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    Conversation,
    ConversationalAgent,
    ErrorEvent,
    ErrorInfo,
    FunctionAgent,
    Memory,
    Message,
    ReActAgent,
    Reset,
    StreamChunk,
    StreamEvent,
    Token,
    ToolCall,
    ToolEnd,
    ToolStart,
    Usage,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

ACTION = 'Thought: Look.\nAction: weather({"city": "Oslo"})\n'
SUMMARY = "They like one."
SHOWN_SUMMARY = f"Summary of our conversation so far:\n{SUMMARY}"
CALL = ToolCall("call_1", "weather", '{"city":"Oslo"}')


class OwnAgent:
    """An agent that a user composed of operators: one turn, which may call tools."""

    def __init__(self, llm: Any) -> None:
        self._llm = llm

    def run_stream(self, messages: Any) -> Observable[StreamEvent]:
        events: Observable[StreamEvent] = self._llm.chat_stream(messages, [weather]).pipe(
            ops.run_tools([weather]), rx_ops.map(_event), rx_ops.filter(bool)
        )
        return events


def _event(item: Any) -> StreamEvent | None:
    if not isinstance(item, StreamChunk):
        return item  # type: ignore[no-any-return]  # events pass
    if item.finish_reason:
        return Answer(item.content) if item.content else None
    return Token(item.delta) if item.delta else None


class Emitting:
    """An agent that emits the same events in each run, then completes or fails."""

    def __init__(self, *events: Any, error: Exception | None = None) -> None:
        self._events = events
        self._error = error
        self.tasks: list[Sequence[Message]] = []

    def run_stream(self, messages: Any) -> Observable[StreamEvent]:
        self.tasks.append(messages)
        end: Observable[Any] = rx.empty() if self._error is None else rx.throw(self._error)
        return rx.concat(rx.from_iterable(self._events), end)


def kept(conversation: Conversation) -> list[tuple[Message, ...]]:
    return list(conversation_in(conversation.memory).exchanges)


def texts(messages: Sequence[Message]) -> list[str]:
    return [message.text for message in messages]


# A ReAct agent.


async def test_react_agent_remembers_its_protocol_text() -> None:
    llm = ScriptedLLM(ACTION, "Answer: It is cold.", "Answer: Very.")
    conversation = Conversation(ReActAgent(llm, [weather], system_prompt="Be brief."))
    assert (await conversation.run("How is Oslo?")).output == "It is cold."
    assert (await conversation.run("How cold?")).output == "Very."
    system, *rest = texts(llm.requests[-1].messages)
    assert system.startswith("Be brief.\n\nWork on the task step by step.")
    assert rest == [
        "How is Oslo?",
        'Thought: Look.\nAction: weather({"city":"Oslo"})',
        "Observation: cold in Oslo",
        "Answer: It is cold.",
        "How cold?",
    ]


@any_wire
async def test_react_agent_remembers_over_http(wire: SpokenWire) -> None:
    replies = (ACTION, "Answer: It is cold.", "Answer: Very.")
    async with ScriptedServer(*replies, strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            conversation = Conversation(ReActAgent(llm, [weather]))
            seen = await seen_to_end(conversation.run_stream("How is Oslo?"))
            assert seen.kinds[-2:] == ["answer", "complete"]
            assert (await conversation.run("How cold?")).output == "Very."
            last = server.requests[-1]
            assert said(last)[0::4] == ["How is Oslo?", "How cold?"]
            assert len(system_of(last)) == 1


async def test_react_trace_is_in_the_result() -> None:
    llm = ScriptedLLM(ACTION, "Answer: It is cold.")
    result = await Conversation(ReActAgent(llm, [weather])).run("How is Oslo?")
    assert [step.action for step in result.trace] == ["weather"]
    assert result.iterations == 2


async def test_messages_stand_after_system_and_summary() -> None:
    llm = ScriptedLLM("Answer: Yes.", SUMMARY, "Answer: Ah.")
    memory = Memory("summarize", max_messages=1)
    conversation = Conversation(ReActAgent(llm, system_prompt="Be brief."), memory=memory)
    await conversation.run("one")
    await conversation.run("two")
    system, *rest = texts(llm.requests[-1].messages)
    assert system.startswith("Be brief.")
    assert rest == [SHOWN_SUMMARY, "two"]
    assert conversation_in(memory).summary == SUMMARY


# A user's own agent.


async def test_own_agent_remembers_calls_and_answer() -> None:
    llm = ScriptedLLM(Reply("Cold.", tool_calls=[CALL]), "Very.")
    conversation = Conversation(OwnAgent(llm))
    await conversation.run("How is Oslo?")
    await conversation.run("How cold?")
    assert llm.requests[-1].messages == (
        Message.user("How is Oslo?"),
        Message.assistant(CALL),
        Message.tool("call_1", "cold in Oslo", name="weather"),
        Message.assistant("Cold."),
        Message.user("How cold?"),
    )


@any_wire
async def test_own_agent_remembers_over_http(wire: SpokenWire) -> None:
    async with ScriptedServer(Reply("Cold.", tool_calls=[CALL]), "Very.", strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            conversation = Conversation(OwnAgent(llm))
            first = await seen_to_end(conversation.run_stream("How is Oslo?"))
            assert first.kinds[-1] == "complete"
            await conversation.run("How cold?")
            assert said(server.requests[-1]) == [
                "How is Oslo?",
                "cold in Oslo",
                "Cold.",
                "How cold?",
            ]


async def test_result_holds_what_the_events_say() -> None:
    complete = Complete("Yes.", Usage(1, 2, 3), 4, "stop")
    conversation = Conversation(Emitting(Token("Yes."), Answer("Yes."), complete))
    result = await conversation.run("one")
    assert result.output == "Yes."
    assert result.messages == (Message.user("one"), Message.assistant("Yes."))
    assert (result.usage, result.iterations) == (Usage(1, 2, 3), 4)
    assert result.finish_reason == "stop"


async def test_answer_without_complete_is_remembered() -> None:
    conversation = Conversation(Emitting(Token("Yes."), Answer("Yes.")))
    seen = await seen_to_end(conversation.run_stream("one"))
    assert seen.kinds == ["token", "answer", "complete"]
    assert seen.events[-1].content == "Yes."
    assert kept(conversation) == [(Message.user("one"), Message.assistant("Yes."))]


@pytest.mark.parametrize(
    "events",
    [
        (),
        (Token("Yes."),),
        (Complete(""),),
        (Answer("I can"), Complete("I can", finish_reason="content_filter")),
        (Answer("Yes."), Reset(ErrorInfo("ServerError", "It broke.")), Complete()),
    ],
    ids=["empty", "tokens only", "empty answer", "withheld", "reset answer"],
)
async def test_run_without_answer_is_not_kept(events: tuple[Any, ...]) -> None:
    conversation = Conversation(Emitting(*events))
    seen = await seen_to_end(conversation.run_stream("one"))
    assert len(seen.all(Complete)) == 1
    assert kept(conversation) == []


async def test_call_without_result_is_not_kept() -> None:
    start = ToolStart("call_1", "weather", {"city": "Oslo"})
    again = ToolStart("call_2", "weather", {"city": "Oslo"})
    end = ToolEnd("call_2", "weather", "no city", ErrorInfo("ToolError", "no city"))
    conversation = Conversation(Emitting(start, again, end, Complete("Yes.")))
    await conversation.run("one")
    [(_, call, result, answer)] = kept(conversation)
    assert call == Message.assistant(ToolCall("call_2", "weather", '{"city":"Oslo"}'))
    assert result == Message.tool("call_2", "no city", name="weather", is_error=True)
    assert answer.text == "Yes."


@pytest.mark.parametrize("events", [(), (ErrorEvent(ErrorInfo("OSError", "disk")),)])
async def test_failed_run_emits_one_error_event(events: tuple[Any, ...]) -> None:
    agent = Emitting(Answer("Yes."), *events, error=OSError("disk"))
    conversation = Conversation(agent)
    seen = await seen_to_end(conversation.run_stream("one"))
    assert seen.kinds == ["answer", "error"]
    assert len(seen.all(ErrorEvent)) == 1
    assert isinstance(seen.error, OSError)
    assert kept(conversation) == []


async def test_error_event_then_completion_fails_run() -> None:
    event = ErrorEvent(ErrorInfo("RateLimitError", "Too many.", status=429))
    conversation = Conversation(Emitting(Answer("Yes."), event))
    seen = await seen_to_end(conversation.run_stream("one"))
    assert seen.kinds == ["answer", "error"]
    assert isinstance(seen.error, rxagents.RateLimitError)
    assert seen.error.status == 429
    assert kept(conversation) == []


async def test_other_items_fail_the_run() -> None:
    seen = await seen_to_end(Conversation(Emitting("Yes.")).run_stream("one"))
    assert seen.kinds == ["error"]
    assert isinstance(seen.error, ConfigurationError)
    assert "must emit StreamEvents, not str" in str(seen.error)


async def test_run_stream_without_observable_fails() -> None:
    class Generating:
        async def run_stream(self, messages: Any) -> Any:
            yield Answer("Yes.")

    conversation = Conversation(Generating())
    with pytest.raises(ConfigurationError, match=r"Generating.run_stream must .*from_aiter"):
        await conversation.run("one")


async def test_own_agents_runs_queue() -> None:
    ends: list[rx.Subject[StreamEvent]] = []

    class Held:
        def run_stream(self, messages: Any) -> Observable[StreamEvent]:
            ends.append(rx.Subject())
            return ends[-1]

    conversation = Conversation(Held())
    first, second = (RunSeen(conversation.run_stream(text)) for text in ("one", "two"))
    other = RunSeen(conversation.run_stream("three", "other"))
    await settle()
    assert len(ends) == 2
    ends[0].on_next(Answer("Yes."))
    ends[0].on_completed()
    await first.over.wait()
    await settle()
    second.dispose()
    assert not ends[2].observers
    other.dispose()
    assert not ends[1].observers
    assert texts(kept(conversation)[0]) == ["one", "Yes."]


def test_own_agent_in_virtual_time() -> None:
    conversation = Conversation(OwnAgent(ScriptedLLM(Reply("yes", delay=10))))
    scheduler = TestScheduler()
    ends: list[float] = []
    for text in ("one", "two"):
        stream = conversation.run_stream(text)
        stream.subscribe(on_completed=lambda: ends.append(scheduler.clock), scheduler=scheduler)
    scheduler.start()
    assert ends == [10, 20]
    assert [texts(exchange) for exchange in kept(conversation)] == [["one", "yes"], ["two", "yes"]]


# Summaries.


async def test_own_agents_summary_needs_a_model() -> None:
    memory = Memory("summarize", max_messages=1)
    with pytest.raises(ConfigurationError, match="Emitting uses is not known"):
        Conversation(Emitting(), memory=memory)
    Conversation(Emitting(), memory=memory, llm=ScriptedLLM())


async def test_summary_usage_counts_for_own_agent() -> None:
    llm = ScriptedLLM(Reply(SUMMARY, usage=Usage(5, 6, 11)))
    agent = Emitting(Complete("Yes.", Usage(1, 2, 3), 1, "stop"))
    memory = Memory("summarize", max_messages=1)
    conversation = Conversation(agent, memory=memory, llm=llm)
    await conversation.run("one")
    seen = await seen_to_end(conversation.run_stream("two"))
    [complete] = seen.all(Complete)
    assert complete.usage.total_tokens == 14
    assert texts(agent.tasks[-1]) == [SHOWN_SUMMARY, "two"]


async def test_given_model_writes_the_summaries() -> None:
    llm, summarizer = ScriptedLLM("Yes."), ScriptedLLM(SUMMARY)
    memory = Memory("summarize", max_messages=1)
    conversation = Conversation(FunctionAgent(llm), memory=memory, llm=summarizer)
    await conversation.run("one")
    await conversation.run("two")
    assert len(summarizer.requests) == 1
    assert texts(llm.requests[-1].messages) == [SHOWN_SUMMARY, "two"]


async def test_summary_tokens_count_for_the_limit() -> None:
    llm = ScriptedLLM("Yes.", Reply(SUMMARY, usage=Usage(5, 6, 11)), "Never.")
    memory = Memory("summarize", max_messages=1)
    conversation = Conversation(FunctionAgent(llm, max_total_tokens=11), memory=memory)
    await conversation.run("one")
    with pytest.raises(rxagents.RunLimitError, match="used 11 of its 11 tokens"):
        await conversation.run("two")
    assert len(llm.requests) == 2


async def test_failed_summary_fails_own_agent() -> None:
    memory = Memory("summarize", max_messages=1)
    agent = Emitting(Answer("Yes."))
    conversation = Conversation(agent, memory=memory, llm=ScriptedLLM(Reply(" ")))
    await conversation.run("one")
    seen = await seen_to_end(conversation.run_stream("two"))
    assert seen.kinds == ["error"]
    assert isinstance(seen.error, rxagents.OutputError)
    assert len(agent.tasks) == 1


# The class.


def test_conversation_is_a_streaming_agent() -> None:
    assert isinstance(Conversation(Emitting()), rxagents.StreamingAgent)


def test_conversational_agent_is_a_conversation() -> None:
    memory = Memory()
    made = ConversationalAgent(ScriptedLLM(), [weather], memory=memory)
    assert isinstance(made, Conversation)
    assert type(made.agent) is FunctionAgent
    assert made.memory is memory
    assert made.tools == made.agent.tools


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"agent": ScriptedLLM()}, r"agent must have run_stream\(messages\); ScriptedLLM"),
        ({"agent": None}, "agent must have"),
        ({"agent": ConversationalAgent(ScriptedLLM())}, "ConversationalAgent and has a memory"),
        ({"agent": Emitting(), "memory": "all"}, "memory must be an rxagents.Memory, not str"),
        ({"agent": Emitting(), "llm": "openai:x"}, "llm must be a model that streams"),
    ],
    ids=["model", "none", "conversation", "memory", "llm"],
)
def test_bad_argument_is_refused(arguments: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        Conversation(**arguments)
