"""Test the operators that fold a stream with a stream that is started again."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

import rxagents
from rxagents import Response, StreamChunk, ToolCallDelta, Usage
from rxagents import operators as ops

DOWN = OSError("down")
RESET = StreamChunk.reset(DOWN)
FIRST = [
    StreamChunk("Hel", reasoning="hm", metadata={"id": "1", "provider_data": {"w": {"k": [1]}}}),
    StreamChunk(refusal="no", tool_calls=(ToolCallDelta(0, "c1", "add", '{"a"'),)),
    StreamChunk(finish_reason="length", usage=Usage(1, 2, 3)),
]


def fold(operator: Any, *chunks: StreamChunk) -> list[Any]:
    out: list[Any] = []
    rx.from_iterable(chunks).pipe(operator).subscribe(out.append)
    return out


@pytest.mark.parametrize("choice", [0, 1])
def test_reset_voids_every_choice(choice: int) -> None:
    def of_choice(*chunks: StreamChunk) -> list[StreamChunk]:
        return [
            StreamChunk(
                chunk.delta,
                choice=choice,
                finish_reason=chunk.finish_reason,
                reasoning=chunk.reasoning,
                refusal=chunk.refusal,
                tool_calls=chunk.tool_calls,
                usage=chunk.usage,
                metadata=chunk.metadata,
            )
            for chunk in chunks
        ]

    again = of_choice(StreamChunk("Bye", metadata={"id": "2"}))
    (whole,) = fold(ops.collect(choice), *of_choice(*FIRST), RESET, *again)
    assert [whole] == fold(ops.collect(choice), *again)
    assert whole.content == "Bye"
    assert whole.message.provider_data == {}
    (void,) = fold(ops.collect(choice), *of_choice(*FIRST), RESET)
    assert [void] == fold(ops.collect(choice))


def test_earlier_responses_survive_reset() -> None:
    shots: list[Response] = fold(ops.accumulate(), *FIRST, RESET, StreamChunk("Bye"))
    assert [shot.content for shot in shots] == ["Hel", "Hel", "Hel", "", "Bye"]
    before = shots[2]
    assert before == fold(ops.collect(), *FIRST)[0]
    assert before.tool_calls[0].arguments == '{"a"'
    assert shots[3] == fold(ops.collect())[0]


@pytest.mark.parametrize("choice", [0, 1])
def test_reset_drops_unsealed_tool_call(choice: int) -> None:
    half = StreamChunk(choice=choice, tool_calls=(ToolCallDelta(0, "c1", "add", '{"a": 1, '),))
    whole = StreamChunk(
        choice=choice, tool_calls=(ToolCallDelta(0, "c2", "sub", '{"b": 2}', sealed=True),)
    )
    calls = fold(ops.assemble_tool_calls(choice), half, RESET, whole)
    assert [(call.id, call.name, call.arguments) for call in calls] == [("c2", "sub", '{"b": 2}')]


texts = st.lists(st.text("ab", min_size=1, max_size=3), max_size=4)


@given(attempts=st.lists(texts, min_size=1, max_size=4))
def test_restarted_stream_gives_last_attempt(attempts: list[list[str]]) -> None:
    scheduler = TestScheduler()
    ends: list[Any] = [ReactiveTest.on_error(20, DOWN)] * (len(attempts) - 1)
    ends.append(ReactiveTest.on_completed(20))
    sources = iter(
        [
            scheduler.create_cold_observable(
                *[ReactiveTest.on_next(1 + i, StreamChunk(text)) for i, text in enumerate(one)], end
            )
            for one, end in zip(attempts, ends, strict=True)
        ]
    )
    stream: Any = rx.defer(lambda _: next(sources)).pipe(
        ops.retry_with_backoff(5, on_reset=StreamChunk.reset, first_wait=1), ops.collect()
    )
    observer: Any = scheduler.start(lambda: stream)
    assert observer.messages[0].value.value.content == "".join(attempts[-1])


@pytest.mark.parametrize("make", [ops.text, ops.reasoning])
def test_reset_after_emitted_text_fails(make: Any) -> None:
    reset = StreamChunk.reset(rxagents.TruncatedStreamError("It was cut.", provider="acme"))
    emitted: list[Any] = []
    pieces = [StreamChunk("Hel", reasoning="Hm"), reset, StreamChunk("Hello", reasoning="Well")]
    rx.of(*pieces).pipe(make()).subscribe(emitted.append, emitted.append)
    *texts, error = emitted
    assert len(texts) == 1
    assert isinstance(error, rxagents.TruncatedStreamError)
    assert str(error) == "It was cut."


@pytest.mark.parametrize("make", [ops.text, ops.reasoning])
def test_reset_before_text_is_silent(make: Any) -> None:
    emitted: list[Any] = []
    pieces = [StreamChunk.reset(OSError("down")), StreamChunk("Hello", reasoning="Hello")]
    rx.of(*pieces).pipe(make()).subscribe(emitted.append, emitted.append)
    assert emitted == ["Hello"]
