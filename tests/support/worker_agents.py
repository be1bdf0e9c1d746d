"""Make agents in the workers of `run_many`, which import them by name."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import resource
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import reactivex as rx
from reactivex import Observable, abc

import rxagents
from rxagents import FunctionAgent, StreamEvent, Token, ToolCall
from rxagents.testing import Reply, ScriptedLLM


def make_agent() -> FunctionAgent[str]:
    return FunctionAgent(ScriptedLLM(Reply("It is warm.", usage=rxagents.Usage(7, 2))))


def make_limited(url: str, name: str) -> FunctionAgent[str]:
    """Return an agent whose first request is sent, and whose others wait for a limiter in Redis."""
    limiter = rxagents.RedisLimiter(url, name, concurrent=1)
    return FunctionAgent(ScriptedLLM(Reply("It is warm.", interval=60)), limiter=limiter)


CALLS: list[str] = []
"""The calls of `step`."""


class StepModel:
    """A model that calls a tool in two turns and then answers; its script is the conversation."""

    def chat_stream(self, messages: Any, tools: Any = None, **_: Any) -> Observable[Any]:
        done = sum(message.role == "tool" for message in messages)
        if done == 2:
            reply = Reply(f"The answer of {messages[0].text} is whole.", interval=0.05)
        else:
            call = ToolCall(f"call_{done}", "step", json.dumps({"name": messages[0].text}))
            reply = Reply(f"Step {done}. ", tool_calls=[call], interval=0.05)
        return ScriptedLLM(reply).chat_stream(messages, tools)


def make_stepping() -> FunctionAgent[str]:
    @rxagents.tool
    async def step(name: str, context: rxagents.ToolContext) -> str:
        CALLS.append(f"{name} {context.call_id}")
        await asyncio.sleep(0.01)
        return "ok"

    return FunctionAgent(StepModel(), [step])  # type: ignore[arg-type]  # an agent uses no more


def make_mixed() -> Any:
    """Return a function whose input says what the run does."""
    return _mixed


def make_nothing() -> Any:
    raise OSError("no such model")


def _mixed(what: Any) -> Observable[StreamEvent]:
    match what:
        case "raises":
            raise KeyError("no such thing")
        case "fails":
            return rx.throw(rxagents.RateLimitError("slow down", provider="x", status=429))
        case "exits":
            return rxagents.from_aiter(lambda: _after_token(os._exit, 3))
        case "is killed":
            return rxagents.from_aiter(lambda: _after_token(os.kill, os.getpid(), signal.SIGKILL))
        case {"eat": most}:
            return rxagents.from_aiter(lambda: _after_token(_eat_memory, most))
        case "gets no memory":
            return rxagents.from_aiter(lambda: _after_token(_eat_more_than_allowed))
        case "large number":
            return rx.of(rxagents.Partial(2**70))
        case "odd text":
            return rx.of(Token("\ud800 a"))
        case "no event":
            return rx.of("text")  # type: ignore[arg-type]  # the fault under test
        case "cannot be encoded":
            return rx.of(rxagents.Partial(object()))
        case "operator raises":
            return make_agent().run_stream("Oslo").pipe(_broken)
        case "endless":
            return rxagents.from_aiter(_endless)
        case "slow":
            return rxagents.from_aiter(_slow)
        case {"ask": url}:
            llm = rxagents.OpenAI(model="m", api_key="k", base_url=url)
            return FunctionAgent(llm).run_stream("Hello")
        case _:
            return make_agent().run_stream("Oslo")


def _broken(source: Observable[StreamEvent]) -> Observable[StreamEvent]:
    """An operator that raises in its `on_next`, and not to `on_error`."""

    def subscribe(
        observer: abc.ObserverBase[StreamEvent], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        def on_next(_: StreamEvent) -> None:
            raise ZeroDivisionError("broken")

        return source.subscribe(
            on_next, observer.on_error, observer.on_completed, scheduler=scheduler
        )

    return Observable(subscribe)


async def _after_token(function: Any, *arguments: Any) -> AsyncIterator[StreamEvent]:
    yield Token("a")
    await asyncio.sleep(0.05)
    function(*arguments)


def _eat_memory(most: int) -> None:
    """Take memory, some at a time, so that what watches it sees it grow."""
    held = []
    for _ in range(most >> 25):
        held.append(b"x" * 2**25)
        time.sleep(0.01)


def _eat_more_than_allowed() -> None:
    old = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**27, old[1]))
    try:
        _eat_memory(2**30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, old)


async def _endless() -> AsyncIterator[StreamEvent]:
    for number in itertools.count():
        yield Token(str(number))


async def _slow() -> AsyncIterator[StreamEvent]:
    yield Token("a")
    await asyncio.sleep(0.3)
    yield Token("b")
