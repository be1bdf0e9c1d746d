"""Test `trace`."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import reactivex as rx
from reactivex.testing import TestScheduler
from tracing import Collected, values

import rxagents
from rxagents import ConfigurationError, ErrorInfo, StreamChunk, Token, ToolEnd, ToolStart, Usage
from rxagents import operators as ops
from rxagents.core.events import Complete
from rxagents.testing import Reply, ScriptedLLM

USAGE = Usage(input_tokens=10, output_tokens=5, total_tokens=15)


@pytest.fixture
def collected() -> Collected:
    return Collected()


async def read(stream: rx.Observable[Any]) -> list[Any]:
    async with rxagents.to_aiter(stream) as items:
        return [item async for item in items]


async def test_both_attempts_of_a_hedge_have_one_parent(collected: Collected) -> None:
    slow = ScriptedLLM(Reply("slow", delay=10)).chat_stream("Hi")
    fast = ScriptedLLM("fast").chat_stream("Hi")
    raced = slow.pipe(ops.hedge(fast, after=1), ops.trace("race", **collected.providers))
    chunks = await read(raced)
    assert "".join(chunk.delta for chunk in chunks) == "fast"
    assert collected.tree() == ["race", "..chat scripted", "..chat scripted"]
    loser, winner = collected.named("chat scripted")
    assert values(loser)["rxagents.disposed"] is True
    assert values(winner)["gen_ai.response.finish_reasons"] == ("stop",)


async def test_fallback_shows_the_failure_and_the_other(collected: Collected) -> None:
    broken = ScriptedLLM(Reply("One", cut_after=0)).chat_stream("Hi")
    other = ScriptedLLM("Two").chat_stream("Hi")
    await read(broken.pipe(ops.fallback_to(other), ops.trace("ask", **collected.providers)))
    assert collected.tree() == ["ask", "..chat scripted", "..chat scripted"]
    failed, answered = collected.named("chat scripted")
    assert values(failed)["error.type"] == "TruncatedStreamError"
    assert "error.type" not in values(answered)


async def test_trace_leaves_other_streams_alone(collected: Collected) -> None:
    llm = ScriptedLLM("One")
    traced = llm.chat_stream("Hi").pipe(ops.trace(**collected.providers))
    await asyncio.gather(read(traced), read(llm.chat_stream("Hi")))
    assert collected.tree() == ["chat scripted"]


async def test_trace_takes_the_place_of_instrument(collected: Collected) -> None:
    other = Collected()
    with collected.instrumented():
        await read(ScriptedLLM("One").chat_stream("Hi").pipe(ops.trace(**other.providers)))
    assert (collected.tree(), other.tree()) == ([], ["chat scripted"])


async def test_chunks_of_other_origin_get_a_chat_span(collected: Collected) -> None:
    chunks = (
        StreamChunk("Hi", metadata={"id": "r1", "model": "x"}),
        StreamChunk(finish_reason="stop", usage=USAGE),
    )
    await read(rx.of(*chunks).pipe(ops.trace(**collected.providers)))
    known = values(collected.one("chat"))
    assert known["gen_ai.response.id"] == "r1"
    assert known["gen_ai.usage.output_tokens"] == 5


async def test_events_of_other_origin_get_spans_of_run_and_tools(collected: Collected) -> None:
    events = (
        ToolStart("c1", "find", {"a": 1}),
        ToolStart("c2", "lose"),
        Token("inner", path=("find",)),
        ToolEnd("c1", "find", "done"),
        ToolEnd("c2", "lose", "Error", ErrorInfo("ToolError", "lost")),
        Complete("Found.", USAGE, 2, "stop"),
    )
    await read(rx.of(*events).pipe(ops.trace(**collected.providers)))
    assert collected.tree() == ["invoke_agent", "..execute_tool find", "..execute_tool lose"]
    assert values(collected.one("execute_tool lose"))["error.type"] == "ToolError"
    assert values(collected.one("invoke_agent"))["gen_ai.usage.output_tokens"] == 5
    (tools,) = collected.points("gen_ai.invoke_agent.tool_calls")
    assert tools.sum == 2


async def test_other_items_have_no_span_without_a_name(collected: Collected) -> None:
    assert await read(rx.of(1, 2).pipe(ops.trace(**collected.providers))) == [1, 2]
    assert collected.spans == ()


async def test_error_of_subscribe_reaches_the_subscriber(collected: Collected) -> None:
    def subscribe(*_: Any) -> Any:
        raise OSError("no")

    stream: rx.Observable[Any] = rx.Observable(subscribe)
    with pytest.raises(OSError, match="no"):
        await read(stream.pipe(ops.trace("x", **collected.providers)))
    assert values(collected.one("x"))["error.type"] == "OSError"


@pytest.mark.parametrize("name", ["x", None])
async def test_traced_synchronous_source_keeps_rules_of_reactivex(
    collected: Collected, name: str | None
) -> None:
    """What a consumer raises while such a source emits goes to its `on_error`."""
    errors: list[Exception] = []

    def fail(_: int) -> None:
        raise ValueError("mine")

    rx.of(1, 2).pipe(ops.trace(name, **collected.providers)).subscribe(fail, errors.append)
    await asyncio.sleep(1)
    assert [str(error) for error in errors] == ["mine"]
    assert set(collected.live().values()) <= {0}


def test_missing_package_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'opentelemetry'", name="opentelemetry")

    monkeypatch.setattr("importlib.import_module", missing)
    with pytest.raises(ConfigurationError, match=r"pip install 'rxagents\[otel\]'"):
        ops.trace()


def test_trace_in_virtual_time_leaves_other_streams_alone(collected: Collected) -> None:
    scheduler, llm = TestScheduler(), ScriptedLLM("One")
    llm.chat_stream("Hi").pipe(ops.trace(**collected.providers)).subscribe(scheduler=scheduler)
    llm.chat_stream("Hi").subscribe(scheduler=scheduler)
    scheduler.start()
    assert collected.tree() == ["chat scripted"]
