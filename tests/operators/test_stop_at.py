"""Test `stop_at` in virtual time."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from cpu_time import cpu_seconds
from hypothesis import given
from hypothesis import strategies as st
from reactivex.testing import ReactiveTest, TestScheduler

from rxagents import ConfigurationError, StreamChunk, ToolCallDelta, Usage
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffer, set_content

on_next, on_error = ReactiveTest.on_next, ReactiveTest.on_error
on_completed, subscribe = ReactiveTest.on_completed, ReactiveTest.subscribe


def stream(*deltas: str) -> list[StreamChunk]:
    """Return the chunks of a stream, tied to their text as a wire ties them."""
    buffer, chunks = TextBuffer(), []
    for index, delta in enumerate(deltas):
        chunk = StreamChunk(delta, index)
        set_content(chunk, (buffer, buffer.append(delta)))
        chunks.append(chunk)
    return chunks


def stopped(chunks: list[StreamChunk], *stops: str, choice: int = 0) -> list[StreamChunk]:
    out: list[StreamChunk] = []
    rx.from_iterable(chunks).pipe(ops.stop_at(*stops, choice=choice)).subscribe(out.append)
    return out


def text(chunks: list[StreamChunk]) -> str:
    return "".join(chunk.delta for chunk in chunks)


def reference(whole: str, stops: list[str]) -> tuple[str, str]:
    """Return the first stop sequence that completes, and the text before it."""
    for end in range(1, len(whole) + 1):
        found = [stop for stop in stops if whole[:end].endswith(stop)]
        if found:
            longest = max(found, key=len)
            return whole[: end - len(longest)], longest
    return whole, ""


def test_text_passes_once_safe() -> None:
    scheduler = TestScheduler()
    deltas = ["4 E", "asy", " EN", "D of it", "more"]
    source = scheduler.create_hot_observable(
        *(on_next(210 + 10 * i, chunk) for i, chunk in enumerate(stream(*deltas))),
        on_completed(300),
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.stop_at("END")))
    *chunks, end = observer.messages
    assert [(m.time, m.value.value.delta, m.value.value.content) for m in chunks] == [
        (210, "4 ", "4 "),
        (220, "Easy", "4 Easy"),
        (230, " ", "4 Easy "),
        (240, "", "4 Easy "),
    ]
    assert end == on_completed(240)
    assert source.subscriptions == [subscribe(200, 240)]


def test_last_chunk_names_stop_sequence() -> None:
    usage, metadata = Usage(1, 2), {"model": "m"}
    chunk = StreamChunk(
        "a.b", 7, finish_reason="length", usage=usage, metadata=metadata, timestamp=1.5
    )
    before, last = stopped([chunk], ".")
    assert before == StreamChunk("a", 7, usage=usage, metadata=metadata, timestamp=1.5)
    assert last == StreamChunk(
        index=8,
        finish_reason="stop",
        usage=usage,
        metadata={"model": "m", "stop_sequence": "."},
        timestamp=1.5,
    )
    assert metadata == {"model": "m"}


def test_stop_sequence_at_start_leaves_nothing() -> None:
    (only,) = stopped(stream("EN", "D"), "END")
    assert (only.delta, only.content, only.finish_reason) == ("", "", "stop")


def test_first_complete_then_longest_counts() -> None:
    assert text(stopped(stream("xabcd"), "abcd", "bc")) == "xa"
    *_, last = stopped(stream("xabc"), "c", "bc", "abc", "zabc")
    assert last.metadata["stop_sequence"] == "abc"


def test_held_text_comes_at_completion() -> None:
    scheduler = TestScheduler()
    first, second = stream("ab", "E")
    source = scheduler.create_hot_observable(
        on_next(210, first), on_next(220, second), on_completed(230)
    )
    observer: Any = scheduler.start(lambda: source.pipe(ops.stop_at("END")))
    assert [(m.time, m.value.kind) for m in observer.messages] == [
        (210, "N"),
        (230, "N"),
        (230, "C"),
    ]
    assert observer.messages[1].value.value.content == "abE"


def test_held_text_comes_before_error() -> None:
    failure = OSError("the wire is cut")
    scheduler = TestScheduler()
    (chunk,) = stream("abEN")
    source = scheduler.create_hot_observable(on_next(210, chunk), on_error(220, failure))
    observer: Any = scheduler.start(lambda: source.pipe(ops.stop_at("END")))
    first, second, last = observer.messages
    assert (first.value.value.delta, second.value.value.delta) == ("ab", "EN")
    assert (second.time, last.time) == (220, 220)
    assert last.value.exception is failure


CALL = (ToolCallDelta(0, "call_1", "add"),)


@pytest.mark.parametrize(
    "more",
    [
        StreamChunk(index=1, tool_calls=CALL),
        StreamChunk(index=1, finish_reason="stop"),
        StreamChunk(index=1, reasoning="hm"),
        StreamChunk(index=1, refusal="no"),
        StreamChunk("x", index=1, finish_reason="stop"),
    ],
)
def test_held_text_precedes_other_fields(more: StreamChunk) -> None:
    chunks = stopped([StreamChunk("aEN", 0), more, StreamChunk("D", 2)], "END")
    deltas = [(chunk.delta, chunk.content) for chunk in chunks]
    whole = "aEN" + more.delta
    assert deltas == [("a", "a"), ("EN", "aEN"), (more.delta, whole), ("D", whole + "D")]
    assert [chunk.index for chunk in chunks] == [0, 1, 2, 3]
    assert chunks[2].tool_calls == more.tool_calls
    assert chunks[2].finish_reason == more.finish_reason


def test_stop_sequence_ends_in_finish_chunk() -> None:
    finish = StreamChunk("ND", 1, finish_reason="length", tool_calls=CALL)
    first, last = stopped([StreamChunk("aE", 0), finish], "END")
    assert (first.delta, last.delta, last.finish_reason, last.tool_calls) == ("a", "", "stop", ())


def test_reasoning_with_stop_sequence_kept() -> None:
    first, last = stopped([StreamChunk("END", reasoning="hm")], "END")
    assert (first.reasoning, last.reasoning) == ("hm", "")


def test_empty_chunk_inside_stop_sequence() -> None:
    chunks = [StreamChunk("aE", 0), StreamChunk(index=1, usage=Usage(1)), StreamChunk("ND", 2)]
    first, second, last = stopped(chunks, "END")
    assert (first.delta, second.content, second.usage) == ("a", "a", Usage(1))
    assert last.finish_reason == "stop"


def test_other_choices_pass_with_text() -> None:
    buffer = TextBuffer()
    other = StreamChunk("END", 2, choice=1)
    set_content(other, (buffer, buffer.append("xEND")))
    chunks = [StreamChunk("aE", 0), StreamChunk(finish_reason="stop", index=1), other]
    *_, passed = stopped(chunks, "END")
    assert (passed.delta, passed.content, passed.index) == ("END", "xEND", 3)
    (only,) = stopped([other], "END")
    assert only is other
    *_, last = stopped([other], "END", choice=1)
    assert last.finish_reason == "stop"
    plain = StreamChunk("END", 2, choice=1)
    *_, passed = stopped([*chunks[:2], plain], "END")
    assert passed.content == "END"


def test_content_right_without_text_history() -> None:
    chunks = stopped([StreamChunk("ab"), StreamChunk("cE"), StreamChunk("d")], "END")
    assert [chunk.content for chunk in chunks] == ["ab", "abc", "abcEd"]


def test_subscriber_exception_passes() -> None:
    def fail(chunk: StreamChunk) -> None:
        raise OSError(chunk.delta)

    subject: rx.Subject[StreamChunk] = rx.Subject()
    subject.pipe(ops.stop_at("END")).subscribe(fail)
    for text in ("plain", "heldE"):
        with pytest.raises(OSError, match=text[:4]):
            subject.on_next(StreamChunk(text))


def test_reset_drops_held_text() -> None:
    reset = StreamChunk.reset(OSError("cut"))
    chunks = stopped([*stream("aE"), reset, *stream("bE", "NDx")], "END")
    assert [chunk.content for chunk in chunks] == ["a", "", "b", "b"]
    assert chunks[1].metadata == reset.metadata


def test_synchronous_source_is_muted_after_stop() -> None:
    def source(observer: Any, _: Any) -> None:
        for chunk in stream("a.", "b.", "c"):
            observer.on_next(chunk)
        observer.on_completed()

    out: list[StreamChunk] = []
    rx.create(source).pipe(ops.stop_at(".")).subscribe(out.append)  # type: ignore[arg-type]  # wrong on purpose
    assert [chunk.delta for chunk in out] == ["a", ""]


STOPS = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=3)
PIECES = st.lists(st.text("ab.c", max_size=5), max_size=8)


@given(PIECES, STOPS)
def test_every_split_gives_same_text(pieces: list[str], stops: list[str]) -> None:
    chunks = stopped(stream(*pieces), *stops)
    before, found = reference("".join(pieces), stops)
    assert text(chunks) == before
    assert [chunk.content for chunk in chunks] == [
        text(chunks[: i + 1]) for i in range(len(chunks))
    ]
    indices = [chunk.index for chunk in chunks]
    assert indices == sorted(set(indices))
    if found:
        assert chunks[-1].finish_reason == "stop"
        assert chunks[-1].metadata == {"stop_sequence": found}
    else:
        assert all(chunk.finish_reason == "" for chunk in chunks)


@given(PIECES, STOPS)
def test_holds_only_a_possible_beginning(pieces: list[str], stops: list[str]) -> None:
    subject: rx.Subject[StreamChunk] = rx.Subject()
    out: list[StreamChunk] = []
    subject.pipe(ops.stop_at(*stops)).subscribe(out.append)
    so_far = ""
    for chunk in stream(*pieces):
        subject.on_next(chunk)
        so_far += chunk.delta
        if reference(so_far, stops)[1]:
            break
        held = so_far[len(text(out)) :]
        assert so_far == text(out) + held
        longest = [n for n in range(1, 4) if any(so_far.endswith(s[:n]) for s in stops if s[n:])]
        assert len(held) == max(longest, default=0)


def test_near_matches_stay_linear() -> None:
    def seconds_per_character(count: int) -> float:
        chunks = [StreamChunk("a") for _ in range(count)]
        return cpu_seconds(lambda: stopped(chunks, "a" * 500 + "b", "aab" * 100)) / count

    assert seconds_per_character(20_000) < 3 * seconds_per_character(2_000)


@pytest.mark.parametrize("stops", [(), ("",), ("a", ""), (1,), (None,), (["a"],)])
def test_invalid_stop_sequence_is_refused(stops: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigurationError, match="stop sequence"):
        ops.stop_at(*stops)


def test_invalid_choice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="choice"):
        ops.stop_at("END", choice=-1)


def test_non_chunk_is_a_typed_error() -> None:
    errors: list[Exception] = []
    rx.of("text").pipe(ops.stop_at("END")).subscribe(on_error=errors.append)  # type: ignore[arg-type]  # wrong on purpose
    assert [type(error) for error in errors] == [ConfigurationError]
    assert "stop_at takes StreamChunks, but the source emitted str" in str(errors[0])
