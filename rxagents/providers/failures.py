"""Answers that are no stream, or no whole one, as typed errors."""

from __future__ import annotations

from collections.abc import Mapping

from yarl import URL

from rxagents.core.errors import (
    ProviderError,
    RedirectError,
    ResponseError,
    TruncatedStreamError,
    class_of_status,
)
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.retry import asked_retry, asked_wait
from rxagents.transport import HttpResponse
from rxagents.wire.errors import decode_body, parse_error

_LONGEST_MESSAGE = 2000
"""How many characters of a provider's own sentence are passed on."""

_LONGEST_QUOTE = 500
"""How many characters of a body that holds no sentence are quoted."""

_ADVICE = {
    401: "Check the API key.",
    403: "Check what the API key is allowed to do.",
    404: "Check the model's name and base_url.",
    429: "Slow down, or check the account's quota.",
}


async def status_error(call: PreparedRequest, exchange: HttpResponse) -> ProviderError:
    """Return the error of an answer whose status is not 200."""
    body = await exchange.read_head(call.limits.error_bytes)
    asked = asked_wait(exchange.headers)
    kind = class_of_status(exchange.status)
    if exchange.status < 300:
        kind = ResponseError
    if issubclass(kind, RedirectError):
        where = _redirected(exchange.headers.get("location", ""))
        said = (
            f"redirects to {where}, and redirects are not followed: they would take the key along. "
            "If you trust the other host, make it the base_url"
        )
    else:
        said = _said(body) or exchange.reason
    return kind(
        f"{call.provider} answered with status {exchange.status}: "
        + _advised(said, exchange.status),
        provider=call.provider,
        request_id=request_id(exchange.headers),
        status=exchange.status,
        retryable=asked_retry(exchange.headers),
        retry_after=parse_error(decode_body(body)).retry_after if asked is None else asked,
    )


def no_stream(call: PreparedRequest, exchange: HttpResponse, head: bytes) -> ProviderError:
    """Return the error of a 200 that begins with `head` in place of events.

    Some hosts send an error as plain JSON with status 200, and name its status inside.
    """
    body = parse_error(decode_body(head))
    if body.names_status and body.status is not None:
        return class_of_status(body.status)(
            f"{call.provider} answered with an error in place of a stream: "
            + _advised(body.message[:_LONGEST_MESSAGE], body.status),
            provider=call.provider,
            request_id=request_id(exchange.headers),
            status=body.status,
            retry_after=body.retry_after,
        )
    kind = exchange.headers.get("content-type", "no content type")
    return ResponseError(
        f"{call.provider} answered with something that is no stream of it ({kind}): "
        f"{_said(head)[:_LONGEST_QUOTE]} Check base_url, and that the model can stream.",
        provider=call.provider,
        request_id=request_id(exchange.headers),
        status=exchange.status,
    )


def truncated(call: PreparedRequest, exchange: HttpResponse) -> ProviderError:
    """Return the error of an answer that ended before the provider said so."""
    return TruncatedStreamError(
        f"The stream from {call.provider} ended without a finish reason or end marker. What came "
        "before was delivered; ask again for the rest.",
        provider=call.provider,
        request_id=request_id(exchange.headers),
        status=exchange.status,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the provider's id for the request, if it sent one."""
    return headers.get("x-request-id") or headers.get("request-id")


def redact(error: ProviderError, call: PreparedRequest) -> None:
    """Take the secrets out of what a server may have echoed."""
    error.args = (call.redact(str(error)),)
    if error.request_id is not None:
        error.request_id = call.redact(error.request_id)


def _advised(said: str, status: int) -> str:
    """Return the provider's sentence, and what to do where the status tells."""
    if status not in _ADVICE:
        return said
    return f"{said if said.endswith(('.', '!', '?')) else f'{said}.'} {_ADVICE[status]}"


def _redirected(location: str) -> str:
    try:
        return URL(location).host or "another path"
    except ValueError:
        return "an address that is none"


def _said(body: bytes) -> str:
    """Return the provider's sentence, or the beginning of a body that holds none."""
    error = decode_body(body)
    if isinstance(error, str):
        return error[:_LONGEST_QUOTE]
    return parse_error(error).message[:_LONGEST_MESSAGE]
