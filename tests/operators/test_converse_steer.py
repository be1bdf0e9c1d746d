"""`converse` with the policy "steer": messages that the next turn of a run sees."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from agent_runs import HeldTool
from conversing import said
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from observing import Seen, settle
from reactivex import Observable
from reactivex.subject import Subject
from remembering import conversation_in
from running import run_async
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    ConversationalAgent,
    ErrorEvent,
    FunctionAgent,
    Message,
    MessageOutcome,
    ServerError,
    StreamEvent,
    Token,
    ToolCall,
    TurnStart,
)
from rxagents import operators as ops
from rxagents.testing import Ending, Reply, ScriptedLLM, ScriptedServer

CALL = ToolCall("call_1", "held", "{}")
FAILING = ServerError("down", status=500)


def outcomes(seen: Seen) -> list[tuple[Any, ...]]:
    """Return the outcomes of the messages, the starts of turns, and the ends of runs."""
    found: list[tuple[Any, ...]] = []
    for event in seen.items:
        match event:
            case MessageOutcome(outcome="queued"):
                found.append((event.content, "queued", event.position))
            case MessageOutcome():
                found.append((event.content, event.outcome))
            case TurnStart():
                found.append(("turn", event.number))
            case Complete():
                found.append(("complete", event.content))
            case ErrorEvent():
                found.append(("error", event.error.kind))
    return found


async def steer_at(
    times: list[tuple[float, Any]],
    agent: Any,
    on_next: Callable[[Any], object] | None = None,
    **options: Any,
) -> Seen:
    """Send each message after its seconds, and wait for the end."""
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(agent, policy="steer", **options)), on_next)
    for seconds, message in times:
        await asyncio.sleep(seconds)
        messages.on_next(message)
    messages.on_completed()
    await seen.over.wait()
    return seen


def asked(llm: ScriptedLLM) -> list[list[str]]:
    """Return the user's messages of each request."""
    return [
        [message.text for message in request.messages if message.role == "user"]
        for request in llm.requests
    ]


async def test_next_turn_sees_message() -> None:
    llm = ScriptedLLM(Reply("It is cold.", interval=1), "Brr.")
    seen = await steer_at([(0, "a"), (1.5, "b"), (0.1, "c")], FunctionAgent(llm))
    assert outcomes(seen) == [
        ("a", "delivered"),
        ("turn", 1),
        ("b", "queued", 1),
        ("c", "queued", 2),
        ("b", "delivered"),
        ("c", "delivered"),
        ("turn", 2),
        ("complete", "Brr."),
    ]
    assert asked(llm) == [["a"], ["a", "b", "c"]]
    assert [event.number for event in seen.all(MessageOutcome)] == [0, 1, 2, 1, 2]


async def test_message_after_the_end_starts_a_run() -> None:
    llm = ScriptedLLM("One.", "Two.")
    seen = await steer_at([(0, "a"), (1, "b")], FunctionAgent(llm))
    assert asked(llm) == [["a"], ["b"]]
    assert [event.content for event in seen.all(Complete)] == ["One.", "Two."]


async def test_messages_before_the_start_share_a_run() -> None:
    llm = ScriptedLLM("One.")
    seen = await steer_at([(0, "a"), (0, "b")], FunctionAgent(llm))
    assert asked(llm) == [["a\nb"]]
    assert outcomes(seen)[:2] == [("a", "delivered"), ("b", "delivered")]


@pytest.mark.parametrize(
    ("reply", "options", "kind"),
    [
        (Reply("one two", interval=1, error=FAILING), {}, "ServerError"),
        (Reply("one two", interval=1, finish_reason="odd"), {}, "OutputError"),
        (Reply("one two", interval=1), {"max_iterations": 1}, "MaxIterationsError"),
    ],
    ids=["model fails", "no answer", "no turn left"],
)
async def test_message_that_failed_run_never_saw_starts_a_run(
    reply: Reply, options: dict[str, Any], kind: str
) -> None:
    llm = ScriptedLLM(reply, "Fine.")
    agent = FunctionAgent(llm, **options)
    seen = await steer_at([(0, "a"), (1.2, "b"), (0.1, "c")], agent)
    assert asked(llm) == [["a"], ["b\nc"]]
    assert outcomes(seen) == [
        ("a", "delivered"),
        ("turn", 1),
        ("b", "queued", 1),
        ("c", "queued", 2),
        ("error", kind),
        ("b", "delivered"),
        ("c", "delivered"),
        ("turn", 1),
        ("complete", "Fine."),
    ]


async def test_message_is_in_one_run_although_its_turn_fails() -> None:
    llm = ScriptedLLM(Reply("one two", interval=1), Reply(error=FAILING), "Fine.")
    seen = await steer_at([(0, "a"), (1.2, "b"), (5, "c")], FunctionAgent(llm))
    assert asked(llm) == [["a"], ["a", "b"], ["c"]]
    assert outcomes(seen)[3] == ("b", "delivered")


async def test_object_that_is_sent_twice_is_two_messages() -> None:
    again = Message.user("again")
    llm = ScriptedLLM(Reply("one two", interval=1), Reply("one two", interval=1), "Fine.")
    seen = await steer_at([(0, again), (1.2, again), (2, again)], FunctionAgent(llm))
    assert asked(llm) == [["again"] * count for count in (1, 2, 3)]
    assert [event.outcome for event in seen.all(MessageOutcome)] == [
        "delivered",
        *("queued", "delivered") * 2,
    ]


async def test_unseen_object_that_is_sent_twice_starts_a_run() -> None:
    again = Message.user("again")
    llm = ScriptedLLM(Reply("one two", interval=1, error=FAILING), "Fine.")
    seen = await steer_at([(0, again), (1.2, again)], FunctionAgent(llm))
    assert asked(llm) == [["again"], ["again"]]
    assert len(seen.all(Complete)) == 1


async def test_conversation_remembers_steered_exchange() -> None:
    llm = ScriptedLLM(Reply("one two", interval=1), "Brr.", "Bye.")
    agent = ConversationalAgent(llm)
    await steer_at([(0, "a"), (1.2, "b"), (5, "c")], agent, conversation_id="ada")
    kept = conversation_in(agent.memory, "ada").exchanges
    assert [[message.text for message in exchange] for exchange in kept] == [
        ["a", "one two", "b", "Brr."],
        ["c", "Bye."],
    ]


async def test_message_at_the_answer_starts_a_run() -> None:
    """The last turn of a conversation's run has ended, but the run is not yet remembered."""
    messages: Subject[Any] = Subject()

    def reply(event: StreamEvent) -> None:
        if isinstance(event, Answer) and event.content == "One.":
            messages.on_next("b")
            messages.on_completed()

    llm = ScriptedLLM("One.", "Two.")
    seen = Seen(messages.pipe(ops.converse(ConversationalAgent(llm), policy="steer")), reply)
    messages.on_next("a")
    await seen.over.wait()
    assert asked(llm) == [["a"], ["a", "b"]]
    assert [event.content for event in seen.all(Complete)] == ["One.", "Two."]


async def test_message_from_callback_steers_after_it() -> None:
    """A subscriber that answers the agent is not called inside its own callback."""
    messages: Subject[Any] = Subject()
    depth = 0

    def reply(event: StreamEvent) -> None:
        nonlocal depth
        assert depth == 0
        depth += 1
        if isinstance(event, Token) and event.content == "one":
            messages.on_next("b")
        elif isinstance(event, MessageOutcome) and event.outcome == "queued":
            messages.on_completed()
        depth -= 1

    llm = ScriptedLLM(Reply("one two", interval=1), "Fine.")
    seen = Seen(messages.pipe(ops.converse(FunctionAgent(llm), policy="steer")), reply)
    messages.on_next("a")
    await seen.over.wait()
    assert asked(llm) == [["a"], ["a", "b"]]
    assert seen.completed


@pytest.mark.parametrize("outcome", ["delivered", "queued"])
async def test_dispose_at_an_outcome_ends_the_run(outcome: str) -> None:
    messages: Subject[Any] = Subject()

    def leave(event: StreamEvent) -> None:
        if isinstance(event, MessageOutcome) and (event.content, event.outcome) == ("b", outcome):
            seen.subscription.dispose()

    llm = ScriptedLLM(Reply("one two", interval=1), Reply("three four", interval=1))
    seen = Seen(messages.pipe(ops.converse(FunctionAgent(llm), policy="steer")), leave)
    messages.on_next("a")
    await asyncio.sleep(0.5)
    messages.on_next("b")
    await asyncio.sleep(50)
    assert (seen.completed, seen.error) == (False, None)
    assert seen.items[-1].outcome == outcome
    assert len(llm.requests) == 1


async def test_dispose_cancels_running_tool() -> None:
    held = HeldTool()
    agent = FunctionAgent(ScriptedLLM(Reply(tool_calls=[CALL])), [held.tool])
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(agent, policy="steer")))
    messages.on_next("a")
    await held.running.wait()
    count = len(seen.items)
    seen.subscription.dispose()
    await held.cancelled.wait()
    await settle()
    assert len(seen.items) == count


async def test_failing_source_ends_the_run() -> None:
    llm = ScriptedLLM(Reply("one two three", interval=1))
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(FunctionAgent(llm), policy="steer")))
    messages.on_next("a")
    await seen.saw(Token)
    messages.on_error(OSError("the line is cut"))
    assert isinstance(seen.error, OSError)


async def test_slow_reader_loses_no_message() -> None:
    llm = ScriptedLLM(Reply("one two three", interval=1), Reply("four five", interval=1), "Fine.")
    messages: Subject[Any] = Subject()
    source = messages.pipe(ops.converse(FunctionAgent(llm), policy="steer"))
    found: list[str] = []
    async with rxagents.to_aiter(source, capacity=1) as events:
        messages.on_next("a")
        async for event in events:
            await asyncio.sleep(2)
            if isinstance(event, MessageOutcome):
                found.append(f"{event.content} {event.outcome}")
            if isinstance(event, Token) and event.content in ("one", "four"):
                messages.on_next(event.content)
            if isinstance(event, Complete) and event.content == "Fine.":
                break
    texts = {text for request in asked(llm) for part in request for text in part.split("\n")}
    assert texts == {"a", "one", "four"}
    assert [each for each in found if each.endswith("delivered")] == [
        "a delivered",
        "one delivered",
        "four delivered",
    ]


# Agents of the user.


class OwnRun:
    """A run of the user, without turns; it sees each message at once, or never."""

    def __init__(self, task: Any, *, sees: bool) -> None:
        self.messages = [Message.user(str(task))]
        self.stops = 0
        self._sees = sees
        self.events: Observable[StreamEvent] = rx.of(Answer("yes")).pipe(ops.map_async(self._later))

    async def _later(self, event: StreamEvent) -> StreamEvent:
        await asyncio.sleep(1)
        return event

    def steer(self, text: Any) -> bool:
        if self._sees:
            self.messages += text
        return True

    def stop(self) -> None:
        self.stops += 1


class OwnAgent:
    def __init__(self, *, sees: bool = True) -> None:
        self.runs: list[OwnRun] = []
        self._sees = sees

    def start(self, task: Any) -> OwnRun:
        self.runs.append(OwnRun(task, sees=self._sees))
        return self.runs[-1]


@pytest.mark.parametrize("sees", [True, False])
async def test_own_run_is_steered(sees: bool) -> None:
    agent = OwnAgent(sees=sees)
    seen = await steer_at([(0, "a"), (0.5, "b")], agent)
    assert [(event.content, event.outcome) for event in seen.all(MessageOutcome)] == [
        ("a", "delivered"),
        ("b", "queued"),
        ("b", "delivered"),
    ]
    assert len(agent.runs) == (1 if sees else 2)
    assert [run.stops for run in agent.runs] == [0] * len(agent.runs)


async def test_own_run_is_stopped_once() -> None:
    agent = OwnAgent()
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(agent, policy="steer")))
    messages.on_next("a")
    await asyncio.sleep(0.5)
    seen.subscription.dispose()
    seen.subscription.dispose()
    assert [run.stops for run in agent.runs] == [1]


def test_agent_without_start_is_refused() -> None:
    class Parrot:
        def run_stream(self, task: Any) -> Observable[StreamEvent]:
            return rx.of(Answer(task))

    with pytest.raises(ConfigurationError, match=r"start\(task\).* Parrot has none"):
        ops.converse(Parrot(), policy="steer")


async def test_start_that_returns_no_run_fails_the_run() -> None:
    class Broken:
        def start(self, task: Any) -> Any:
            return rx.of(Answer(task))

    seen = await steer_at([(0, "a")], Broken())
    [event] = seen.all(ErrorEvent)
    assert "has no events and no messages and no steer and no stop" in event.content
    assert seen.completed


# Over HTTP, and under random timing.


@any_wire
async def test_message_during_a_tool_is_in_the_next_request(wire: SpokenWire) -> None:
    held = HeldTool()
    async with ScriptedServer(Reply(tool_calls=[CALL]), "Yes.", strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            messages: Subject[Any] = Subject()
            agent = ConversationalAgent(llm, [held.tool])
            seen = Seen(messages.pipe(ops.converse(agent, policy="steer")))
            messages.on_next("one")
            await held.running.wait()
            messages.on_next("two")
            messages.on_completed()
            held.release.set()
            await seen.over.wait()
        assert said(server.requests[1]) == ["one", "done", "two"]
        assert len(server.requests) == 2
        assert [event.content for event in seen.all(Complete)] == ["Yes."]


@any_wire
async def test_dispose_closes_the_request(wire: SpokenWire) -> None:
    endless = Reply("on and on", ending=Ending.ENDLESS, interval=0.01)
    async with ScriptedServer(endless, strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            messages: Subject[Any] = Subject()
            seen = Seen(messages.pipe(ops.converse(ConversationalAgent(llm), policy="steer")))
            messages.on_next("one")
            await seen.saw(Token)
            messages.on_next("two")
            seen.subscription.dispose()
            await server.disconnected()
        assert len(server.requests) == 1


REPLIES = [
    Reply("one two three", interval=0.3),
    Reply("four", delay=1),
    Reply("five"),
    Reply("six seven", interval=0.2, error=FAILING),
    Reply("look", interval=0.5, tool_calls=[ToolCall("call_1", "unknown", "{}")]),
]


@settings(max_examples=size(300, quick=60))
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.5, 1.0, 3.0]), min_size=1, max_size=12),
    replies=st.lists(st.sampled_from(REPLIES), min_size=1, max_size=6),
    limit=st.sampled_from([1, 2, 10]),
    remembers=st.booleans(),
)
def test_no_message_is_lost_or_in_two_runs(
    gaps: list[float], replies: list[Reply], limit: int, remembers: bool
) -> None:
    llm = ScriptedLLM(*replies, "Fine.")
    kind = ConversationalAgent if remembers else FunctionAgent
    texts = [f"m{number}" for number in range(len(gaps))]
    times = list(zip(gaps, texts, strict=True))
    seen = run_async(steer_at(times, kind(llm, max_iterations=limit)))
    assert seen.completed
    reported = seen.all(MessageOutcome)
    delivered = [event.content for event in reported if event.outcome == "delivered"]
    assert delivered == texts
    assert {event.outcome for event in reported} <= {"queued", "delivered"}

    # Each message is new in the request of the turn whose start follows its delivery.
    requests = iter(asked(llm))
    new: list[str] = []
    for event in seen.items:
        if isinstance(event, MessageOutcome) and event.outcome == "delivered":
            new.append(event.content)
        elif isinstance(event, TurnStart):
            said = "\n".join(next(requests)).split("\n")
            assert said[len(said) - len(new) :] == new
            assert len(set(said)) == len(said)
            new = []
    assert new == []
