"""`converse`: the policies but "steer", in virtual time and with a server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, get_args

import pytest
import reactivex as rx
from conversing import said
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from observing import Seen, settle
from reactivex import Observable
from reactivex.subject import Subject
from reactivex.testing import ReactiveTest, TestScheduler
from running import run_async
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    ErrorEvent,
    Message,
    MessageOutcome,
    StreamCancelledError,
    StreamEvent,
    Token,
)
from rxagents import operators as ops
from rxagents.operators._conversing import Policy
from rxagents.testing import Ending, ReceivedRequest, Reply, ScriptedLLM, ScriptedServer

POLICIES: tuple[Policy, ...] = tuple(each for each in get_args(Policy) if each != "steer")
"""Those that need `run_stream` alone; `test_converse_steer` has the other one."""


class Worker:
    """An agent whose runs take some seconds, and answer with their task.

    Args:
        seconds: The duration of each run, in turn; a run of a negative duration fails.

    Attributes:
        tasks: The tasks of the runs, in order.
        ends: How each run ended.
        running: The number of runs that go on.
    """

    def __init__(self, *seconds: float) -> None:
        self.tasks: list[Any] = []
        self.ends: list[str] = []
        self.running = 0
        self._seconds = seconds

    def run_stream(self, task: Any, *ids: str) -> Observable[StreamEvent]:
        seconds = self._seconds[len(self.tasks) % len(self._seconds)]
        self.tasks.append((task, *ids) if ids else task)

        async def work() -> AsyncIterator[StreamEvent]:
            assert self.running == 0
            self.running += 1
            end = "disposed"
            try:
                await asyncio.sleep(abs(seconds))
                end = "failed" if seconds < 0 else "answered"
                if seconds < 0:
                    raise LookupError(task)
                yield Answer(str(task))
            finally:
                self.running -= 1
                self.ends.append(end)

        return rxagents.from_aiter(work)


def outcomes(seen: Seen) -> list[tuple[Any, ...]]:
    """Return the outcomes of the messages in short form, and the answers."""
    found: list[tuple[Any, ...]] = []
    for event in seen.items:
        if isinstance(event, MessageOutcome):
            place = (event.position,) if event.outcome == "queued" else ()
            found.append((event.content, event.outcome, *place))
        else:
            found.append((event.content, event.type))
    return found


async def converse_at(
    times: list[tuple[float, str]], agent: Any, policy: Policy, **options: Any
) -> Seen:
    """Send each message after its seconds, and wait for the end."""
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(agent, policy=policy, **options)))
    for seconds, text in times:
        await asyncio.sleep(seconds)
        messages.on_next(text)
    messages.on_completed()
    await seen.over.wait()
    return seen


BURST = [(0.0, "a"), (1.0, "b"), (1.0, "c")]


async def test_queue_answers_all_in_order() -> None:
    seen = await converse_at(BURST, Worker(10), "queue")
    assert outcomes(seen) == [
        ("a", "delivered"),
        ("b", "queued", 1),
        ("c", "queued", 2),
        ("a", "answer"),
        ("b", "delivered"),
        ("b", "answer"),
        ("c", "delivered"),
        ("c", "answer"),
    ]
    assert [event.number for event in seen.all(MessageOutcome)] == [0, 1, 2, 1, 2]


async def test_supersede_answers_last_message() -> None:
    worker = Worker(10)
    seen = await converse_at(BURST, worker, "supersede")
    assert outcomes(seen) == [
        ("a", "delivered"),
        ("a", "superseded"),
        ("b", "delivered"),
        ("b", "superseded"),
        ("c", "delivered"),
        ("c", "answer"),
    ]
    assert worker.ends == ["disposed", "disposed", "answered"]


async def test_superseded_before_its_run_starts() -> None:
    worker = Worker(10)
    seen = await converse_at([(0, "a"), (1, "b"), (0, "c")], worker, "supersede")
    assert worker.tasks == ["a", "c"]
    assert ("b", "superseded") in outcomes(seen)
    assert ("b", "delivered") not in outcomes(seen)


async def test_merge_joins_burst_and_what_waits() -> None:
    worker = Worker(10)
    times = [(0.0, "a"), (0.3, "b"), (2.0, "c"), (1.0, "d")]
    seen = await converse_at(times, worker, "merge")
    assert worker.tasks == ["a\nb", "c\nd"]
    assert outcomes(seen) == [
        ("a", "delivered"),
        ("b", "delivered"),
        ("c", "queued", 1),
        ("d", "queued", 2),
        ("a\nb", "answer"),
        ("c", "delivered"),
        ("d", "delivered"),
        ("c\nd", "answer"),
    ]


async def test_merge_waits_for_quiet() -> None:
    worker = Worker(1)
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(worker, policy="merge", quiet=2)))
    for text in "abc":
        messages.on_next(text)
        await asyncio.sleep(1.5)
    assert worker.tasks == []
    await asyncio.sleep(0.6)
    assert worker.tasks == ["a\nb\nc"]
    messages.on_completed()
    await seen.over.wait()


async def test_merge_keeps_messages_that_are_not_text() -> None:
    worker = Worker(1)
    messages: Observable[Any] = rx.of("a", {"role": "user", "content": "b"}, [Message.user("c")])
    await Seen(messages.pipe(ops.converse(worker, policy="merge"))).over.wait()
    assert worker.tasks == [[Message.user("a"), Message.user("b"), Message.user("c")]]


async def test_ignore_drops_messages_during_run() -> None:
    worker = Worker(10)
    seen = await converse_at([*BURST, (10, "d")], worker, "ignore")
    assert worker.tasks == ["a", "d"]
    assert outcomes(seen)[1:3] == [("b", "ignored"), ("c", "ignored")]


@pytest.mark.parametrize("policy", POLICIES)
async def test_failed_run_does_not_end_conversation(policy: Policy) -> None:
    worker = Worker(-1, 1)
    seen = await converse_at([(0, "a"), (5, "b")], worker, policy)
    assert worker.ends == ["failed", "answered"]
    assert [event.error.kind for event in seen.all(ErrorEvent)] == ["LookupError"]
    assert seen.completed


async def test_error_event_of_agent_is_not_doubled() -> None:
    agent = rxagents.FunctionAgent(ScriptedLLM(Reply(finish_reason="odd"), "yes"))
    seen = await converse_at([(0, "a"), (5, "b")], agent, "queue")
    assert len(seen.all(ErrorEvent)) == 1
    assert [event.content for event in seen.all(Complete)] == ["yes"]


async def test_run_that_cannot_start_is_a_failed_run() -> None:
    class Broken:
        def run_stream(self, task: str) -> Any:
            return [task]

    seen = await converse_at([(0, "a"), (1, "b")], Broken(), "queue")
    assert [event.error.kind for event in seen.all(ErrorEvent)] == ["ConfigurationError"] * 2
    assert "Broken" not in seen.all(ErrorEvent)[0].content
    assert "must return an Observable, not list" in seen.all(ErrorEvent)[0].content


async def test_cancelled_task_fails_stream() -> None:
    class Cancelled:
        def run_stream(self, _: str) -> Observable[StreamEvent]:
            return rx.throw(StreamCancelledError("cancelled"))

    seen = Seen(rx.of("a", "b").pipe(ops.converse(Cancelled())))
    await seen.over.wait()
    assert isinstance(seen.error, StreamCancelledError)
    assert len(seen.items) == 2  # delivered, queued


async def test_item_that_is_no_message_fails_stream(loop_errors: list[Exception]) -> None:
    messages: Observable[Any] = rx.of("a", 3)
    seen = Seen(messages.pipe(ops.converse(Worker(1))))
    await seen.over.wait()
    assert isinstance(seen.error, ConfigurationError)
    assert not loop_errors


@pytest.mark.parametrize("policy", POLICIES)
async def test_dispose_ends_run(policy: Policy) -> None:
    worker = Worker(10)
    messages: Subject[Any] = Subject()
    seen = Seen(messages.pipe(ops.converse(worker, policy=policy)))
    for text in "abc":
        messages.on_next(text)
        await asyncio.sleep(1)
    count = len(seen.items)
    seen.subscription.dispose()
    await settle()
    assert worker.running == 0
    assert worker.ends[-1] == "disposed"
    messages.on_next("d")
    await asyncio.sleep(100)
    assert len(seen.items) == count


@pytest.mark.parametrize("policy", POLICIES)
async def test_message_from_callback_is_taken_after_it(policy: Policy) -> None:
    """A subscriber that answers the agent is not called inside its own callback."""
    messages: Subject[Any] = Subject()
    depth = 0

    def answer(event: StreamEvent) -> None:
        nonlocal depth
        assert depth == 0
        depth += 1
        if isinstance(event, Answer) and len(event.content) < 4:
            messages.on_next(event.content + "!")
        elif isinstance(event, Answer):
            messages.on_completed()
        depth -= 1

    worker = Worker(1)
    seen = Seen(messages.pipe(ops.converse(worker, policy=policy)), answer)
    messages.on_next("a")
    await asyncio.sleep(100)
    if policy == "ignore":  # the run goes on when its answer arrives
        assert worker.tasks == ["a"]
        messages.on_completed()
    else:
        assert worker.tasks == ["a", "a!", "a!!", "a!!!"]
    await seen.over.wait()


def test_supersede_in_virtual_time() -> None:
    scheduler = TestScheduler()
    agent = rxagents.FunctionAgent(ScriptedLLM(Reply("one two or", interval=30), Reply("three")))
    messages = scheduler.create_hot_observable(
        ReactiveTest.on_next(210, "a"),
        ReactiveTest.on_next(250, "b"),
        ReactiveTest.on_completed(260),
    )
    events = messages.pipe(
        ops.converse(agent, policy="supersede"), ops.of_type(MessageOutcome, Token, Complete)
    )
    found: list[str] = []
    events.subscribe(
        lambda event: found.append(event.content),
        on_completed=lambda: found.append("end"),
        scheduler=scheduler,
    )
    scheduler.start()
    assert found == ["a", "one", " two", "a", "b", "three", "three", "end"]


async def test_conversation_id_is_passed_on() -> None:
    worker = Worker(1)
    await converse_at([(0, "a")], worker, "queue", conversation_id="ada")
    assert worker.tasks == [("a", "ada")]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"agent": object()}, "agent must have run_stream"),
        ({"policy": "drop"}, "policy must be one of"),
        ({"conversation_id": 3}, "conversation_id must be a str, not int"),
        ({"quiet": 0}, "quiet"),
    ],
)
def test_wrong_argument_is_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        ops.converse(**{"agent": Worker(1), **arguments})


@pytest.mark.parametrize("policy", POLICIES)
@settings(max_examples=size(200, quick=40))
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.1, 0.4, 1.0, 3.0]), min_size=1, max_size=12),
    seconds=st.lists(st.sampled_from([0.0, 0.2, 1.0, 2.5, -0.3]), min_size=1, max_size=4),
)
def test_policies_under_random_timing(
    policy: Policy, gaps: list[float], seconds: list[float]
) -> None:
    worker = Worker(*seconds)
    texts = [str(number) for number in range(len(gaps))]
    seen = run_async(converse_at(list(zip(gaps, texts, strict=True)), worker, policy))
    assert seen.completed
    reported = seen.all(MessageOutcome)
    last = {event.number: event.outcome for event in reported}
    assert sorted(last) == list(range(len(texts)))
    assert "queued" not in last.values()
    delivered = [event.content for event in reported if event.outcome == "delivered"]
    assert "\n".join(worker.tasks).split("\n") == delivered
    assert len(set(delivered)) == len(delivered)
    if policy in ("queue", "merge"):
        assert delivered == texts
    elif policy == "ignore":
        assert {texts[n] for n, outcome in last.items() if outcome == "delivered"} == set(delivered)
    else:
        assert last[len(texts) - 1] == "delivered"
        superseded = sum(outcome == "superseded" for outcome in last.values())
        answered = sum(end != "disposed" for end in worker.ends)
        assert superseded + answered == len(texts)
    if policy != "supersede":
        assert len(worker.ends) == len(worker.tasks)
        assert "disposed" not in worker.ends


@any_wire
async def test_superseded_request_is_closed_before_next_is_sent(wire: SpokenWire) -> None:
    open_connections: list[int] = []

    def endless(_: ReceivedRequest) -> Reply:
        open_connections.append(len(server.open_connections))
        return Reply("on and on", ending=Ending.ENDLESS, interval=0.01)

    def last(_: ReceivedRequest) -> Reply:
        open_connections.append(len(server.open_connections))
        return Reply("Yes.")

    async with ScriptedServer(endless, endless, last, strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            messages: Subject[Any] = Subject()
            agent = rxagents.ConversationalAgent(llm)
            seen = Seen(messages.pipe(ops.converse(agent, policy="supersede")))
            for number, text in enumerate(("one", "two", "three"), 1):
                messages.on_next(text)
                await server.received(number)
                if text != "three":
                    await seen.saw(Token, number)
            messages.on_completed()
            await seen.over.wait()
        assert open_connections == [1, 1, 1]
        assert server.disconnects == 2
        assert said(server.requests[-1]) == ["three"]
        assert [event.content for event in seen.all(Complete)] == ["Yes."]


@any_wire
@pytest.mark.parametrize("policy", ["queue", "merge", "ignore"])
async def test_policies_with_server(wire: SpokenWire, policy: Policy) -> None:
    slow = Reply("One. ", delay=0.2)
    async with ScriptedServer(slow, "Two.", slow, "Two.", "Three.", strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            agent = rxagents.ConversationalAgent(llm)
            seen = await converse_at([(0.0, "a"), (1.0, "b")], agent, policy, quiet=0.1)
            assert [said(request)[-1] for request in server.requests] == ["a", "b"]
            times = [(0.0, "c"), (0.15, "d"), (0.01, "e")]
            server.requests.clear()
            seen = await converse_at(times, agent, policy, quiet=0.1)
        sent = [said(request)[-1] for request in server.requests]
    assert seen.completed
    assert sent == {"queue": ["c", "d", "e"], "merge": ["c", "d\ne"], "ignore": ["c"]}[policy]
