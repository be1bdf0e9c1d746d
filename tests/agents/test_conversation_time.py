"""Conversations in virtual time, and dispose after any number of loop turns."""

from __future__ import annotations

import asyncio

import pytest
from observing import Seen, settle
from reactivex.scheduler.eventloop import AsyncIOScheduler
from reactivex.testing import TestScheduler
from remembering import conversation_in

import rxagents
from rxagents import (
    Complete,
    ConversationalAgent,
    ErrorEvent,
    Memory,
    Message,
    StreamEvent,
    Token,
    ToolCall,
)
from rxagents.testing import Reply, ScriptedLLM


class Noted:
    """Records the events of an agent's runs, each with its time."""

    def __init__(self, agent: ConversationalAgent) -> None:
        self.scheduler = TestScheduler()
        self.notes: list[tuple[float, str]] = []
        self._agent = agent

    def ask(self, text: str, conversation_id: str = "default") -> None:
        def note(event: StreamEvent) -> None:
            if isinstance(event, (Token, Complete, ErrorEvent)):
                self.notes.append((self.scheduler.clock, f"{text}: {event.type} {event.content}"))

        self._agent.run_stream(text, conversation_id).subscribe(
            note, lambda _: None, scheduler=self.scheduler
        )


def test_queued_runs_follow_without_delay() -> None:
    llm = ScriptedLLM(Reply("one two", delay=10, interval=5))
    noted = Noted(ConversationalAgent(llm))
    noted.ask("A")
    noted.ask("B")
    noted.scheduler.start()
    assert noted.notes == [  # the finish and the end of the stream take an interval each
        (10, "A: token one"),
        (15, "A: token  two"),
        (25, "A: complete one two"),
        (35, "B: token one"),
        (40, "B: token  two"),
        (50, "B: complete one two"),
    ]
    assert [message.text for message in llm.requests[1].messages] == ["A", "one two", "B"]


def test_two_conversations_overlap_in_time() -> None:
    noted = Noted(ConversationalAgent(ScriptedLLM(Reply("yes", delay=10))))
    noted.ask("A", "a")
    noted.ask("B", "b")
    noted.scheduler.start()
    assert [note for note in noted.notes if "complete" in note[1]] == [
        (10, "A: complete yes"),
        (10, "B: complete yes"),
    ]


def test_waiting_time_is_not_limited() -> None:
    replies = (Reply("never", delay=1000), Reply("yes", delay=50))
    noted = Noted(ConversationalAgent(ScriptedLLM(*replies), max_seconds=60))
    for text in "ABC":
        noted.ask(text)
    noted.scheduler.start()
    ends = [(time, text.split()[:2]) for time, text in noted.notes if "token" not in text]
    assert ends == [
        (60, ["A:", "error"]),
        (110, ["B:", "complete"]),
        (160, ["C:", "complete"]),
    ]


def test_summary_time_counts_for_limit() -> None:
    memory = Memory("summarize", max_messages=1)
    replies = ("yes", Reply("summary", delay=40), Reply("yes", delay=40))
    noted = Noted(ConversationalAgent(ScriptedLLM(*replies), memory=memory, max_seconds=60))
    noted.ask("A")
    noted.ask("B")
    noted.scheduler.start()
    assert noted.notes[-1][0] == 60
    assert noted.notes[-1][1].startswith("B: error The run took longer than its 60 seconds")
    assert len(conversation_in(memory).exchanges) == 1


@pytest.mark.parametrize("steps", range(40))
async def test_remembered_if_complete_was_emitted(steps: int) -> None:
    agent = ConversationalAgent(ScriptedLLM("yes"))
    seen: list[StreamEvent] = []
    scheduler = AsyncIOScheduler(asyncio.get_running_loop())
    subscription = agent.run_stream("one").subscribe(seen.append, scheduler=scheduler)
    for _ in range(steps):
        await asyncio.sleep(0)
    subscription.dispose()
    await settle()
    completed = any(isinstance(event, Complete) for event in seen)
    assert bool(conversation_in(agent.memory).exchanges) == completed


async def test_forty_steps_end_a_run() -> None:
    agent = ConversationalAgent(ScriptedLLM("yes"))
    scheduler = AsyncIOScheduler(asyncio.get_running_loop())
    with agent.run_stream("one").subscribe(scheduler=scheduler):
        for _ in range(39):
            await asyncio.sleep(0)
    assert len(conversation_in(agent.memory).exchanges) == 1


async def test_many_queued_runs_keep_their_order() -> None:
    agent = ConversationalAgent(ScriptedLLM("yes"), memory=Memory("window", max_messages=2))
    await asyncio.gather(*(agent.run(str(number)) for number in range(300)))
    kept = conversation_in(agent.memory).exchanges
    assert [exchange[0].text for exchange in kept] == [str(each) for each in range(300)]


async def test_many_conversations_do_not_mix() -> None:
    agent = ConversationalAgent(ScriptedLLM("yes"))
    runs = [agent.run(f"{name} {turn}", str(name)) for turn in range(5) for name in range(20)]
    await asyncio.gather(*runs)
    for name in range(20):
        kept = conversation_in(agent.memory, str(name)).exchanges
        assert [each[0].text for each in kept] == [f"{name} {turn}" for turn in range(5)]


def test_closed_loop_does_not_block_conversation() -> None:
    agent = ConversationalAgent(ScriptedLLM(Reply("yes", delay=1000), "yes"))

    async def leave() -> Seen:
        seen = Seen(agent.run_stream("one"))
        await settle()
        return seen

    left = asyncio.run(leave())
    assert rxagents.run(agent.run_stream("two")) is not None
    assert [type(note) for note in left.notes] == [rxagents.TurnStart]
    [exchange] = conversation_in(agent.memory).exchanges
    assert exchange == (Message.user("two"), Message.assistant("yes"))


def test_missing_loop_does_not_block_conversation() -> None:
    agent = ConversationalAgent(ScriptedLLM("yes"))
    errors: list[Exception] = []
    agent.run_stream("one").subscribe(on_error=errors.append)
    [error] = errors
    assert isinstance(error, rxagents.ConfigurationError)
    assert "rxagents.run" in str(error)
    last = rxagents.run(agent.run_stream("two"))
    assert isinstance(last, Complete)


def test_length_cut_leaves_memory_unchanged() -> None:
    cut = Reply(tool_calls=[ToolCall("call_1", "f", '{"a": ')], finish_reason="length")
    agent = ConversationalAgent(ScriptedLLM(cut, "yes"))
    with pytest.raises(rxagents.OutputError, match="Raise max_tokens"):
        rxagents.run(agent.run_stream("one"))
    assert conversation_in(agent.memory).exchanges == ()
