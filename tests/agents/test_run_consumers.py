"""Consumers that raise, threads, and plain scripts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from agent_runs import (
    AgentKind,
    Calls,
    RunSeen,
    each_agent,
    seen_to_end,
    served,
)
from reactivex import operators as rx_ops
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Answer,
    Complete,
    ConfigurationError,
    ErrorEvent,
    Reset,
    StreamChunk,
    StreamEvent,
    Token,
    ToolEnd,
    ToolStart,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM, StatusReply

# Consumers that raise.


@each_agent
@any_wire
@pytest.mark.parametrize("kind", [Token, ToolStart, ToolEnd, Answer, Complete])
async def test_consumer_exception_is_reported_once(
    agent: AgentKind, wire: SpokenWire, kind: type[StreamEvent], loop_errors: list[Exception]
) -> None:
    calls = Calls()
    raised = asyncio.Event()

    def fail(event: StreamEvent) -> None:
        if isinstance(event, kind):
            raised.set()
            raise KeyError("mine")

    turns = agent.calls(("weather", {"city": "Oslo"}), text="Hm."), agent.answers("Cold.")
    async with served(wire, *turns) as (_, llm):
        run = agent.make(llm, [calls.weather()]).run_stream("hi")
        seen = RunSeen(run.pipe(rx_ops.retry(3)), fail)
        await raised.wait()
        await seen.assert_silent()
        assert isinstance(seen.events[-1], kind)
        assert len(calls.made) == (0 if kind in {Token, ToolStart} else 1)
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


@each_agent
async def test_exception_at_error_event_reported_once(
    agent: AgentKind, loop_errors: list[Exception]
) -> None:
    def fail(event: StreamEvent) -> None:
        if isinstance(event, ErrorEvent):
            raised.set()
            raise KeyError("mine")

    raised = asyncio.Event()
    llm = ScriptedLLM(Reply("Hm", error=rxagents.ServerError("broken", status=500)))
    seen = RunSeen(agent.make(llm).run_stream("hi"), fail)
    await raised.wait()
    await seen.assert_silent()
    assert [type(error) for error in loop_errors] == [KeyError]
    loop_errors.clear()


# Loops and threads.


@each_agent
def test_missing_loop_error_names_run(agent: AgentKind) -> None:
    run = agent.make(ScriptedLLM("x")).run_stream("hi")
    errors: list[Exception] = []
    run.subscribe(on_error=errors.append)
    (error,) = errors
    assert isinstance(error, ConfigurationError)
    assert "rxagents.run" in str(error)
    with pytest.raises(ConfigurationError, match=r"rxagents\.run"):
        run.subscribe(lambda _: None)


@each_agent
def test_plain_script_runs_an_agent(agent: AgentKind) -> None:
    calls = Calls()
    llm = ScriptedLLM(agent.calls(("weather", {"city": "Oslo"})), agent.answers("Cold."))
    events: list[StreamEvent] = []
    last = rxagents.run(agent.make(llm, [calls.weather()]).run_stream("hi"), events.append)
    assert isinstance(last, Complete)
    assert last is events[-1]


@each_agent
@any_wire
async def test_events_come_on_the_loop(agent: AgentKind, wire: SpokenWire) -> None:
    @rxagents.tool
    def on_a_thread() -> str:
        assert threading.current_thread() is not threading.main_thread()
        return "done"

    turns = agent.calls(("on_a_thread", {})), agent.answers("Done.")
    threads: set[int] = set()
    async with served(wire, *turns) as (_, llm):
        run = agent.make(llm, [on_a_thread]).run_stream("hi")
        seen = RunSeen(run, lambda _: threads.add(threading.get_ident()))
        assert seen.events == []
        await seen.over.wait()
    assert seen.error is None
    assert [end.error for end in seen.all(ToolEnd)] == [None]
    assert threads == {threading.get_ident()}


class AtOnce(ScriptedLLM):
    """A model that emits inside `subscribe`, as a user's own may."""

    def chat_stream(self, *_: Any, **__: Any) -> rx.Observable[StreamChunk]:
        return rx.of(StreamChunk("Answer: yes"), StreamChunk(finish_reason="stop"))


@each_agent
async def test_synchronous_model_does_not_emit_early(
    agent: AgentKind,
) -> None:
    seen = RunSeen(agent.make(AtOnce()).run_stream("hi"))
    assert (seen.events, seen.completed) == ([], False)
    await seen.over.wait()
    assert seen.completed
    gone = RunSeen(agent.make(AtOnce()).run_stream("hi"))
    gone.dispose()
    await asyncio.sleep(0)
    assert gone.events == []


# Retries.


@each_agent
@any_wire
async def test_run_may_be_retried(agent: AgentKind, wire: SpokenWire) -> None:
    async with served(wire, StatusReply(503, "down"), agent.answers("Cold.")) as (_, llm):
        run = agent.make(llm).run_stream("hi")
        again = run.pipe(ops.retry_with_backoff(on_reset=Reset.of, first_wait=0))
        seen = await seen_to_end(again)
        assert (seen.error, seen.events[-1].content) == (None, "Cold.")
        assert not seen.all(ErrorEvent)
