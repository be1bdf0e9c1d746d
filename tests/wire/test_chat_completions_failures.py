"""Failing chat-completions streams: typed errors after all earlier chunks, never an exception."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import rxagents
from rxagents import (
    LimitExceededError,
    Limits,
    ProviderError,
    ServerError,
    StreamChunk,
    StreamDecodeError,
)
from rxagents.wire.chat_completions import ChatCompletionsParser
from rxagents.wire.parser import StreamInfo


def event(content: str, **fields: Any) -> bytes:
    body = {"id": "c-1", "model": "m", "choices": [{"index": 0, "delta": {"content": content}}]}
    return data({**body, **fields})


def data(body: object) -> bytes:
    return b"data: " + json.dumps(body).encode() + b"\n\n"


def decode(
    *feeds: bytes,
) -> tuple[list[StreamChunk], ProviderError | None, ChatCompletionsParser]:
    parser = ChatCompletionsParser(StreamInfo("acme", "req-1"))
    chunks = [chunk for piece in feeds for chunk in parser.feed(piece, 1.0)]
    chunks += parser.flush(1.0)
    return chunks, parser.error, parser


def fails(stream: bytes) -> ProviderError:
    """Return the error of a stream after the texts "a" and "b"; check every split."""
    whole = event("a") + event("b") + stream + event("c")
    errors = []
    for feeds in (
        [whole],
        [whole[i : i + 50] for i in range(0, len(whole), 50)],
        [b":\n\n" + whole],
    ):
        chunks, error, parser = decode(*feeds)
        assert [chunk.content for chunk in chunks] == ["a", "ab"]
        assert error is not None
        assert (error.provider, error.request_id) == ("acme", "req-1")
        assert not parser.complete
        assert parser.feed(event("d"), 1.0) == []
        assert parser.flush(1.0) == []
        errors.append(error)
    assert len({(type(error), str(error)) for error in errors}) == 1
    return errors[0]


@pytest.mark.parametrize(
    ("body", "name", "status"),
    [
        ({"message": "No.", "code": 400}, "BadRequestError", 400),
        ({"message": "No.", "code": "401"}, "AuthenticationError", 401),
        ({"message": "No.", "type": "invalid_request_error"}, "BadRequestError", 400),
        ({"message": "No.", "type": "invalid_request_error", "code": "invalid_api_key"},
         "AuthenticationError", 401),
        ({"message": "No.", "code": "model_not_found"}, "NotFoundError", 404),
        ({"message": "No.", "code": 408}, "StreamTimeoutError", 408),
        ({"message": "No.", "code": "rate_limit_exceeded"}, "RateLimitError", 429),
        ({"message": "No.", "status": 429}, "RateLimitError", 429),
        ({"message": "No.", "type": "server_error", "code": None}, "ServerError", 500),
        ({"message": "No.", "code": 502}, "ServerError", 502),
        ({"message": "No.", "code": 503}, "OverloadedError", 503),
        ({"message": "No.", "type": "overloaded_error"}, "OverloadedError", 529),
        ({"message": "No.", "type": "something_new", "code": "1234"}, "ServerError", None),
        ({"message": "No."}, "ServerError", None),
        ("No.", "ServerError", None),
    ],
)  # fmt: skip
def test_error_object_has_class_of_status(body: object, name: str, status: int | None) -> None:
    kind = getattr(rxagents, name)
    for stream in (data({"error": body}), b"event: error\n" + data({"error": body})):
        error = fails(stream)
        assert type(error) is kind
        assert error.status == status
        assert error.retryable is kind("").retryable
        assert "No." in str(error)
        assert "acme" in str(error)


def test_error_event_may_have_choices() -> None:
    error = fails(event("x", object="error", message="Upstream is gone.", code=502))
    assert type(error) is ServerError
    assert "Upstream is gone." in str(error)


def test_choices_may_have_an_error_beside_them() -> None:
    error = fails(event("x", error={"message": "Upstream is gone.", "code": 502}))
    assert type(error) is ServerError
    assert "Upstream is gone." in str(error)


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        (b'{"message": "Busy.", "type": "overloaded_error"}', "OverloadedError"),
        (b'{"code": 429, "message": "Busy."}', "RateLimitError"),
        (b"Busy.", "ServerError"),
        (b'{"detail": "Busy."}', "ServerError"),
    ],
)
def test_error_event_is_typed_error(payload: bytes, name: str) -> None:
    error = fails(b"event: error\ndata: " + payload + b"\n\n")
    assert type(error) is getattr(rxagents, name)
    assert "Busy." in str(error)


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b'{"code": 429, "message": "Busy."}', "RateLimitError"),
        (b'{"error": {"message": "Busy."}}', "ServerError"),
        (b"Busy.", "ServerError"),
    ],
)
def test_error_field_fails_incomplete_response(value: bytes, name: str) -> None:
    chunks, error, _ = decode(event("a") + b"error: " + value + b"\n\n")
    assert [chunk.content for chunk in chunks] == ["a"]
    assert type(error) is getattr(rxagents, name)
    assert "Busy." in str(error)


def test_empty_error_is_ignored() -> None:
    empties: list[object] = [None, {}, "", False]
    for empty in empties:
        chunks, error, _ = decode(event("a", error=empty))
        assert [chunk.content for chunk in chunks] == ["a"]
        assert error is None


BAD = {
    "no JSON": b"{oops}",
    "half an object": b'{"choices":[{"delta":{"content":"x"}}',
    "two objects": b"{} {}",
    "an object over two lines": b'{"choices":\n[{"index":0,"delta":{"content":"x"}}]}',
    "a text cut by an event, beside two objects": b'{"choices":[{"index":0,"delta":{"content":"x'
    b'\n\ndata: y"}}]}\n\ndata: {} {}',
    "two objects beside a blank event": b"{} {}\n\ndata: ",
    "a value cut by an event, beside two objects": b'{"choices":[{"delta":{}},\n\ndata: {}]}'
    b"\n\ndata: {} {}",
    "a list": b"[]",
    "a text": b'"x"',
    "invalid UTF-8": b'{"choices":[{"delta":{"content":"\xff"}}]}',
    "cut UTF-8": b'{"choices":[{"delta":{"content":"\xe2\x82"}}]}',
}


@pytest.mark.parametrize("payload", BAD.values(), ids=BAD.keys())
def test_invalid_event_is_typed_error(
    payload: bytes,
) -> None:
    error = fails(b"data: " + payload + b"\n\n")
    assert type(error) is StreamDecodeError
    assert "base_url" in str(error)
    assert len(str(error)) < 1500
    assert not error.retryable


@pytest.mark.parametrize(
    "payload",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"choices":[],"error":' + b'{"a":' * 128 + b"1" + b"}" * 128 + b"}",
    ],
    ids=["open", "closed", "in an unknown key", "one level too deep"],
)
def test_deep_event_is_typed_error(payload: bytes) -> None:
    error = fails(b"data: " + payload + b"\n\n")
    assert type(error) is LimitExceededError
    assert "Limits.json_depth" in str(error)


def test_brackets_in_text_do_not_nest() -> None:
    text = "[{" * 10_000 + '"\\'
    chunks, error, _ = decode(event(text), event(text, usage={"prompt_tokens": 1}))
    assert error is None
    assert chunks[-1].content == text + text


def test_long_event_is_typed_error() -> None:
    parser = ChatCompletionsParser(StreamInfo("acme", "req-1", Limits(event_bytes=200)))
    chunks = parser.feed(event("a") + event("b") + event("x" * 200) + event("c"), 1.0)
    assert [chunk.content for chunk in chunks] == ["a", "ab"]
    assert type(parser.error) is LimitExceededError
    assert (parser.error.provider, parser.error.request_id) == ("acme", "req-1")
    assert "200 bytes. Raise Limits.event_bytes" in str(parser.error)
    assert parser.feed(event("d"), 1.0) == []
    assert parser.flush(1.0) == []


JUNK: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from([10**400, float("nan"), float("inf"), "9" * 5000, 400, "429", 0])
    | st.text(st.sampled_from("a\ud83d\ude00²5é\n"), max_size=3),
    lambda inner: (
        st.lists(inner, max_size=2)
        | st.dictionaries(
            st.sampled_from(["type", "text", "thinking", "code", "message", "error"]), inner
        )
    ),
    max_leaves=4,
)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={k: v | JUNK for k, v in fields.items()})


FUNCTIONS = objects(name=st.just("add"), arguments=st.sampled_from(["", "{}", '{"a"', ": 1}"]))
DELTAS = objects(
    content=st.just("a"),
    reasoning=st.just("b"),
    refusal=st.just("c"),
    tool_calls=st.lists(
        objects(index=st.integers(0, 2), id=st.sampled_from(["", "x", "y"]), function=FUNCTIONS),
        max_size=2,
    ),
    function_call=FUNCTIONS,
)
CHOICES = objects(index=st.integers(0, 1), delta=DELTAS, finish_reason=st.sampled_from(["stop"]))
EVENTS = objects(
    id=st.just("c-1"),
    model=st.just("m"),
    choices=st.lists(CHOICES, min_size=1, max_size=2),
    usage=objects(prompt_tokens=st.just(1), completion_tokens_details=JUNK),
    error=st.none(),
)


NAMED = {"model": "m", "choices": [{"delta": {"content": "a"}}]}


@settings(deadline=None)
@given(st.lists(EVENTS, max_size=4))
@example([{"choices": [], "usage": {"prompt_tokens": float("nan")}}])
@example([{"choices": [], "usage": {"completion_tokens": float("inf")}}])
@example([{"error": {"surprise": "\ud83d"}}])
@example([{"error": {"message": "\ud83d"}}])
@example([{"error": {"code": "²"}}])
@example([{"error": {"code": "9" * 5000}}])
@example([{**NAMED, "id": "c-1"}, {**NAMED, "id": 5}])
@example([{**NAMED, "id": 5}, NAMED])
def test_random_events_never_raise(bodies: list[Any]) -> None:
    events = [data(body) for body in bodies]
    whole, error, _ = decode(b"".join(events))
    split, split_error, _ = decode(*events)
    assert type(error) is type(split_error)
    assert [shown(chunk) for chunk in whole] == [shown(chunk) for chunk in split]
    for chunk in whole:
        (chunk.content + chunk.reasoning + chunk.refusal).encode()
    if error is not None:
        str(error).encode()


def shown(chunk: StreamChunk) -> tuple[Any, ...]:
    """Return the fields of a chunk without made-up ids, which are random."""
    calls = [(c.index, c.id[:5], c.name, c.arguments, c.sealed) for c in chunk.tool_calls]
    return chunk.content, chunk.reasoning, chunk.refusal, chunk.finish_reason, chunk.choice, calls


@pytest.mark.parametrize(
    ("opening", "unit", "closing"),
    [
        pytest.param(b"", (b'{"error":', b"}"), b"", id="errors in errors"),
        pytest.param(b'{"error":', (b'{"error":[', b"]}"), b"}", id="lists of errors"),
        pytest.param(b'{"error":', (b"[", b"]"), b"}", id="an error of brackets"),
        pytest.param(
            b'{"error":{"message":"No.","code":', (b"[", b"]"), b"}}", id="a code of brackets"
        ),
        pytest.param(
            b'{"choices":[{"delta":{"content":[',
            (b'{"type":"thinking","thinking":[', b"]}"),
            b"]}}]}",
            id="thoughts in thoughts",
        ),
    ],
)
def test_deep_nesting_never_raises(
    opening: bytes, unit: tuple[bytes, bytes], closing: bytes
) -> None:
    for depth in [1, 10, 100, *range(300, 1050), 5_000, 100_000]:
        payload = opening + unit[0] * depth + b"1" + unit[1] * depth + closing
        chunks, error, _ = decode(event("a") + b"data: " + payload + b"\n\n")
        assert chunks[0].content == "a"
        assert error is None or isinstance(error, ProviderError)


@pytest.mark.parametrize(
    "body",
    [
        {"object": "error", "message": "Busy.", "type": "ServiceUnavailableError", "code": 503},
        {"object": "error", "error": {"message": "Busy.", "code": 503}},
        {"choices": [{"delta": {}, "finish_reason": "error", "error": {
            "code": 503, "message": "Busy."}}]},
    ],
    ids=["flat", "flat and not", "in a choice"],
)  # fmt: skip
def test_error_may_be_in_other_places(body: object) -> None:
    error = fails(data(body))
    assert type(error) is rxagents.OverloadedError
    assert "Busy." in str(error)


def test_nulls_in_lists_are_ignored() -> None:
    nulls = {"choices": [None, {"delta": {"content": "a", "tool_calls": [None]}}]}
    chunks, error, _ = decode(data(nulls), event("b"), data({"choices": [None]}), event("c"))
    assert error is None
    assert [chunk.delta for chunk in chunks] == ["a", "b", "c"]
