"""`converse`: every policy under random timing, as the server sees it."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

import pytest
from conversing import said
from hypothesis import given, settings
from hypothesis import strategies as st
from matrix import size
from observing import Seen, settle
from reactivex.subject import Subject
from running import run_async
from wires import SpokenWire, any_wire

from rxagents import ConversationalAgent, ErrorEvent, FunctionAgent, MessageOutcome, ServerError
from rxagents import operators as ops
from rxagents.operators._conversing import Policy
from rxagents.testing import ReceivedRequest, Reply, ScriptedLLM, ScriptedServer
from rxagents.testing.virtual_time import virtual_loop

REPLIES = [
    Reply("One two.", delay=0.2, interval=0.3),
    Reply("Three.", delay=1.0),
    Reply("Four."),
    Reply("Five", delay=0.2, error=ServerError("down", status=500)),
]


class Talk:
    """What a server and a subscriber saw of a conversation.

    Attributes:
        sent: The texts that are new in each request.
        open_connections: The number of open connections at each request.
        seen: The subscriber.
    """

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self.open_connections: list[int] = []
        self.seen: Seen

    def outcomes(self, outcome: str) -> list[str]:
        reported = self.seen.all(MessageOutcome)
        return [event.content for event in reported if event.outcome == outcome]


async def talk(
    wire: SpokenWire, policy: Policy, times: list[tuple[float, str]], replies: list[Reply]
) -> Talk:
    found, texts = Talk(), [text for _, text in times]

    def reply(request: ReceivedRequest) -> Reply:
        found.open_connections.append(len(server.open_connections))
        known = [text for new in found.sent for text in new]
        users = [text for part in said(request) for text in part.split("\n") if text in texts]
        found.sent.append([text for text in users if text not in known])
        return replies[(len(found.sent) - 1) % len(replies)]

    async with ScriptedServer(reply, strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            messages: Subject[Any] = Subject()
            agent = FunctionAgent(llm)
            found.seen = Seen(messages.pipe(ops.converse(agent, policy=policy, quiet=0.15)))
            for seconds, text in times:
                await asyncio.sleep(seconds)
                messages.on_next(text)
            messages.on_completed()
            await found.seen.over.wait()
    return found


@any_wire
@pytest.mark.parametrize("policy", get_args(Policy))
@settings(max_examples=size(25, quick=10))
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.6, 2.0]), min_size=1, max_size=8),
    replies=st.lists(st.sampled_from(REPLIES), min_size=1, max_size=4),
)
def test_policy_under_random_timing(
    wire: SpokenWire, policy: Policy, gaps: list[float], replies: list[Reply]
) -> None:
    texts = [f"m{number}" for number in range(len(gaps))]
    found = run_async(talk(wire, policy, list(zip(gaps, texts, strict=True)), replies))
    sent = [text for new in found.sent for text in new]
    delivered = found.outcomes("delivered")
    assert found.seen.completed
    assert {event.error.kind for event in found.seen.all(ErrorEvent)} <= {"ServerError"}
    assert set(found.open_connections) == {1}
    assert sorted(set(sent)) == sorted(sent)
    if policy == "supersede":  # a run may be superseded before it sends its request
        assert [text for text in delivered if text in sent] == sent
        assert sent[-1] == texts[-1]
        answered = [text for text in texts if text not in found.outcomes("superseded")]
        assert [text for text in sent if text in answered] == answered
    else:
        assert sent == delivered
        assert sorted([*delivered, *found.outcomes("ignored")]) == sorted(texts)
    if policy in ("queue", "merge", "steer"):
        assert sent == texts
    if policy in ("queue", "ignore", "supersede"):
        assert {len(new) for new in found.sent} == {1}


@pytest.mark.parametrize("policy", get_args(Policy))
@settings(max_examples=size(200, quick=30))
@given(
    gaps=st.lists(st.sampled_from([0.0, 0.1, 0.25, 0.6, 2.0]), min_size=1, max_size=6),
    replies=st.lists(st.sampled_from(REPLIES), min_size=1, max_size=4),
    moment=st.integers(0, 40),
    remembers=st.booleans(),
)
def test_dispose_at_any_moment_leaves_nothing(
    policy: Policy, gaps: list[float], replies: list[Reply], moment: int, remembers: bool
) -> None:
    """The run ends at once, and `run_async` fails if a task is left."""
    llm = ScriptedLLM(*replies)
    agent = (ConversationalAgent if remembers else FunctionAgent)(llm)

    async def leave() -> None:
        messages: Subject[Any] = Subject()
        seen = Seen(messages.pipe(ops.converse(agent, policy=policy, quiet=0.15)))
        loop = asyncio.get_running_loop()
        when, later = 0.0, []
        for number, gap in enumerate(gaps):
            when += gap
            later.append(loop.call_at(when, messages.on_next, f"m{number}"))
        await asyncio.sleep(moment / 10)
        seen.subscription.dispose()
        requests, items = len(llm.requests), len(seen.items)
        for handle in later:
            handle.cancel()
        await settle()
        assert not virtual_loop().timers
        messages.on_next("more")
        await asyncio.sleep(20)
        assert (len(llm.requests), len(seen.items)) == (requests, items)
        assert (seen.completed, seen.error) == (False, None)

    run_async(leave())
