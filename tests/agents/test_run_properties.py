"""The rules of a run, for random replies, tools and approvals, stopped and steered at any event."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import takewhile
from typing import Any

from agent_runs import AGENTS, AgentKind, RunSeen
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from matrix import size
from msgspec import Struct
from observing import in_thread, settle
from running import run_async
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    AgentError,
    AgentRun,
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    Conversation,
    ErrorEvent,
    Message,
    ProviderError,
    Reset,
    ServerError,
    StreamEvent,
    Token,
    ToolCall,
    ToolEnd,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.exchange import is_whole
from rxagents.testing import Ending, ReceivedRequest, Reply, ScriptedServer
from rxagents.testing.scripted_server import ServerReply

NAMES = ("quick", "slow", "guarded", "direct", "fails", "unknown")
ACTIONS = ("stop", "stop on a thread", "steer", "steer now")


class Plan(Struct, frozen=True):
    """What one example does.

    Attributes:
        replies: The kind of each reply, and the tools that it calls.
        actions: Before which event to do what, and whether inside the subscriber's callback.
        options: The agent's options.
        approval: How a call is decided: after how many seconds, and the decision; or `"defer"`.
        interval: Seconds between the pieces of a reply.
        dispose: Before which event to dispose a stream that no handle has; `None` for a handle.
        remembers: Whether the run is one of a conversation.
        on_stop: What the conversation keeps.
        resumes: Whether calls that wait get decisions; else a new message denies them.
    """

    replies: list[tuple[str, list[str]]]
    actions: list[tuple[int, str, bool]]
    options: dict[str, Any]
    approval: tuple[float, bool] | str
    interval: float
    dispose: int | None
    remembers: bool
    on_stop: Any
    resumes: bool


PLANS = st.builds(
    Plan,
    replies=st.lists(
        st.tuples(
            st.sampled_from(("text", "calls", "calls", "cut", "error", "stall", "blank")),
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
        ),
        min_size=1,
        max_size=4,
    ),
    actions=st.lists(
        st.tuples(st.integers(0, 25), st.sampled_from(ACTIONS), st.booleans()), max_size=3
    ),
    options=st.fixed_dictionaries(
        {
            "at_limit": st.sampled_from(("error", "answer")),
            "max_iterations": st.integers(1, 5),
            "max_tool_calls": st.sampled_from((None, 1, 2)),
            "tool_concurrency": st.sampled_from((1, 8)),
            "start_tools": st.sampled_from(("at_once", "turn_end")),
        }
    ),
    approval=st.tuples(st.sampled_from((0.0, 3.0)), st.booleans())
    | st.just("defer")
    | st.just("defer"),
    interval=st.sampled_from((0.0, 1.0)),
    dispose=st.none() | st.none() | st.integers(0, 25),
    remembers=st.booleans(),
    on_stop=st.sampled_from(("drop", "keep")),
    resumes=st.booleans(),
)


def tools() -> list[rxagents.Tool]:
    """Return tools that end at once, after some time, or with an error."""

    async def slow() -> str:
        await asyncio.sleep(5)
        return "slow result"

    def fails() -> str:
        raise LookupError("It failed.")

    return [
        rxagents.tool(lambda: "quick result", name="quick"),
        rxagents.tool(slow),
        rxagents.tool(lambda: "guarded result", name="guarded", requires_approval=True),
        rxagents.tool(lambda: "direct result", name="direct", returns_directly=True),
        rxagents.tool(fails),
    ]


class Talk:
    """One run of an agent with a server, and what a subscriber saw of it.

    Args:
        plan: What to do.
        agent: The kind of the agent.
        llm: The model.
    """

    def __init__(self, plan: Plan, agent: AgentKind, llm: Any) -> None:
        self.plan = plan
        self._number = 0
        made = agent.make(llm, tools(), approve=self._approve(), **plan.options)
        self.agent = Conversation(made, on_stop=plan.on_stop) if plan.remembers else made
        self.run: AgentRun[str] | None = None
        self.seen: RunSeen | None = None
        self.took = 0  # messages that the run has taken
        self.acted: list[tuple[str, int]] = []  # with the number of events before
        self._disposed = asyncio.Event()

    def _approve(self) -> Any:
        if isinstance(self.plan.approval, str):
            return self.plan.approval
        seconds, decision = self.plan.approval

        async def approve(_: ToolCall) -> bool:
            await asyncio.sleep(seconds)
            return decision

        return approve

    async def go(self) -> RunSeen:
        """Run to the end, and do what the plan says on the way."""
        if self.plan.dispose is None:
            self.run = self.agent.start("begin")
            self.seen = RunSeen(self.run.events, self._on_event)
        else:
            self.seen = RunSeen(self.agent.run_stream("begin"), self._on_event)
            if self.plan.dispose == 0:
                self._dispose()
        self._act()
        ends = [asyncio.ensure_future(each.wait()) for each in (self.seen.over, self._disposed)]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for each in ends:
            each.cancel()
        await settle()
        return self.seen

    def _dispose(self) -> None:
        assert self.seen is not None
        self._disposed.set()
        self.seen.dispose()

    def _on_event(self, _: StreamEvent) -> None:
        self._number += 1
        if self.plan.dispose is not None and self._number >= self.plan.dispose:
            assert not self._disposed.is_set(), "nothing comes after dispose"
            self._dispose()
        self._act()

    def _act(self) -> None:
        for number, action, is_inside in self.plan.actions:
            if number == self._number and self.run is not None:
                if is_inside:
                    self._do(action)
                else:
                    asyncio.get_running_loop().call_soon(self._do, action)

    def _do(self, action: str) -> None:
        assert self.run is not None
        if action == "stop on a thread":
            in_thread(self.run.stop)
        elif action == "stop":
            self.run.stop()
        else:
            took = self.run.steer("steered", now=action == "steer now")
            self.took += took
            if not took:
                return
        self.acted.append((action, self._number))


def replies(plan: Plan, agent: AgentKind) -> Callable[[ReceivedRequest], ServerReply]:
    """Return what answers each request: the planned replies, then always the same text."""
    left = list(plan.replies)

    def reply(_: ReceivedRequest) -> ServerReply:
        if not left:
            return agent.answers("The end.")
        kind, names = left.pop(0)
        if kind == "calls":
            return agent.calls(*((name, {}) for name in names), interval=plan.interval)
        if kind == "cut":
            return agent.calls(*((name, {}) for name in names), finish_reason="length")
        if kind == "error":
            return agent.answers("Half an", error=ServerError("It broke.", status=500))
        if kind == "stall":
            return agent.answers("one two three four", cut_after=5, ending=Ending.STALL)
        if kind == "blank":
            return Reply("\n")
        return agent.answers("one two three", interval=plan.interval)

    return reply


def is_direct(event: StreamEvent) -> bool:
    """Return whether an event is the text of a tool that returns directly: its turn has ended."""
    return isinstance(event, Token) and "direct result" in event.content


def check_acts(seen: RunSeen, acted: list[tuple[str, int]]) -> None:
    """Check that nothing of a turn follows that was ended."""
    for action, number in acted:
        after = [event for event in seen.items[number:] if not is_direct(event)]
        if action == "stop":
            assert all(isinstance(event, _LAST) for event in after), (number, seen.items)
        if action == "steer now":
            rest = takewhile(lambda event: not isinstance(event, TurnStart), after)
            assert all(isinstance(event, _LAST) for event in rest), (number, seen.items)


_LAST = (Answer, Reset, TurnEnd, Complete, ErrorEvent)


def check_events(seen: RunSeen, acted: list[tuple[str, int]]) -> None:
    """Check the grammar of turns and tools, and the end."""
    own = [event for event in seen.items if not event.path]
    is_open, number = False, 0
    running: set[str] = set()
    for event in own:
        match event:
            case TurnStart():
                assert not is_open
                assert not running
                number += 1
                assert event.number == number
                is_open = True
            case TurnEnd():
                assert is_open
                assert event.number == number
                assert not running or event.finish_reason == "cancelled", own
                is_open = False
                running.clear()
            case ToolStart():
                assert is_open
                running.add(event.call_id)
            case ToolEnd() if event.call_id in running:
                running.remove(event.call_id)
            case ToolEnd():
                assert "did not run" in event.result
            case ApprovalRequest() | ApprovalAnswer():
                assert is_open
    if seen.error is not None:
        seen.assert_failed(type(seen.error))
        assert isinstance(seen.error, AgentError | ProviderError)
        return
    if not seen.completed:
        return
    assert not is_open
    [complete] = seen.all(Complete)
    assert own[-1] is complete
    if complete.finish_reason == "cancelled":
        assert any(action.startswith("stop") for action, _ in acted)


async def check_end(talk: Talk, seen: RunSeen) -> None:
    """Check that the handle, its result and the events say the same."""
    run = talk.run
    if run is None:
        return
    assert run.has_ended
    assert not run.steer("late")
    steered = [each for each in run.messages if each.text == "steered"]
    if seen.error is not None:
        assert seen.error.messages == run.messages  # type: ignore[attr-defined]  # of a run that failed
        assert len(steered) <= talk.took
        return
    result = await run.result
    [complete] = seen.all(Complete)
    assert (complete.content, complete.finish_reason) == (result.output, result.finish_reason)
    assert (complete.usage, complete.pending) == (result.usage, result.pending)
    assert run.messages == result.messages
    assert result.usage is None or not result.usage.estimated
    assert result.iterations == len(seen.all(TurnStart))
    is_stopped = any(action.startswith("stop") for action, _ in talk.acted)
    assert len(steered) == talk.took or (is_stopped and len(steered) < talk.took)


async def check_goes_on(talk: Talk, seen: RunSeen, server: ScriptedServer) -> None:
    """Check that the run can be resumed, and that the provider accepts what it has left."""
    agent: Any = talk.agent
    remembers = isinstance(agent, Conversation)
    messages: tuple[Message, ...] = ()
    if talk.run is not None:
        messages = talk.run.messages
        pending = () if seen.error is not None else (await talk.run.result).pending
        assert pending or seen.error is not None or is_whole(messages), messages
        if pending and talk.plan.resumes:
            decisions = {call.id: number % 2 == 0 for number, call in enumerate(pending)}
            resumed = agent.resume(decisions) if remembers else agent.resume(messages, decisions)
            messages = (await accepted(resumed)).messages
    if remembers:
        for exchange in (await agent.memory.conversation("default")).exchanges:
            assert is_whole(exchange), exchange
    before = len(server.requests)
    await accepted(agent.run("next" if remembers else [*messages, Message.user("next")]))
    assert len(server.requests) > before


async def accepted(run: Awaitable[Any]) -> Any:
    """Await a run in which the provider must not refuse the messages; return its end."""
    outcomes: tuple[Any, ...] = await asyncio.gather(
        asyncio.wait_for(run, 1000), return_exceptions=True
    )
    end = outcomes[0]
    if isinstance(end, BaseException) and not isinstance(end, AgentError):
        # The rest of the plan may fail the run.
        assert "It broke." in str(end) or "sent no event" in str(end), end
    return end


async def check(wire: SpokenWire, agent: AgentKind, plan: Plan) -> None:
    async with ScriptedServer(replies(plan, agent), strict=True) as server:
        async with wire.model(wire.url_of(server), max_retries=0) as llm:
            talk = Talk(plan, agent, llm)
            seen = await talk.go()
            check_events(seen, talk.acted)
            check_acts(seen, talk.acted)
            await check_end(talk, seen)
            await check_goes_on(talk, seen, server)
        await server.connections_closed()


@any_wire
@settings(
    deadline=None,
    max_examples=size(150, quick=40),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(agent=st.sampled_from(AGENTS), plan=PLANS)
def test_rules_hold_for_random_runs(wire: SpokenWire, agent: AgentKind, plan: Plan) -> None:
    run_async(check(wire, agent, plan))
