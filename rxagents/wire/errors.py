"""Errors as providers write them, in a body with an error status or in the stream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from rxagents.core.errors import ProviderError, ServerError, class_of_status

_STATUS_OF_KIND: dict[str, int] = {
    "invalid_request_error": 400,
    "bad_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "authentication_error": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "not_found_error": 404,
    "model_not_found": 404,
    "timeout": 408,
    "timeout_error": 408,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "api_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "server_error": 500,
    "service_unavailable": 503,
    "overloaded": 529,
    "overloaded_error": 529,
}
"""The status an in-stream error stands for, by its type or code: the words of the OpenAI and
Anthropic API references, with the variants that compatible hosts write."""


class ErrorBody(Struct, frozen=True):
    """What an error body says.

    Attributes:
        message: The provider's sentence.
        kinds: Its types and codes, in lower case.
        status: The status it names, or the one its kinds stand for; `None` if neither.
    """

    message: str
    kinds: tuple[str, ...] = ()
    status: int | None = None


def parse_error(error: object) -> ErrorBody:
    """Read an error in any of the shapes that providers send.

    Args:
        error: The decoded JSON: the whole body, the value of its `error`, or a text.
    """
    if isinstance(error, list) and error:
        error = error[0]
    if not isinstance(error, Mapping):
        return ErrorBody(error if isinstance(error, str) else _json(error))
    inner = error.get("error", error.get("errors"))
    if isinstance(inner, (Mapping, list)) and inner:
        return parse_error(inner)
    message = next(
        (text for text in (error.get(key) for key in _MESSAGE_KEYS) if _is_text(text)), None
    )
    raw_kinds = (error.get("code"), error.get("type"), error.get("status"))
    kinds = tuple(kind.lower() for kind in raw_kinds if isinstance(kind, str) and kind)
    return ErrorBody(str(message) if message else _json(error), kinds, _status(error, kinds))


def in_stream_error(error: object, provider: str, request_id: str | None) -> ProviderError:
    """Return the error that an error inside a stream with status 200 stands for.

    Where it names nothing known it is a `ServerError`: the provider failed while it answered.
    """
    body = parse_error(error)
    kind = class_of_status(body.status) if body.status else ServerError
    return kind(
        f"{provider} failed in the middle of the stream: {body.message[:2000]}",
        provider=provider,
        request_id=request_id,
        status=body.status,
    )


_MESSAGE_KEYS = ("message", "error", "detail", "msg", "error_description", "title")


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _status(error: Mapping[str, Any], kinds: tuple[str, ...]) -> int | None:
    for key in ("code", "status", "status_code", "http_status"):
        value = error.get(key)
        if isinstance(value, str) and value.isdigit():
            value = int(value)
        if isinstance(value, int) and 400 <= value <= 599:
            return value
    return next((_STATUS_OF_KIND[kind] for kind in kinds if kind in _STATUS_OF_KIND), None)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode("utf-8", "replace")
