"""Errors in all the shapes that providers send."""

from __future__ import annotations

from typing import Any

import pytest

import rxagents
from rxagents.core.errors import class_of_status
from rxagents.providers.failures import request_id
from rxagents.wire.errors import in_stream_error, parse_error


@pytest.mark.parametrize(
    ("body", "message", "kinds", "status"),
    [
        pytest.param(
            {"error": {"message": "Bad.", "type": "invalid_request_error", "code": None}},
            "Bad.", ("invalid_request_error",), 400, id="OpenAI",
        ),
        pytest.param(
            {"error": {"message": "Bad.", "type": "invalid_request_error",
                       "code": "invalid_api_key"}, "request_id": "r"},
            "Bad.", ("invalid_api_key", "invalid_request_error"), 401, id="code and type",
        ),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "Full."},
             "request_id": "r"},
            "Full.", ("overloaded_error",), 529, id="Anthropic",
        ),
        pytest.param(
            {"error": {"code": 404, "message": "None such.", "status": "NOT_FOUND", "details": []}},
            "None such.", ("not_found",), 404, id="Google",
        ),
        pytest.param(
            [{"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}],
            "Slow down.", ("resource_exhausted",), 429, id="list",
        ),
        pytest.param({"error": "No such model."}, "No such model.", (), None, id="text"),
        pytest.param({"detail": "Wrong key."}, "Wrong key.", (), None, id="detail"),
        pytest.param(
            {"message": "Bad.", "type": "Bad Request", "code": 400},
            "Bad.", ("bad request",), 400, id="flat",
        ),
        pytest.param(
            {"object": "error", "message": "Down.", "type": "internal_server_error",
             "code": "1000"},
            "Down.", ("1000", "internal_server_error"), 500, id="own code",
        ),
        pytest.param(
            {"error": {"code": "400", "message": "Bad.", "param": "No such model"}},
            "Bad.", ("400",), 400, id="status as text",
        ),
        pytest.param(
            {"code": "invalid-argument", "error": "Wrong key."},
            "Wrong key.", ("invalid-argument",), None, id="text and code",
        ),
        pytest.param(
            {"code": 400, "reason": "INVALID_BODY", "message": "Bad.", "metadata": {}},
            "Bad.", (), 400, id="reason",
        ),
        pytest.param(
            {"error": {"message": "Bad.", "code": 400, "metadata": {"raw": "{}"}}, "user_id": "u"},
            "Bad.", (), 400, id="router",
        ),
        pytest.param({"errors": [{"message": "Bad."}]}, "Bad.", (), None, id="errors"),
        pytest.param({"error": {"error": {"message": "Bad."}}}, "Bad.", (), None, id="nested"),
        pytest.param({"msg": "Bad.", "status_code": 422}, "Bad.", (), 422, id="msg"),
        pytest.param({"error": "x", "error_description": "Bad."}, "x", (), None, id="OAuth"),
        pytest.param({"message": "", "detail": "Bad."}, "Bad.", (), None, id="empty message"),
        pytest.param({"code": 200, "message": "Bad."}, "Bad.", (), None, id="code 200"),
        pytest.param({"code": True, "message": "Bad."}, "Bad.", (), None, id="bool"),
        pytest.param("Bad.", "Bad.", (), None, id="not an object"),
        pytest.param(None, "null", (), None, id="null"),
        pytest.param(5, "5", (), None, id="number"),
        pytest.param([], "[]", (), None, id="empty list"),
        pytest.param({}, "{}", (), None, id="empty object"),
        pytest.param({"surprise": [1]}, '{"surprise":[1]}', (), None, id="unknown"),
    ],
)  # fmt: skip
def test_error_shapes(
    body: object, message: str, kinds: tuple[str, ...], status: int | None
) -> None:
    read = parse_error(body)
    assert (read.message, read.kinds, read.status) == (message, kinds, status)


@pytest.mark.parametrize(
    ("body", "is_explicit"),
    [
        ({"error": {"code": 404, "message": "None such."}}, True),
        ({"message": "Bad.", "status_code": "422"}, True),
        ({"error": {"type": "not_found_error", "message": "None such."}}, False),
        ({"code": 200, "message": "Bad."}, False),
        ("Bad.", False),
    ],
)
def test_explicit_status_and_status_from_type_differ(body: object, is_explicit: bool) -> None:
    assert parse_error(body).has_explicit_status is is_explicit


@pytest.mark.parametrize(
    "body",
    [
        {"detail": [{"loc": ["body", "tools"], "msg": "Field required", "type": "missing"}]},
        {"error": {"message": {"message": "Field required", "code": "x"}}},
        {"error": {"reason": "Field required"}},
    ],
)
def test_unknown_shape_keeps_its_text(body: object) -> None:
    assert "Field required" in parse_error(body).message


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("invalid_request_error", "BadRequestError"),
        ("context_length_exceeded", "BadRequestError"),
        ("authentication_error", "AuthenticationError"),
        ("permission_error", "AuthenticationError"),
        ("not_found_error", "NotFoundError"),
        ("timeout_error", "StreamTimeoutError"),
        ("request_too_large", "PayloadTooLargeError"),
        ("rate_limit_error", "RateLimitError"),
        ("insufficient_quota", "RateLimitError"),
        ("api_error", "ServerError"),
        ("server_error", "ServerError"),
        ("overloaded_error", "OverloadedError"),
        ("OVERLOADED", "OverloadedError"),
        ("service_unavailable", "OverloadedError"),
        ("nobody_knows", "ServerError"),
    ],
)
@pytest.mark.parametrize("key", ["type", "code"])
def test_in_stream_error_has_class_of_type(key: str, kind: str, name: str) -> None:
    error = in_stream_error({"message": "It broke.", key: kind}, "acme", "req-1")
    expected = getattr(rxagents, name)
    assert type(error) is expected
    assert (error.provider, error.request_id) == ("acme", "req-1")
    assert error.retryable is expected.retryable_by_default
    assert str(error) == "acme failed in the middle of the stream: It broke."


@pytest.mark.parametrize(
    ("details", "seconds"),
    [
        ([{"@type": "google.rpc.Help", "links": []}, {"retryDelay": "48s"}], 48.0),
        ([{"retryDelay": "0.5s"}], 0.5),
        ([{"retryDelay": "soon"}, {"retryDelay": 5}, 5], None),
        ([{"retryDelay": "9" * 5_000 + "s"}], None),
        ({"retryDelay": "48s"}, None),
    ],
)
def test_retry_delay_in_details(details: object, seconds: float | None) -> None:
    error = in_stream_error({"error": {"code": 429, "details": details}}, "acme", None)
    assert error.retry_after == seconds


@pytest.mark.parametrize("code", [400, "400", 403, 404, 408, 409, 413, 422, 429, "503", 529, 599])
def test_in_stream_error_has_class_of_status(code: Any) -> None:
    error = in_stream_error({"message": "It broke.", "code": code}, "acme", None)
    assert error.status == int(code)
    assert type(error) is class_of_status(int(code))


def test_long_error_message_is_cut() -> None:
    error = in_stream_error({"message": "x" * 100_000}, "acme", None)
    assert 2_000 <= len(str(error)) < 3_000


@pytest.mark.parametrize(
    "body",
    [
        {"code": "²", "message": "Bad."},
        {"code": "9" * 5_000, "message": "Bad."},
        {"code": 10**400, "message": "Bad."},
    ],
)
def test_odd_codes_are_no_status(body: dict[str, Any]) -> None:
    assert parse_error(body).status is None
    assert parse_error(body).message == "Bad."


@pytest.mark.parametrize(
    "body",
    [{"a": "\ud83d"}, ["\ud83d"], {"message": "\ud83d"}, {"a": 10**400}, {"a": float("nan")}],
)
def test_unencodable_error_does_not_raise(body: object) -> None:
    error = in_stream_error(body, "acme", None)
    assert type(error) is rxagents.ServerError
    str(error).encode()


def test_request_id_can_be_encoded() -> None:
    assert request_id({"x-request-id": "a\udcffb"}) == "a?b"
    assert request_id({"request-id": ""}) is None
