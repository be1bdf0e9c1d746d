"""Parses providers' errors: the body of an error status, or an error in the stream."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Mapping
from typing import Any, TypeGuard

import msgspec
from msgspec import Struct

from rxagents.core.errors import ProviderError, ServerError, class_of_status
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.core.surrogates import replace_surrogates
from rxagents.parsing.sse import parse_fields

_STATUS_OF_KIND: dict[str, int] = {
    "invalid_request_error": 400,
    "bad_request_error": 400,
    "context_length_exceeded": 400,
    "invalid_prompt": 400,
    "authentication_error": 401,
    "unauthenticated": 401,
    "invalid_api_key": 401,
    "permission_error": 403,
    "permission_denied": 403,
    "invalid_argument": 400,
    "not_found_error": 404,
    "model_not_found": 404,
    "timeout": 408,
    "timeout_error": 408,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "too_many_requests": 429,
    "resource_exhausted": 429,
    "api_error": 500,
    "internal_error": 500,
    "internal_server_error": 500,
    "server_error": 500,
    "service_unavailable": 503,
    "unavailable": 503,
    "overloaded": 529,
    "overloaded_error": 529,
}
"""The HTTP status that an in-stream error corresponds to, by its type or code: the words of the
OpenAI, Anthropic and Gemini API references, and variants that compatible hosts send."""


class ErrorBody(Struct, frozen=True):
    """A parsed error.

    Attributes:
        message: The provider's message.
        kinds: Its types and codes, in lower case.
        status: The HTTP status in the error, or the one of its kinds; `None` if there is neither.
        has_explicit_status: The error itself contains the status.
        retry_after: Seconds to wait before a retry, which Google sends in the error.
    """

    message: str
    kinds: tuple[str, ...] = ()
    status: int | None = None
    has_explicit_status: bool = False
    retry_after: float | None = None


def parse_error(error: object) -> ErrorBody:
    """Parse an error in any of the shapes that providers send.

    Args:
        error: The decoded JSON: the whole body, the value of its `error`, or a text.
    """
    outer = None
    for _ in range(_DEEPEST):
        inner = _inner(error)
        if inner is None:
            break
        if isinstance(error, Mapping):
            outer = _explicit_status(error) or outer
        error = inner
    if not isinstance(error, Mapping):
        return ErrorBody(replace_surrogates(error if isinstance(error, str) else _json(error)))
    message = next((text for key in _MESSAGE_KEYS if _is_text(text := error.get(key))), None)
    names = (error.get("code"), error.get("type"), error.get("status"))
    kinds = tuple(replace_surrogates(name).lower() for name in names if _is_text(name))
    explicit = _explicit_status(error) or outer
    status = explicit or _status_of(kinds)
    reason = _upstream_reason(error.get("metadata"))
    message = f"{message}: {reason}" if message and reason else message or reason
    return ErrorBody(
        replace_surrogates(message or _json(error)),
        kinds,
        status,
        explicit is not None,
        _retry_after(error.get("details")),
    )


def decode_body(data: bytes) -> object:
    """Return the JSON of a body, or its text if it is not JSON or nested too deeply."""
    if not is_deeper(data, DEFAULT_LIMITS.json_depth):
        with contextlib.suppress(*JSON_ERRORS):
            return msgspec.json.decode(data)
        if data.lstrip().startswith((b"data:", b"event:")):  # a body that is framed as events
            first = data.strip().replace(b"\r\n", b"\n").split(b"\n\n", 1)[0]
            payload = b"\n".join(parse_fields(first).data).strip()
            with contextlib.suppress(*JSON_ERRORS):
                return msgspec.json.decode(payload)
    return data.decode("utf-8", "replace").strip()


def is_error_body(body: object) -> bool:
    """Return whether decoded JSON is an error, or a list that starts with one.

    Some hosts send errors without `error`: a message with a code, `detail` (FastAPI), or
    `base_resp` (MiniMax). A code of 0 or 200 is a success.
    """
    body = body[0] if isinstance(body, list) and body else body
    if not isinstance(body, Mapping):
        return False
    if body.get("error") or body.get("detail"):
        return True
    match body.get("base_resp"):
        case {"status_code": int(status)}:
            return status != 0
    codes = [body[name] for name in _CODE_KEYS if body.get(name) is not None]
    has_message = _is_text(body.get("message")) or _is_text(body.get("msg"))
    return has_message and not any(str(code) in ("0", "200") for code in codes)


def in_stream_error(error: object, provider: str, request_id: str | None) -> ProviderError:
    """Return the exception for an error that came inside a stream with status 200.

    Its class is that of the error's status. Without a known status it is a `ServerError`, since the
    provider failed while it was responding.
    """
    if request_id is None and isinstance(error, Mapping) and _is_text(error.get("request_id")):
        request_id = replace_surrogates(error["request_id"])
    body = parse_error(error)
    kind = class_of_status(body.status) if body.status else ServerError
    return kind(
        f"{provider} failed in the middle of the stream: {body.message[:2000]}",
        provider=provider,
        request_id=request_id,
        status=body.status,
        retry_after=body.retry_after,
    )


_MESSAGE_KEYS = ("message", "error", "detail", "msg", "status_msg", "error_description", "title")
_CODE_KEYS = ("code", "status", "status_code", "http_status")

_DEEPEST = 8
"""How many wrappers are removed. Providers use one or two; a hostile one may send a thousand."""


def _inner(error: object) -> object | None:
    """Return the error inside `error`, or `None`."""
    if isinstance(error, list):
        return error[0] if error else None
    if isinstance(error, Mapping):
        inner = error.get("error", error.get("errors")) or error.get("base_resp")
        return inner if isinstance(inner, (Mapping, list)) and inner else None
    return None


def _is_text(value: object) -> TypeGuard[str]:
    return isinstance(value, str) and bool(value)


def _upstream_reason(metadata: object) -> str:
    """Return the error of the host that OpenRouter has forwarded to, in `metadata.raw`."""
    raw = metadata.get("raw") if isinstance(metadata, Mapping) else None
    inner = decode_body(raw.encode("utf-8", "replace")) if isinstance(raw, str) else raw
    return parse_error(inner).message if inner else ""


def _explicit_status(error: Mapping[str, Any]) -> int | None:
    for key in _CODE_KEYS:
        value = error.get(key)
        if isinstance(value, (int, str)) and _STATUS.fullmatch(str(value)[:4]):
            return int(value)
    return None


def _status_of(kinds: tuple[str, ...]) -> int | None:
    return next((_STATUS_OF_KIND[kind] for kind in kinds if kind in _STATUS_OF_KIND), None)


_STATUS = re.compile("[45][0-9][0-9]")


def _retry_after(details: object) -> float | None:
    """Return the delay of a `google.rpc.RetryInfo` among the details, in seconds."""
    for detail in details if isinstance(details, list) else ():
        match detail:
            case {"retryDelay": str(delay)} if _SECONDS.fullmatch(delay):
                return float(delay.removesuffix("s"))
    return None


_SECONDS = re.compile(r"[0-9]{1,9}(\.[0-9]{1,9})?s")


def _json(value: object) -> str:
    try:
        return msgspec.json.encode(value).decode()
    except (ValueError, RecursionError):
        return "an error that cannot be shown"
