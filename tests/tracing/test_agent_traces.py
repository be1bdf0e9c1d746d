"""Test the spans and metrics of agents: parents, attributes, counts."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
import reactivex as rx
from opentelemetry import trace as otel
from opentelemetry.trace import SpanKind, StatusCode
from reactivex import operators as rx_ops
from reactivex.testing import TestScheduler
from tracing import Collected, values

import rxagents
from rxagents import (
    AgentRun,
    Conversation,
    ConversationalAgent,
    FunctionAgent,
    OpenAI,
    ReActAgent,
    StreamChunk,
    ToolCall,
    Usage,
    tool,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer, StatusReply

USAGE = Usage(input_tokens=10, output_tokens=5, total_tokens=15)


@pytest.fixture
def collected() -> Collected:
    return Collected()


def current_span() -> Any:
    return otel.get_current_span()


@tool
async def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def calls(*names: str) -> Reply:
    return Reply(
        tool_calls=[ToolCall(f"call_{name}", name, '{"a": 2, "b": 3}') for name in names],
        usage=USAGE,
    )


TWO_ACTIONS = (
    Reply("Thought: add\nAction: add(a=2, b=3)\n", usage=USAGE),
    Reply("Thought: multiply\nAction: multiply(a=5, b=3)\n", usage=USAGE),
    Reply("Final Answer: 15", usage=USAGE),
)
REACT_TREE = [
    "invoke_agent calculator",
    "..chat scripted",
    "..execute_tool add",
    "..chat scripted",
    "..execute_tool multiply",
    "..chat scripted",
]


async def test_react_run_is_a_tree_of_spans(collected: Collected) -> None:
    agent = ReActAgent(ScriptedLLM(*TWO_ACTIONS), [add, multiply], name="calculator")
    with collected.instrumented():
        result = await agent.run("What is (2 + 3) * 3?")
    assert result.output == "15"
    assert collected.tree() == REACT_TREE
    run, sum_ = collected.one("invoke_agent calculator"), collected.one("execute_tool add")
    assert (run.kind, sum_.kind) == (SpanKind.INTERNAL, SpanKind.INTERNAL)
    assert values(run) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "calculator",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 30,
        "gen_ai.usage.output_tokens": 15,
    }
    assert values(sum_) == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "add",
        "gen_ai.tool.type": "function",
        "gen_ai.tool.description": "Add two numbers.",
        "gen_ai.tool.call.id": values(sum_)["gen_ai.tool.call.id"],
    }
    assert {span.status.status_code for span in collected.spans} == {StatusCode.UNSET}
    for metric, total in (("inference_calls", 3), ("tool_calls", 2), ("duration", None)):
        (point,) = collected.points(f"gen_ai.invoke_agent.{metric}")
        assert point.count == 1
        assert total in {None, point.sum}
        assert dict(point.attributes) == {
            "gen_ai.agent.name": "calculator",
            **({"gen_ai.operation.name": "invoke_agent"} if metric == "duration" else {}),
        }
    tools = collected.points("gen_ai.execute_tool.duration")
    assert {point.attributes["gen_ai.tool.name"] for point in tools} == {"add", "multiply"}
    assert {point.attributes["gen_ai.agent.name"] for point in tools} == {"calculator"}
    (duration,) = collected.points("gen_ai.client.inference.duration")
    assert duration.count == 3
    (tokens,) = collected.points("gen_ai.client.inference.usage.input_tokens")
    assert tokens.value == 30
    assert set(collected.live().values()) == {0}


@pytest.mark.real_time
async def test_run_over_http_is_the_same_tree(collected: Collected) -> None:
    replies = (calls("add"), calls("multiply"), Reply("15", usage=USAGE))
    async with ScriptedServer(*replies) as server, OpenAI("m", base_url=server.url) as llm:
        agent = FunctionAgent(llm, [add, multiply], name="calculator")
        with collected.instrumented():
            await agent.run("What is (2 + 3) * 3?")
    assert collected.tree() == [line.replace("scripted", "m") for line in REACT_TREE]
    assert {values(chat)["server.port"] for chat in collected.named("chat m")} == {server.port}


async def test_tools_of_one_turn_have_the_run_as_parent(collected: Collected) -> None:
    """The second one starts in the context of the first, which has ended."""
    agent = FunctionAgent(
        ScriptedLLM(calls("add", "multiply", "add"), "6"), [add, multiply], tool_concurrency=1
    )
    with collected.instrumented():
        await agent.run("Go")
    assert collected.tree() == [
        "invoke_agent FunctionAgent",
        "..chat scripted",
        "..execute_tool add",
        "..execute_tool multiply",
        "..execute_tool add",
        "..chat scripted",
    ]


async def test_context_reaches_every_kind_of_tool(collected: Collected) -> None:
    seen: dict[str, tuple[str, bool]] = {}

    def look(name: str) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        seen[name] = current_span().name, in_main

    @tool
    async def on_loop() -> str:
        await asyncio.sleep(1)
        look("on_loop")
        return ""

    @tool
    def on_thread() -> str:
        look("on_thread")
        return ""

    @tool
    def observable() -> rx.Observable[str]:
        look("observable")
        return rx.just("")

    tools = [on_loop, on_thread, observable]
    asked = Reply(tool_calls=[ToolCall(t.name, t.name, "{}") for t in tools])
    agent = FunctionAgent(ScriptedLLM(asked, "done"), tools)
    with collected.instrumented():
        await agent.run("Go")
    assert seen == {
        "on_loop": ("execute_tool on_loop", True),
        "on_thread": ("execute_tool on_thread", False),
        "observable": ("execute_tool observable", True),
    }


async def test_sub_agent_is_below_its_tool(collected: Collected) -> None:
    expert = FunctionAgent(ScriptedLLM(calls("add"), "5"), [add], name="expert")
    asked = Reply(tool_calls=[ToolCall("c", "ask", '{"task": "2 + 3"}')], usage=USAGE)
    outer = FunctionAgent(
        ScriptedLLM(asked, "It is 5."), [expert.as_tool("ask", "Asks.")], name="boss"
    )
    with collected.instrumented():
        await outer.run("What is 2 + 3?")
    assert collected.tree() == [
        "invoke_agent boss",
        "..chat scripted",
        "..execute_tool ask",
        "....invoke_agent expert",
        "......chat scripted",
        "......execute_tool add",
        "......chat scripted",
        "..chat scripted",
    ]
    points = collected.points("gen_ai.invoke_agent.inference_calls")
    assert {p.attributes["gen_ai.agent.name"]: p.sum for p in points} == {"boss": 2, "expert": 2}


async def test_dispose_ends_all_spans_without_error(collected: Collected) -> None:
    started = asyncio.Event()

    @tool
    async def wait() -> str:
        started.set()
        await asyncio.Event().wait()
        return ""

    asked = Reply(tool_calls=[ToolCall("c", "wait", "{}")])
    with collected.instrumented():
        stream = FunctionAgent(ScriptedLLM(asked), [wait]).run_stream("Go")
        subscription = stream.subscribe()
        await started.wait()
        assert collected.live() == {"chat": 0, "invoke_agent": 1, "execute_tool": 1}
        subscription.dispose()
        subscription.dispose()
    assert collected.live() == {"chat": 0, "invoke_agent": 0, "execute_tool": 0}
    run, waiting = collected.one("invoke_agent FunctionAgent"), collected.one("execute_tool wait")
    for span in (run, waiting):
        assert values(span)["rxagents.disposed"] is True
        assert "error.type" not in values(span)
        assert span.status.status_code is StatusCode.UNSET
    assert (waiting.end_time or 0) <= (run.end_time or 0)


async def test_failing_tool_is_an_error_of_its_span_only(collected: Collected) -> None:
    attempts: list[int] = []

    @tool(retries=1)
    async def break_down() -> str:
        attempts.append(1)
        raise OSError("secret path")

    asked = Reply(tool_calls=[ToolCall("c", "break_down", "{}")])
    with collected.instrumented():
        await FunctionAgent(ScriptedLLM(asked, "sorry"), [break_down]).run("Go")
    span = collected.one("execute_tool break_down")
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None  # it may hold content
    assert values(span)["error.type"] == "OSError"
    (retry,) = span.events
    assert (retry.name, len(attempts)) == ("rxagents.retry", 2)
    run = collected.one("invoke_agent FunctionAgent")
    assert run.status.status_code is StatusCode.UNSET


async def test_failing_run_is_an_error(collected: Collected) -> None:
    agent = FunctionAgent(ScriptedLLM(calls("add")), [add], max_iterations=1)
    with collected.instrumented(), pytest.raises(rxagents.MaxIterationsError):
        await agent.run("Go")
    span = collected.one("invoke_agent FunctionAgent")
    assert span.status.status_code is StatusCode.ERROR
    assert values(span)["error.type"] == "MaxIterationsError"
    (point,) = collected.points("gen_ai.invoke_agent.duration")
    assert point.attributes["error.type"] == "MaxIterationsError"


async def test_conversation_has_its_id_on_run_and_chat(collected: Collected) -> None:
    conversation = Conversation(FunctionAgent(ScriptedLLM("Hi"), name="friend"))
    with collected.instrumented():
        await conversation.run("Hello", "ada")
    assert collected.tree() == ["invoke_agent friend", "..chat scripted"]
    assert [values(span)["gen_ai.conversation.id"] for span in collected.spans] == ["ada", "ada"]


async def test_conversational_agent_has_its_own_name(collected: Collected) -> None:
    with collected.instrumented():
        await ConversationalAgent(ScriptedLLM("Hi")).run("Hello")
        await ConversationalAgent(ScriptedLLM("Hi"), name="ada").run("Hello")
    names = [span.name for span in collected.spans if span.name.startswith("invoke")]
    assert names == ["invoke_agent ConversationalAgent", "invoke_agent ada"]


async def test_started_run_keeps_its_parent(collected: Collected) -> None:
    agent = FunctionAgent(ScriptedLLM(calls("add"), "5"), [add])
    outer = collected.spans_made.get_tracer("test")
    with collected.instrumented():
        with outer.start_as_current_span("request"):
            run: AgentRun[str] = agent.start("Go")
        await run.result
    assert collected.tree() == [
        "request",
        "..invoke_agent FunctionAgent",
        "....chat scripted",
        "....execute_tool add",
        "....chat scripted",
    ]


async def test_hundred_runs_never_mix_their_parents(collected: Collected) -> None:
    outer = collected.spans_made.get_tracer("test")
    ask = Reply(
        tool_calls=[ToolCall(f"c{n}", "add", '{"a": 1, "b": 1}') for n in range(2)], interval=0.01
    )

    async def one(number: int) -> None:
        expert = FunctionAgent(
            ScriptedLLM(ask, Reply("2", interval=0.01)), [add], name=f"e{number}"
        )
        agent = FunctionAgent(
            ScriptedLLM(
                Reply(tool_calls=[ToolCall("s", "ask", '{"task": "1+1"}')], interval=0.01), "2"
            ),
            [expert.as_tool("ask", "Asks.")],
            name=f"a{number}",
        )
        with outer.start_as_current_span(f"request {number}"):
            await asyncio.sleep(0.001 * (number % 7))
            await agent.run("Go")

    with collected.instrumented():
        await asyncio.gather(*map(one, range(100)))
    lines = collected.tree()
    assert len(lines) == 1000
    for number in range(100):
        begin = lines.index(f"request {number}")
        assert lines[begin : begin + 10] == [
            f"request {number}",
            f"..invoke_agent a{number}",
            "....chat scripted",
            "....execute_tool ask",
            f"......invoke_agent e{number}",
            "........chat scripted",
            "........execute_tool add",
            "........execute_tool add",
            "........chat scripted",
            "....chat scripted",
        ]
    assert set(collected.live().values()) == {0}


async def test_model_of_a_user_gets_a_chat_span(collected: Collected) -> None:
    class Own:
        model = "own-1"

        def chat_stream(self, messages: Any, tools: Any = None, **_: Any) -> Any:
            return rx.of(
                StreamChunk("Hi", metadata={"model": "own-1b"}),
                StreamChunk(finish_reason="stop", usage=USAGE),
            )

    with collected.instrumented():
        await FunctionAgent(Own()).run("Hello")  # type: ignore[arg-type]  # as users write it
    assert collected.tree() == ["invoke_agent FunctionAgent", "..chat own-1"]
    chat = values(collected.one("chat own-1"))
    assert chat["gen_ai.provider.name"] == "Own"
    assert chat["gen_ai.response.model"] == "own-1b"
    assert chat["gen_ai.usage.input_tokens"] == 10


async def test_model_of_a_user_that_asks_ours_adds_no_span(collected: Collected) -> None:
    class Wrapped:
        def __init__(self) -> None:
            self.inner = ScriptedLLM("Hi")

        def chat_stream(self, messages: Any, tools: Any = None, **settings: Any) -> Any:
            return self.inner.chat_stream(messages, tools, **settings)

    with collected.instrumented():
        await FunctionAgent(Wrapped()).run("Hello")  # type: ignore[arg-type]  # as users write it
    assert collected.tree() == ["invoke_agent FunctionAgent", "..chat scripted"]


def test_run_in_virtual_time_has_the_same_parents(collected: Collected) -> None:
    scheduler = TestScheduler()
    seen: list[str] = []

    @tool
    def look(n: int) -> rx.Observable[str]:
        seen.append(current_span().name)
        return rx.timer(5.0).pipe(rx_ops.map(str))

    asked = Reply(tool_calls=[ToolCall("c", "look", '{"n": 1}')], interval=1)
    agent = FunctionAgent(ScriptedLLM(asked, Reply("5", interval=1)), [look])
    outer = collected.spans_made.get_tracer("test")
    with collected.instrumented():
        with outer.start_as_current_span("request"):
            agent.run_stream("Go").subscribe(scheduler=scheduler)
        scheduler.start()
    assert seen == ["execute_tool look"]
    assert collected.tree() == [
        "request",
        "..invoke_agent FunctionAgent",
        "....chat scripted",
        "....execute_tool look",
        "....chat scripted",
    ]


@pytest.mark.real_time
async def test_retry_over_http_is_an_event_of_one_span(collected: Collected) -> None:
    busy = StatusReply(503, headers={"retry-after-ms": "20"})
    async with ScriptedServer(busy, Reply("Hi")) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            with collected.instrumented():
                await FunctionAgent(llm).run("Hello")
    assert collected.tree() == ["invoke_agent FunctionAgent", "..chat m"]
    chat = collected.one("chat m")
    (event,) = chat.events
    assert event.name == "rxagents.retry"
    attributes = dict(event.attributes or {})
    assert attributes.pop("rxagents.retry.delay") > 0  # type: ignore[operator]  # a float
    assert attributes == {
        "rxagents.retry.attempt": 1,
        "error.type": "OverloadedError",
        "http.response.status_code": 503,
    }
    assert chat.status.status_code is StatusCode.UNSET


@pytest.mark.real_time
async def test_hedge_over_http_has_two_spans_below_the_run(collected: Collected) -> None:
    class Hedged:
        def __init__(self, llm: OpenAI) -> None:
            self.llm = llm

        def chat_stream(self, messages: Any, tools: Any = None, **settings: Any) -> Any:
            stream = self.llm.chat_stream(messages, tools, **settings)
            return stream.pipe(ops.hedge(stream, after=0.02))

    async with ScriptedServer(Reply("slow", delay=5), Reply("fast", usage=USAGE)) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            with collected.instrumented():
                result = await FunctionAgent(Hedged(llm)).run("Hi")  # type: ignore[arg-type]  # as users write it
    assert result.output == "fast"
    assert collected.tree() == ["invoke_agent FunctionAgent", "..chat m", "..chat m"]
    loser, winner = collected.named("chat m")
    assert values(loser)["rxagents.disposed"] is True
    assert "gen_ai.usage.input_tokens" not in values(loser)
    assert values(winner)["gen_ai.usage.input_tokens"] == 10
    (calls_of_run,) = collected.points("gen_ai.invoke_agent.inference_calls")
    assert calls_of_run.sum == 2


@pytest.mark.real_time
async def test_dispose_over_http_ends_spans_and_request(collected: Collected) -> None:
    async with ScriptedServer(Reply("One two " * 500, interval=0.01)) as server:
        async with OpenAI("m", base_url=server.url) as llm:
            with collected.instrumented():
                stream = FunctionAgent(llm).run_stream("Go")
                async with rxagents.to_aiter(stream) as events:
                    async for event in events:
                        if event.type == "token":
                            break
            await server.disconnected()
    assert collected.live() == {"chat": 0, "invoke_agent": 0}
    assert all(values(span)["rxagents.disposed"] for span in collected.spans)


async def test_trace_of_a_run_needs_no_instrument(collected: Collected) -> None:
    agent = FunctionAgent(ScriptedLLM(calls("add"), "5"), [add])
    traced = agent.run_stream("Go").pipe(ops.trace(**collected.providers))
    async with rxagents.to_aiter(traced) as events:
        kinds = [event.type async for event in events]
    assert kinds[-1] == "complete"
    assert collected.tree() == [
        "invoke_agent FunctionAgent",
        "..chat scripted",
        "..execute_tool add",
        "..chat scripted",
    ]
