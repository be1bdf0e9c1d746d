"""Test `resume_with`: no text is repeated, and none is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from folding import fold
from hypothesis import given
from hypothesis import strategies as st
from prefilling import ContinuingLLM
from reactivex import Observable, abc
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    Anthropic,
    BadRequestError,
    ConfigurationError,
    Message,
    Ollama,
    OpenAI,
    ServerError,
    StreamCancelledError,
    StreamChunk,
    ToolCallDelta,
    TruncatedStreamError,
    Usage,
)
from rxagents import operators as ops
from rxagents.core.chunks import TextBuffers
from rxagents.testing import (
    Cassette,
    Reply,
    ScriptedLLM,
    ScriptedServer,
    every_fault,
    run_in_virtual_time,
)

CUT = TruncatedStreamError("the connection was lost")
TEXT = "The sky is blue, \n\nbecause air scatters blue light.  It scatters red light less. "
CALL = ToolCallDelta(0, "call_1", "add", '{"a": 1, ', sealed=False)
REST = ToolCallDelta(0, "", "", '"b": 2}', sealed=True)
FINISH = StreamChunk(finish_reason="stop")


def cut(*chunks: StreamChunk, error: Exception = CUT) -> Observable[StreamChunk]:
    """Return a stream of chunks with index and content, that fails."""
    buffers = TextBuffers()
    tied = [
        buffers.tie(StreamChunk(**{**_fields(chunk), "index": index}))
        for index, chunk in enumerate(chunks)
    ]
    return rx.concat(rx.from_iterable(tied), rx.throw(error))


def _fields(chunk: StreamChunk) -> dict[str, Any]:
    return {name: getattr(chunk, name) for name in chunk.__struct_fields__}


def notes_of(stream: Observable[StreamChunk]) -> list[Any]:
    notes: list[Any] = []
    stream.subscribe(notes.append, notes.append, lambda: notes.append("end"))
    return notes


def text_of(notes: list[Any]) -> str:
    return "".join(note.delta for note in notes if isinstance(note, StreamChunk))


def chunks_of(notes: list[Any]) -> list[StreamChunk]:
    *chunks, end = notes
    assert end == "end"
    return chunks


def check_whole(notes: list[Any], text: str) -> None:
    chunks = chunks_of(notes)
    assert text_of(chunks) == text
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))
    assert chunks[-1].content == text
    assert fold(chunks).content == text


@pytest.mark.parametrize("prefill", [True, False])
def test_every_cut_repeats_and_loses_nothing(prefill: bool) -> None:
    for end in range(len(TEXT) + 1):
        llm = ContinuingLLM(TEXT)
        stream = cut(*(StreamChunk(letter) for letter in TEXT[:end]))
        notes = notes_of(stream.pipe(ops.resume_with(llm, "Why?", prefill=prefill)))
        check_whole(notes, TEXT)
        assert len(llm.requests) == 1


texts = st.text("a b.\n", max_size=80)


@given(
    text=texts,
    ends=st.tuples(st.integers(0, 80), st.integers(0, 80)),
    size=st.integers(1, 9),
    prefill=st.booleans(),
)
def test_any_text_survives_two_cuts(
    text: str, ends: tuple[int, int], size: int, prefill: bool
) -> None:
    attempts = iter((0, 1))

    class TwiceCut(ContinuingLLM):
        def chat_stream(self, *arguments: Any, **settings: Any) -> Observable[StreamChunk]:
            stream = super().chat_stream(*arguments, **settings)
            if next(attempts):
                return stream
            return rx.concat(stream.pipe(rx.operators.take(ends[1])), rx.throw(CUT))

    llm = TwiceCut(text, size=size)
    stream = cut(*(StreamChunk(letter) for letter in text[: ends[0]]))
    notes = notes_of(stream.pipe(ops.resume_with(llm, "?", max_resumes=2, prefill=prefill)))
    check_whole(notes, text)


@pytest.mark.parametrize(
    "answer",
    [
        lambda _, quoted, rest: quoted + rest,
        lambda _, quoted, rest: "\n" + quoted + rest,
        lambda beginning, _, rest: beginning + rest,
        lambda _, __, rest: rest,
    ],
    ids=["as asked", "after a line", "whole text", "only the rest"],
)
def test_models_that_are_asked_may_repeat_or_not(answer: Any) -> None:
    for end in (1, 12, 30, 70, len(TEXT) - 1):
        llm = ContinuingLLM(TEXT, answer=answer)
        stream = cut(StreamChunk(TEXT[:end].rstrip()))
        notes = notes_of(stream.pipe(ops.resume_with(llm, "Why?", prefill=False)))
        assert text_of(notes) == TEXT


def test_text_that_repeats_itself_is_kept() -> None:
    text = "ha " * 50
    for end in range(1, len(text)):
        llm = ContinuingLLM(text)
        stream = cut(StreamChunk(text[:end])).pipe(ops.resume_with(llm, "Laugh", prefill=False))
        assert text_of(notes_of(stream)) == text


def test_seam_is_marked_once() -> None:
    notes = notes_of(cut(StreamChunk("The ")).pipe(ops.resume_with(ContinuingLLM("The sky"), "?")))
    first, seam, *rest = chunks_of(notes)
    assert (first.delta, seam.delta, seam.content) == ("The ", "", "The ")
    assert seam.metadata["resumed"].kind == "TruncatedStreamError"
    assert seam.timestamp > 1e9
    assert not any("resumed" in chunk.metadata for chunk in rest)
    assert fold(notes[:-1]).metadata["resumed"] == seam.metadata["resumed"]


def test_cut_before_content_has_no_seam() -> None:
    llm = ContinuingLLM("The sky")
    notes = notes_of(cut(StreamChunk(metadata={"model": "m"})).pipe(ops.resume_with(llm, "?")))
    assert not any("resumed" in chunk.metadata for chunk in chunks_of(notes))
    assert llm.requests == [(Message.user("?"),)]
    check_whole(notes, "The sky")


def test_conversation_of_prefill_and_of_instruction() -> None:
    for prefill in (True, False):
        llm = ContinuingLLM(TEXT)
        history = [Message.user("Why?"), Message.assistant("Hm."), Message.user("Why?")]
        operator = ops.resume_with(llm, history, prefill=prefill)
        notes_of(cut(StreamChunk(TEXT[:19])).pipe(operator))
        (request,) = llm.requests
        assert request[:4] == (*history, Message.assistant("The sky is blue,"))
        assert len(request) == (4 if prefill else 5)


def test_beginning_of_the_callers_own_is_continued() -> None:
    llm = ContinuingLLM('{"a": 1}')
    history = [Message.user("JSON"), Message.assistant('{"a')]
    stream = cut(StreamChunk('": ')).pipe(ops.resume_with(llm, history))
    assert text_of(notes_of(stream)) == '": 1}'
    assert llm.requests == [(history[0], Message.assistant('{"a":'))]


def test_refused_prefill_becomes_an_instruction() -> None:
    llm = ContinuingLLM(TEXT, refuses=True)
    notes = notes_of(cut(StreamChunk(TEXT[:20])).pipe(ops.resume_with(llm, "Why?")))
    assert text_of(notes) == TEXT
    assert [request[-1].role for request in llm.requests] == ["assistant", "user"]
    seams = [chunk.metadata["resumed"].kind for chunk in notes[:-1] if "resumed" in chunk.metadata]
    assert seams == ["TruncatedStreamError"]
    notes = notes_of(cut(StreamChunk(TEXT[:20])).pipe(ops.resume_with(llm, "Why?", prefill=True)))
    assert type(notes[-1]) is BadRequestError


def test_models_say_whether_they_take_prefill() -> None:
    assert [model.takes_prefill for model in (Anthropic, Ollama, OpenAI, ScriptedLLM)] == [
        True,
        True,
        False,
        False,
    ]


def test_usage_of_both_requests_is_summed() -> None:
    stream = cut(StreamChunk("The", usage=Usage(10, 1)), StreamChunk(usage=Usage(10, 2)))
    notes = notes_of(stream.pipe(ops.resume_with(ContinuingLLM("The sky"), "?")))
    assert fold(chunks_of(notes)).usage == Usage(17, 7, 12)
    total = notes_of(rx.from_iterable(chunks_of(notes)).pipe(ops.total_usage()))  # type: ignore[arg-type]  # emits `Usage`
    assert total[0].output_tokens == 7


def test_cut_call_is_dropped_and_made_anew() -> None:
    llm = ContinuingLLM("Let me see.", end=StreamChunk(finish_reason="tool_calls", tool_calls=(
        ToolCallDelta(0, "call_2", "add", '{"a": 1, "b": 2}', sealed=True),
    )))  # fmt: skip
    stream = cut(StreamChunk("Let me "), StreamChunk("see.", tool_calls=(CALL,)))
    response = fold(chunks_of(notes_of(stream.pipe(ops.resume_with(llm, "?")))))
    assert response.content == "Let me see."
    assert [(call.id, call.arguments) for call in response.tool_calls] == [
        ("call_2", '{"a": 1, "b": 2}')
    ]


def test_complete_call_ends_the_turn() -> None:
    llm = ContinuingLLM("")
    second = ToolCallDelta(1, "call_2", "add", "{")
    chunks = [StreamChunk(tool_calls=(call,)) for call in (CALL, REST, second)]
    response = fold(chunks_of(notes_of(cut(*chunks).pipe(ops.resume_with(llm, "?")))))
    assert [call.id for call in response.tool_calls] == ["call_1"]
    assert response.tool_calls[0].parse() == {"a": 1, "b": 2}
    assert response.finish_reason == "tool_calls"
    assert response.metadata["resumed"].kind == "TruncatedStreamError"
    assert llm.requests == []


@pytest.mark.parametrize("sealed", [True, False])
def test_calls_of_a_whole_stream_pass(sealed: bool) -> None:
    rest = ToolCallDelta(0, "", "", '"b": 2}', sealed=sealed)
    chunks = [
        StreamChunk("Hm", 0, tool_calls=(CALL,)),
        StreamChunk(".", 1, tool_calls=(rest,)),
        StreamChunk("", 2, finish_reason="tool_calls"),
    ]
    for last in (3, 2):
        source = rx.from_iterable(chunks[:last])
        response = fold(chunks_of(notes_of(source.pipe(ops.resume_with(ScriptedLLM(), "?")))))
        assert response == fold(chunks[:last])
        passed = chunks_of(notes_of(source.pipe(ops.resume_with(ScriptedLLM(), "?"))))
        assert passed[-1].finish_reason == ("tool_calls" if last == 3 else "")


def test_finished_answer_is_complete() -> None:
    llm = ContinuingLLM("")
    notes = notes_of(cut(StreamChunk("The sky"), FINISH).pipe(ops.resume_with(llm, "?")))
    assert [note.delta for note in chunks_of(notes)] == ["The sky", ""]
    assert llm.requests == []


@pytest.mark.parametrize(
    "chunks",
    [
        [StreamChunk("a"), StreamChunk("b", choice=1)],
        [StreamChunk(refusal="I cannot")],
    ],
    ids=["choices", "refusal"],
)
def test_what_cannot_be_continued_fails(chunks: Sequence[StreamChunk]) -> None:
    llm = ContinuingLLM("")
    assert notes_of(cut(*chunks).pipe(ops.resume_with(llm, "?")))[-1] is CUT
    assert llm.requests == []


def test_thinking_starts_again() -> None:
    llm = ContinuingLLM("The sky")
    notes = notes_of(cut(StreamChunk(reasoning="Hm")).pipe(ops.resume_with(llm, "?")))
    assert text_of(notes) == "The sky"
    assert llm.requests == [(Message.user("?"),)]
    assert "resumed" in notes[1].metadata


def test_reset_of_the_source_starts_the_text_again() -> None:
    stream = cut(StreamChunk("void"), StreamChunk.reset(CUT), StreamChunk("The"))
    notes = notes_of(stream.pipe(ops.resume_with(ContinuingLLM("The sky"), "?")))
    assert fold(chunks_of(notes)).content == "The sky"


@pytest.mark.parametrize("prefill", [True, False])
def test_reset_of_the_rest_keeps_the_text_before_the_seam(prefill: bool) -> None:
    class Restarting(ContinuingLLM):
        def chat_stream(self, *arguments: Any, **settings: Any) -> Observable[StreamChunk]:
            stream = super().chat_stream(*arguments, **settings)
            first = stream.pipe(rx.operators.take(4))
            return rx.concat(first, rx.of(StreamChunk.reset(CUT)), stream)

    operator = ops.resume_with(Restarting(TEXT), "?", prefill=prefill)
    chunks = chunks_of(notes_of(cut(StreamChunk(TEXT[:17])).pipe(operator)))
    assert fold(chunks).content == TEXT
    assert chunks[-1].content == TEXT
    assert [chunk.index for chunk in chunks] == list(range(len(chunks)))


@pytest.mark.parametrize("error", [ValueError("no"), StreamCancelledError("the loop ends")])
def test_other_errors_pass(error: Exception) -> None:
    llm = ContinuingLLM("The sky")
    operator = ops.resume_with(
        llm, "?", resume_if=lambda failure: not isinstance(failure, ValueError)
    )
    assert notes_of(cut(StreamChunk("The"), error=error).pipe(operator))[-1] is error
    assert llm.requests == []


def test_failing_resume_if_fails_the_stream() -> None:
    broken = LookupError("no opinion")

    def fail(_: Exception) -> bool:
        raise broken

    operator = ops.resume_with(ContinuingLLM("The"), "?", resume_if=fail)
    assert notes_of(cut(StreamChunk("The")).pipe(operator))[-1] is broken


def test_resumes_are_counted() -> None:
    class Broken(ContinuingLLM):
        def chat_stream(self, *arguments: Any, **settings: Any) -> Observable[StreamChunk]:
            return rx.concat(super().chat_stream(*arguments, **settings).pipe(
                rx.operators.take(1)), rx.throw(CUT))  # fmt: skip

    llm = Broken(TEXT, size=2)
    notes = notes_of(cut(StreamChunk("The")).pipe(ops.resume_with(llm, "?", max_resumes=3)))
    assert len(llm.requests) == 3
    assert notes[-1] is CUT
    assert text_of(notes) == TEXT[:9]
    assert sum("resumed" in chunk.metadata for chunk in notes[:-1]) == 3


def test_open_calls_and_held_text_pass_before_an_error() -> None:
    stream = cut(StreamChunk("a"), StreamChunk(tool_calls=(CALL,)), error=ValueError())
    operator = ops.resume_with(ScriptedLLM(), "?", resume_if=lambda _: False)
    *chunks, error = notes_of(stream.pipe(operator))
    assert type(error) is ValueError
    assert fold(chunks).tool_calls[0].arguments == CALL.arguments

    llm = ContinuingLLM("The sky", answer=lambda *_: "Th")
    chunks = chunks_of(
        notes_of(cut(StreamChunk("The")).pipe(ops.resume_with(llm, "?", prefill=False)))
    )
    assert text_of(chunks) == "TheTh"
    assert [chunk.finish_reason for chunk in chunks][-1] == "stop"


def test_consumer_that_raises_starts_nothing() -> None:
    llm = ContinuingLLM("The sky")

    def emit(observer: abc.ObserverBase[StreamChunk], _: Any = None) -> abc.DisposableBase:
        try:
            observer.on_next(StreamChunk("The"))
        except LookupError as error:
            observer.on_error(error)
        return rx.disposable.Disposable()

    first = iter([LookupError("the screen is gone")])

    def fail(_: object) -> None:
        for error in first:
            raise error

    errors: list[Exception] = []
    rx.create(emit).pipe(ops.resume_with(llm, "?")).subscribe(fail, errors.append)
    assert llm.requests == []


def test_refused_arguments_fail_the_stream() -> None:
    stream = cut(StreamChunk("The")).pipe(ops.resume_with(ScriptedLLM(), "?", temperature="hot"))  # type: ignore[arg-type]  # on purpose
    assert isinstance(notes_of(stream)[-1], ConfigurationError)


def test_wrong_arguments_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="model must be a model"):
        ops.resume_with("openai:gpt-5-mini", "?")  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ConfigurationError, match="max_resumes"):
        ops.resume_with(ScriptedLLM(), "?", max_resumes=0)
    with pytest.raises(ConfigurationError, match="resume_if"):
        ops.resume_with(ScriptedLLM(), "?", resume_if=3)  # type: ignore[arg-type]  # on purpose
    (error,) = notes_of(rx.of("text").pipe(ops.resume_with(ScriptedLLM(), "?")))  # type: ignore[arg-type]  # on purpose
    assert isinstance(error, ConfigurationError)
    assert "resume_with takes StreamChunks" in str(error)


def test_reply_over_the_scripted_model_is_resumed() -> None:

    broken = ScriptedLLM(Reply("The sky is", error=ServerError("down")))
    spare = ScriptedLLM("The sky is blue.")
    stream = broken.chat_stream("?").pipe(ops.resume_with(spare, "?"), ops.collect())
    response: Any = rxagents.run(stream)
    assert response.content == "The sky is blue."


@any_wire
def test_every_fault_is_survived_with_the_whole_text(wire: SpokenWire, tmp_path: Path) -> None:
    """The rules forbid a completion with a part of the text, and text that is repeated."""
    path = tmp_path / "run.jsonl"

    async def record() -> str:
        async with ScriptedServer(Reply(TEXT, interval=1)) as server:
            url = wire.url_of(server)
            async with wire.model(url, session=Cassette(path, "record")) as llm:
                await llm.chat("Why?")
            return url

    url = run_in_virtual_time(record())
    failed: list[Exception] = []

    def pipe(session: Any) -> Observable[StreamChunk]:
        stream = wire.model(url, session=session, max_retries=0).chat_stream("Why?")
        resumed: Observable[StreamChunk] = stream.pipe(
            ops.resume_with(ContinuingLLM(TEXT), "Why?", resume_if=lambda _: True),
            rx.operators.do_action(on_error=failed.append),
        )
        return resumed

    assert len(every_fault(Cassette(path), pipe)) > 50
    assert failed == []
