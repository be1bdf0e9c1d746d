"""Test the spans and metrics of model calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import reactivex as rx
from child import run_program
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.trace import SpanKind, StatusCode
from tracing import Collected, values

import rxagents
from rxagents import (
    ConfigurationError,
    FunctionAgent,
    ImagePart,
    Message,
    Ollama,
    OpenAI,
    RateLimitError,
    StreamChunk,
    TextPart,
    ToolCall,
    TruncatedStreamError,
    Usage,
    tool,
)
from rxagents import operators as ops
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer, StatusReply
from rxagents.tracing import names
from rxagents.tracing.content import messages_json

USAGE = Usage(
    input_tokens=10,
    output_tokens=5,
    total_tokens=15,
    cached_tokens=4,
    reasoning_tokens=2,
)


@pytest.fixture
def collected() -> Collected:
    return Collected()


async def read(stream: rx.Observable[Any]) -> list[Any]:
    async with rxagents.to_aiter(stream) as items:
        return [item async for item in items]


@pytest.mark.real_time
async def test_chat_has_request_response_and_usage(collected: Collected) -> None:
    async with ScriptedServer(Reply("Hi there", usage=USAGE)) as server:
        async with OpenAI("m", base_url=server.url, temperature=0.5, seed=7) as llm:
            with collected.instrumented():
                settings: dict[str, Any] = {"stop": ["END"], "max_tokens": 99, "top_p": 0.9}
                await llm.chat("Hello", response_format="json_object", **settings)
    span = collected.one("chat m")
    assert span.kind is SpanKind.CLIENT
    known = values(span)
    first = known.pop("gen_ai.response.time_to_first_chunk")
    assert 0 < first < 60
    assert known == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.top_p": 0.9,
        "gen_ai.request.max_tokens": 99,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 7,
        "gen_ai.output.type": "json",
        "server.address": "127.0.0.1",
        "server.port": server.port,
        "gen_ai.response.id": known["gen_ai.response.id"],
        "gen_ai.response.model": "m",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 10,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 4,
        "gen_ai.usage.reasoning.output_tokens": 2,
    }
    assert isinstance(known["gen_ai.response.id"], str)


async def test_metrics_have_new_names_and_their_buckets(collected: Collected) -> None:
    with collected.instrumented():
        await ScriptedLLM(Reply("Hi", usage=USAGE)).chat("Hello")
    assert collected.metrics() == {
        "rxagents.live",
        "gen_ai.client.inference.duration",
        "gen_ai.client.inference.time_to_first_chunk",
        "gen_ai.client.inference.operation.input_tokens",
        "gen_ai.client.inference.operation.output_tokens",
        "gen_ai.client.inference.usage.input_tokens",
        "gen_ai.client.inference.usage.output_tokens",
        "gen_ai.client.inference.usage.cache_read.input_tokens",
        "gen_ai.client.inference.usage.reasoning.output_tokens",
    }
    (duration,) = collected.points("gen_ai.client.inference.duration")
    assert duration.explicit_bounds == tuple(0.01 * 2**n for n in range(14))
    (counted,) = collected.points("gen_ai.client.inference.usage.output_tokens")
    assert counted.value == 5
    assert dict(counted.attributes) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "scripted",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.model": "scripted",
        "gen_ai.token.modality": "unknown",
    }


@pytest.mark.parametrize(("chosen", "new", "old"), [("old", False, True), ("both", True, True)])
async def test_old_names_are_an_option(
    collected: Collected, chosen: str, new: bool, old: bool
) -> None:
    raw = {"cache_creation_input_tokens": 3}
    chunk = StreamChunk("Hi", finish_reason="stop", usage=Usage(1, 2, raw=raw))
    with collected.instrumented(names=chosen):
        await ScriptedLLM(Reply("Hi", usage=USAGE)).chat("Hello")
    await read(rx.of(chunk).pipe(ops.trace(names=chosen, **collected.providers)))  # type: ignore[arg-type]  # a parameter
    found = collected.metrics()
    assert ("gen_ai.client.inference.duration" in found) is new
    assert ("gen_ai.client.operation.duration" in found) is old
    assert ("gen_ai.client.inference.usage.input_tokens" in found) is new
    assert ("gen_ai.client.token.usage" in found) is old
    kinds = {
        p.attributes["gen_ai.token.type"] for p in collected.points("gen_ai.client.token.usage")
    }
    assert kinds == {"input", "output"}
    attributes = values(collected.one("chat"))
    assert attributes["gen_ai.usage.cache_creation.input_tokens"] == 3
    assert ("gen_ai.usage.cache_write.input_tokens" in attributes) is new


async def test_content_is_left_out_unless_asked_for(collected: Collected) -> None:
    @tool
    async def whisper(secret: str) -> str:
        return f"{secret}!"

    asked = Reply("One", tool_calls=[ToolCall("c", "whisper", '{"secret": "x7"}')])

    def agent() -> FunctionAgent:
        return FunctionAgent(ScriptedLLM(asked, "x7 it is"), [whisper], system_prompt="Be x7.")

    with collected.instrumented():
        await agent().run("Say x7")
    texts = [str(value) for span in collected.spans for value in values(span).values()]
    assert len(texts) > 20
    assert not any("x7" in text for text in texts)
    with collected.instrumented(content=True):
        await agent().run("Say x7")
    _, chat = collected.named("chat scripted")[-2:]
    known = {key: json.loads(value) for key, value in values(chat).items() if "messages" in key}
    assert json.loads(values(chat)["gen_ai.system_instructions"]) == [
        {"type": "text", "content": "Be x7."}
    ]
    assert [message["role"] for message in known["gen_ai.input.messages"]] == [
        "user",
        "assistant",
        "tool",
    ]
    assert known["gen_ai.input.messages"][1]["parts"][1] == {
        "type": "tool_call",
        "id": "c",
        "name": "whisper",
        "arguments": {"secret": "x7"},
    }
    (answer,) = known["gen_ai.output.messages"]
    assert answer["parts"][0]["content"].endswith("x7 it is")
    assert answer["finish_reason"] == "stop"
    called = values(collected.named("execute_tool whisper")[-1])
    assert json.loads(called["gen_ai.tool.call.arguments"]) == {"secret": "x7"}
    assert called["gen_ai.tool.call.result"] == "x7!"
    assert "x7" in values(chat)["gen_ai.system_instructions"]
    assert json.loads(values(chat)["gen_ai.tool.definitions"])[0]["name"] == "whisper"


async def test_text_that_no_encoding_has_does_not_fail_a_stream(collected: Collected) -> None:
    @tool
    async def echo(text: str) -> str:
        return text

    asked = Reply(tool_calls=[ToolCall("c", "echo", '{"text": "\\ud800"}')])
    with collected.instrumented(content=True):
        await FunctionAgent(ScriptedLLM(asked, "done"), [echo]).run("Go \ud800")
    texts = [value for span in collected.spans for value in values(span).values()]
    assert all(text.encode() for text in texts if isinstance(text, str))
    first = collected.named("chat scripted")[0]
    assert json.loads(values(first)["gen_ai.input.messages"])[0]["parts"][0]["content"]


async def test_dispose_from_a_thread_ends_the_span(collected: Collected) -> None:
    with collected.instrumented():
        stream = ScriptedLLM(Reply("One two three", interval=1)).chat_stream("Hi")
        subscription = stream.subscribe()
        await asyncio.to_thread(subscription.dispose)
        subscription.dispose()
    assert values(collected.one("chat scripted"))["rxagents.disposed"] is True
    assert collected.live() == {"chat": 0}


async def test_dispose_is_no_error(collected: Collected) -> None:
    first = asyncio.Event()
    with collected.instrumented():
        stream = ScriptedLLM(Reply("One two three", interval=1)).chat_stream("Hi")
        subscription = stream.subscribe(lambda _: first.set())
        await first.wait()
        assert collected.live() == {"chat": 1}
        subscription.dispose()
    span = collected.one("chat scripted")
    assert values(span)["rxagents.disposed"] is True
    assert "error.type" not in values(span)
    assert span.status.status_code is StatusCode.UNSET
    assert values(span)["gen_ai.response.model"] == "scripted"
    (duration,) = collected.points("gen_ai.client.inference.duration")
    assert "error.type" not in duration.attributes
    assert collected.live() == {"chat": 0}


async def test_reader_that_leaves_early_ends_the_span(collected: Collected) -> None:
    with collected.instrumented():
        stream = ScriptedLLM(Reply("One two three", interval=1)).chat_stream("Hi")
        async with rxagents.to_aiter(stream) as chunks:
            await anext(chunks)
    assert values(collected.one("chat scripted"))["rxagents.disposed"] is True


async def test_consumer_that_raises_ends_the_span(
    collected: Collected, loop_errors: list[Exception]
) -> None:
    def fail(_: StreamChunk) -> None:
        raise ValueError("mine")

    with collected.instrumented():
        ScriptedLLM("One two").chat_stream("Hi").subscribe(fail)
        await asyncio.sleep(1)
    assert [str(error) for error in loop_errors] == ["mine"]
    loop_errors.clear()
    assert collected.live() == {"chat": 0}
    assert values(collected.one("chat scripted"))["rxagents.disposed"] is True


async def test_consumer_of_a_run_that_raises_ends_its_spans(
    collected: Collected, loop_errors: list[Exception]
) -> None:
    def fail(event: Any) -> None:
        if event.type == "token":
            raise ValueError("mine")

    with collected.instrumented():
        FunctionAgent(ScriptedLLM("One two")).run_stream("Hi").subscribe(fail)
        await asyncio.sleep(1)
    assert [str(error) for error in loop_errors] == ["mine"]
    loop_errors.clear()
    assert collected.live() == {"chat": 0, "invoke_agent": 0}
    assert all(values(span)["rxagents.disposed"] for span in collected.spans)


async def test_failure_has_its_type_and_no_message(collected: Collected) -> None:
    with collected.instrumented(), pytest.raises(TruncatedStreamError):
        await ScriptedLLM(Reply("One two", cut_after=0)).chat("Hi")
    span = collected.one("chat scripted")
    assert values(span)["error.type"] == "TruncatedStreamError"
    assert (span.status.status_code, span.status.description) == (StatusCode.ERROR, None)
    (duration,) = collected.points("gen_ai.client.inference.duration")
    assert duration.attributes["error.type"] == "TruncatedStreamError"


@pytest.mark.real_time
async def test_last_refusal_is_an_error_with_its_status(collected: Collected) -> None:
    async with ScriptedServer(StatusReply(429)) as server:
        async with OpenAI("m", base_url=server.url, max_retries=0) as llm:
            with collected.instrumented(), pytest.raises(RateLimitError):
                await llm.chat("Hi")
    span = collected.one("chat m")
    assert values(span)["error.type"] == "RateLimitError"
    assert values(span)["http.response.status_code"] == 429
    assert not span.events


@pytest.mark.real_time
async def test_completion_is_a_text_completion(collected: Collected) -> None:
    async with ScriptedServer("upon a time") as server:
        async with Ollama("m", base_url=f"http://127.0.0.1:{server.port}") as llm:
            with collected.instrumented():
                await llm.complete("Once")
    (span,) = collected.spans
    assert span.name == "text_completion m"
    assert values(span)["gen_ai.provider.name"] == "ollama"


async def test_chunk_times_are_recorded_if_asked_for(collected: Collected) -> None:
    with collected.instrumented(chunk_times=True):
        await ScriptedLLM(Reply(["a", "b", "c"])).chat("Hi")
    chunks = await read(ScriptedLLM(Reply(["a", "b", "c"])).chat_stream("Hi"))
    (point,) = collected.points("gen_ai.client.inference.time_per_output_chunk")
    assert point.count == len(chunks) - 1


async def test_instrument_ends_with_its_disposable(collected: Collected) -> None:
    installed = rxagents.instrument(**collected.providers)
    with pytest.raises(ConfigurationError, match="instrumented already"):
        rxagents.instrument(**collected.providers)
    installed.dispose()
    await ScriptedLLM("Hi").chat("Hello")
    assert collected.spans == ()
    with collected.instrumented():
        installed.dispose()  # a second time: it must not end the other one
        await ScriptedLLM("Hi").chat("Hello")
    assert len(collected.spans) == 1


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: ops.trace(""), "name must be a text"),
        (lambda: ops.trace(names="newest"), 'names must be "new", "old" or "both"'),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: FunctionAgent(ScriptedLLM(), name=""), "name must be a text"),
        (lambda: ops.trace(tracer_provider=MeterProvider()), "tracer_provider must be a Tracer"),  # type: ignore[arg-type]  # wrong on purpose
        (lambda: ops.trace(meter_provider=TracerProvider()), "meter_provider must be a Meter"),  # type: ignore[arg-type]  # wrong on purpose
    ],
    ids=["empty name", "unknown names", "empty agent name", "no tracers", "no meters"],
)
def test_arguments_are_checked(call: Callable[[], object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        call()


@pytest.mark.parametrize(
    ("provider", "host", "name"),
    [
        ("openai", "api.openai.com", "openai"),
        ("openai", "mine.openai.azure.com", "azure.ai.openai"),
        ("openai", "api.groq.com", "groq"),
        ("openai", "notgroq.com", "openai"),
        ("openai-responses", "api.openai.com", "openai"),
        ("anthropic", "api.anthropic.com", "anthropic"),
        ("gemini", "generativelanguage.googleapis.com", "gcp.gemini"),
        ("gemini", "eu-aiplatform.googleapis.com", "gcp.vertex_ai"),
        ("ollama", "localhost", "ollama"),
    ],
)
def test_provider_has_the_name_of_the_conventions(provider: str, host: str, name: str) -> None:
    assert names.provider_name(provider, host) == name


def test_nothing_is_imported_before_it_is_used() -> None:
    program = (
        "import sys, rxagents\n"
        "from rxagents import operators\n"
        "rxagents.run(rxagents.FunctionAgent(rxagents.get_model('scripted:')).run_stream('Hi'))\n"
        "assert not [name for name in sys.modules if name.startswith('opentelemetry')]\n"
        "assert 'rxagents.tracing' not in sys.modules\n"
    )
    run_program(program)


def test_message_with_an_image_names_it_only() -> None:
    message = Message(
        "user", (TextPart("Look"), ImagePart(data=b"\x89PNG", media_type="image/png"))
    )
    (shown,) = json.loads(messages_json([message]))
    assert shown["parts"][1] == {"type": "image", "mime_type": "image/png"}
