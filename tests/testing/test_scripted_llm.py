"""The scripted model, in virtual time and on a loop."""

from __future__ import annotations

from typing import Any

import pytest
from reactivex import operators as rx_ops
from reactivex.testing import ReactiveTest, TestScheduler

import rxagents
from rxagents import StreamingLLM, ToolCall, Usage, get_model
from rxagents import operators as ops
from rxagents.testing import Ending, Reply, ScriptedLLM

on_next, on_completed = ReactiveTest.on_next, ReactiveTest.on_completed


def play(llm: ScriptedLLM, *operators: Any, disposed: float = 1000) -> list[Any]:
    scheduler = TestScheduler()
    stream = llm.chat_stream("hi").pipe(*operators)
    return scheduler.start(lambda: stream, disposed=disposed).messages


def test_virtual_time_drives_delays() -> None:
    llm = ScriptedLLM(Reply("one two three", delay=50, interval=10))
    assert play(llm, ops.text()) == [
        on_next(250, "one"),
        on_next(260, " two"),
        on_next(270, " three"),
        on_completed(290),
    ]


def test_dispose_stops_emission() -> None:
    llm = ScriptedLLM(Reply("one two three", delay=50, interval=10))
    assert play(llm, ops.text(), disposed=265) == [on_next(250, "one"), on_next(260, " two")]


def test_subscriptions_take_replies_in_turn() -> None:
    llm = ScriptedLLM("first", "second")
    answers = [play(llm, ops.collect())[0].value.value.content for _ in range(3)]
    assert answers == ["first", "second", "second"]
    assert [request.messages[0].text for request in llm.requests] == ["hi"] * 3


def test_reply_has_all_response_fields() -> None:
    call = ToolCall("call_1", "add", '{"a": 1, "b": [2, 3]}')
    usage = Usage(input_tokens=3, output_tokens=5, total_tokens=8)
    reply = Reply("text", reasoning="thinking", tool_calls=[call], usage=usage)
    response = play(ScriptedLLM(reply), ops.collect())[0].value.value
    assert (response.content, response.reasoning) == ("text", "thinking")
    assert response.tool_calls == (call,)
    assert response.finish_reason == "tool_calls"
    assert (response.usage.input_tokens, response.usage.total_tokens) == (3, 8)


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (Reply("a b", error=rxagents.RateLimitError("slow", status=429)), rxagents.RateLimitError),
        (Reply("a b", ending=Ending.CLOSE, cut_after=2), rxagents.TruncatedStreamError),
    ],
)
def test_failing_reply_emits_text_first(reply: Reply, error: type[Exception]) -> None:
    first, *_, last = play(ScriptedLLM(reply), ops.text())
    assert first.value.value == "a"
    assert type(last.value.exception) is error


async def test_slow_reader_pauses_emission() -> None:
    seen: list[str] = []
    llm = ScriptedLLM("word " * 1000)
    stream = llm.chat_stream("hi").pipe(ops.text(), rx_ops.do_action(seen.append))
    async with rxagents.to_aiter(stream, capacity=8) as texts:
        await anext(texts)
        assert len(seen) <= 9
        assert "".join([text async for text in texts]) == " word" * 999 + " "


def test_run_raises_consumer_exception() -> None:
    def fail(chunk: object) -> None:
        raise KeyError("mine")

    with pytest.raises(KeyError):
        rxagents.run(ScriptedLLM().chat_stream("hi"), on_next=fail)


def test_scripted_model_string_needs_no_key() -> None:
    llm = get_model("scripted:Hello you")
    assert isinstance(llm, StreamingLLM)
    response = rxagents.run(llm.chat_stream("hi").pipe(ops.collect()))
    assert response is not None
    assert response.content == "Hello you"
    assert rxagents.run(get_model("scripted:").chat_stream("hi").pipe(ops.collect())) is not None


def test_error_without_loop_names_run() -> None:
    with pytest.raises(rxagents.ConfigurationError, match=r"rxagents\.run"):
        ScriptedLLM().chat_stream("hi").subscribe()


def test_unusable_replies_are_refused() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="ScriptedServer"):
        ScriptedLLM(Reply("x", ending=Ending.STALL))
    with pytest.raises(rxagents.ConfigurationError, match="Reply"):
        ScriptedLLM(7)  # type: ignore[arg-type]  # the wrong type is tested


def test_empty_reply_counts_as_reply() -> None:
    assert answer_text(ScriptedLLM("", "second")) == ""
    assert answer_text(ScriptedLLM("")) == ""


def answer_text(llm: ScriptedLLM) -> str | None:
    response = rxagents.run(llm.chat_stream("Hi").pipe(ops.collect()))
    return None if response is None else response.content


def test_bad_tools_are_refused() -> None:
    with pytest.raises(rxagents.ConfigurationError, match="tool"):
        ScriptedLLM("x").chat_stream("Hi", tools=[3])  # type: ignore[list-item]  # the wrong type is tested
