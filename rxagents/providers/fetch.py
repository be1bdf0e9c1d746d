"""Fetch a JSON document, such as a list of models."""

from __future__ import annotations

import asyncio
from typing import Any

from rxagents.core.errors import FirstEventTimeoutError, LimitExceededError, ProviderError
from rxagents.providers.api_key import authorized
from rxagents.providers.failures import no_stream_error, redact, status_error
from rxagents.providers.http_log import HttpLog
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.wire.errors import decode_body


async def fetch_json(request: PreparedRequest) -> dict[str, Any]:
    """Send a request once, and return the JSON object of its response.

    Raises:
        ProviderError: No JSON object came within `Timeouts.first` and `Limits.event_bytes`.
    """
    log = HttpLog(request)
    try:
        async with asyncio.timeout(request.timeouts.first):
            log.on_request(request.body)
            request = log.request = await authorized(request)
            return await _fetch(request, log)
    except TimeoutError:
        raise FirstEventTimeoutError(
            f"{request.provider} did not answer within Timeouts.first "
            f"({request.timeouts.first} s). Raise the timeout.",
            provider=request.provider,
        ) from None
    except ProviderError as error:
        redact(error, request)
        log.on_failure(error, None)
        raise


async def _fetch(request: PreparedRequest, log: HttpLog) -> dict[str, Any]:
    response = await request.transport.send(
        request.url, request.headers, request.body, request.timeouts.connect
    )
    log.on_response(response)
    try:
        if response.status != 200:
            raise await status_error(request, response)
        body = b""
        while data := await response.read():
            body += data
            if len(body) > request.limits.event_bytes:
                raise LimitExceededError(
                    f"{request.provider} answered with a body longer than Limits.event_bytes "
                    f"({request.limits.event_bytes} bytes). If the list is really that long, "
                    "raise the limit.",
                    provider=request.provider,
                )
        if response.failure is not None:
            raise response.failure
        document = decode_body(body)
        if not isinstance(document, dict):
            raise no_stream_error(request, response, body)
    except BaseException:
        response.close()
        raise
    response.finish()
    log.on_complete()
    return document
