"""Asks for a JSON document, such as a list of models."""

from __future__ import annotations

import asyncio
from typing import Any

from rxagents.core.errors import FirstEventTimeoutError, LimitExceededError, ProviderError
from rxagents.providers.failures import no_stream, redact, status_error
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.wire.errors import decode_body


async def fetch_json(call: PreparedRequest) -> dict[str, Any]:
    """Return the document; one attempt, within `Timeouts.first`.

    Raises:
        ProviderError: There is none.
    """
    try:
        async with asyncio.timeout(call.timeouts.first):
            return await _fetch(call)
    except TimeoutError:
        raise FirstEventTimeoutError(
            f"{call.provider} did not answer within {call.timeouts.first} s. Raise Timeouts.first.",
            provider=call.provider,
        ) from None
    except ProviderError as error:
        redact(error, call)
        raise


async def _fetch(call: PreparedRequest) -> dict[str, Any]:
    exchange = await call.transport.send(call.url, call.headers, call.body, call.timeouts.connect)
    try:
        if exchange.status != 200:
            raise await status_error(call, exchange)
        body = b""
        while data := await exchange.read():
            body += data
            if len(body) > call.limits.event_bytes:
                raise LimitExceededError(
                    f"{call.provider} answered with more than {call.limits.event_bytes} bytes. If "
                    "it means it, raise Limits.event_bytes.",
                    provider=call.provider,
                )
        if exchange.failure is not None:
            raise exchange.failure
        document = decode_body(body)
        if not isinstance(document, dict):
            raise no_stream(call, exchange, body)
    except BaseException:
        exchange.close()
        raise
    exchange.finish()
    return document
