"""Make typed errors of responses that hold no stream, or not all of it."""

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
from rxagents.core.surrogates import replace_surrogates
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.redaction import without_frames
from rxagents.providers.retry import requested_retry, requested_wait
from rxagents.transport import StreamedResponse
from rxagents.wire.errors import decode_body, parse_error

_LONGEST_MESSAGE = 2000
"""The most characters of a provider's own message that an error quotes."""

_LONGEST_QUOTE = 500
"""The most characters of a body without a message that an error quotes."""

_ADVICE = {
    401: "Check the API key.",
    403: "Check what the API key is allowed to do.",
    404: "Check the model's name and base_url.",
    407: "Write a user name and a password in HTTP_PROXY: http://user:password@host:port.",
    429: "Slow down, or check the account's quota.",
}


async def status_error(request: PreparedRequest, response: StreamedResponse) -> ProviderError:
    """Return the error of a response whose status is not 200."""
    body = await response.read_head(request.limits.error_bytes)
    wait = requested_wait(response.headers)
    kind = class_of_status(response.status)
    if response.status < 300:
        kind = ResponseError
    # Only a proxy answers with 407 (RFC 9110, section 15.5.8).
    who = "The proxy" if response.status == 407 else request.provider
    if issubclass(kind, RedirectError):
        message = _redirect_message(request.url, response.headers.get("location", ""))
    else:
        message = message_or_quote(body) or response.reason
    return kind(
        f"{who} answered with status {response.status}: " + _with_advice(message, response.status),
        provider=request.provider,
        request_id=request_id(response.headers),
        status=response.status,
        retryable=requested_retry(response.headers),
        retry_after=parse_error(decode_body(body)).retry_after if wait is None else wait,
    )


def no_stream_error(
    request: PreparedRequest, response: StreamedResponse, head: bytes
) -> ProviderError:
    """Return the error of a response with status 200 whose body begins with `head`, not an event.

    Some hosts send an error as plain JSON with status 200, and name its status inside.
    """
    body = parse_error(decode_body(head))
    if body.has_explicit_status and body.status is not None:
        return class_of_status(body.status)(
            f"{request.provider} answered with status 200 and an error instead of a stream: "
            + _with_advice(body.message[:_LONGEST_MESSAGE], body.status),
            provider=request.provider,
            request_id=request_id(response.headers),
            status=body.status,
            retry_after=body.retry_after,
        )
    content_type = replace_surrogates(response.headers.get("content-type", "no content type"))
    return ResponseError(
        f"{request.provider} answered with a body that is not a stream of its format "
        f"({content_type}): {message_or_quote(head)[:_LONGEST_QUOTE]} Check base_url, and that "
        "the model can stream.",
        provider=request.provider,
        request_id=request_id(response.headers),
        status=response.status,
    )


def truncated_error(request: PreparedRequest, response: StreamedResponse) -> ProviderError:
    """Return the error of a body that ended before the provider marked its end."""
    return TruncatedStreamError(
        f"The stream from {request.provider} ended without a finish reason or end marker. All "
        "text that had arrived was delivered; send the request again.",
        provider=request.provider,
        request_id=request_id(response.headers),
        status=response.status,
    )


def request_id(headers: Mapping[str, str]) -> str | None:
    """Return the provider's id of the request, if it sent one.

    aiohttp decodes bytes of a header that are not UTF-8 as surrogates, which nothing can encode.
    """
    sent = headers.get("x-request-id") or headers.get("request-id")
    return replace_surrogates(sent) if sent else None


def redact(error: ProviderError, request: PreparedRequest) -> None:
    """Remove secrets from the error: what the server may have echoed, and its frames."""
    without_frames(error)
    error.args = (request.redact(str(error)),)
    if error.request_id is not None:
        error.request_id = request.redact(error.request_id)


def _with_advice(message: str, status: int) -> str:
    """Return the provider's message, and what to do about a status that has one usual cause."""
    if status not in _ADVICE:
        return message
    end = "" if message.endswith((".", "!", "?")) else "."
    return f"{message}{end} {_ADVICE[status]}"


def _redirect_message(url: URL, location: str) -> str:
    """Return where a redirect of `url` leads, without the query and user, and what to do."""
    if not location:
        return "redirects without saying where. Check base_url."
    try:
        target = url.join(URL(location))
    except ValueError:
        target = URL()
    if not target.raw_host:
        return "redirects to an address that is not a URL of a host. Check base_url."
    path = target.raw_path[:_LONGEST_QUOTE]
    where = f"{target.scheme}://{target.host_port_subcomponent}{path}"
    return (
        f"redirects to {where}, and redirects are not followed: they would take the key along. If "
        "you trust that address, change base_url so that requests go there"
    )


def message_or_quote(body: bytes) -> str:
    """Return the provider's message, or the beginning of a body that holds none."""
    error = decode_body(body)
    if isinstance(error, str):
        return error[:_LONGEST_QUOTE]
    return parse_error(error).message[:_LONGEST_MESSAGE]
