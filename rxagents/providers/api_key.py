"""Get the API key of each attempt from the caller's function."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from msgspec import structs

from rxagents.core.errors import (
    AuthenticationError,
    ConfigurationError,
    ProviderError,
    RxAgentsError,
)
from rxagents.core.header_text import checked_text
from rxagents.providers.prepared_request import PreparedRequest
from rxagents.providers.redaction import redacted, without_frames

ApiKey: TypeAlias = str | Callable[[], str | Awaitable[str]]
"""A key, or a function or coroutine function that returns it for each attempt."""


def checked_api_key(key: object) -> ApiKey | None:
    """Return `key` if it is a key, a function, or `None`.

    Raises:
        ConfigurationError: It is something else, or a header cannot hold it.
    """
    if key is None or callable(key):
        return key
    if not isinstance(key, str):
        kind = type(key).__name__
        raise ConfigurationError(
            f"api_key must be a str or a function that returns it, not {kind}."
        )
    return checked_text("api_key", key, secret=True)


async def authorized(request: PreparedRequest) -> PreparedRequest:
    """Return the request of the next attempt, with the key that the caller's function returns.

    The key is nowhere else: a stream's later attempts, and other streams, ask the function again.

    Raises:
        ConfigurationError: The function returned something that is no key.
        AuthenticationError: The function raised something else than an `RxAgentsError`.
    """
    function, authorize = request.key_function, request.authorize
    if function is None or authorize is None:
        return request
    key = await _call(request.provider, function)
    hide = request.redact
    # The caller's own headers stay: they replace those of the key.
    return structs.replace(
        request,
        headers={**authorize(key), **request.headers},
        redact=lambda text: hide(redacted(text, key, ())),
    )


async def _call(provider: str, function: Callable[[], str | Awaitable[str]]) -> str:
    try:
        key = function()
        if inspect.isawaitable(key):
            key = await key
    except ProviderError as error:
        error.provider = error.provider or provider
        raise
    except RxAgentsError:
        raise
    except Exception as error:
        raise AuthenticationError(
            f"The api_key function of {provider} raised {type(error).__name__}. If another attempt "
            "may help, let it raise a rxagents.ProviderError with retryable=True.",
            provider=provider,
        ) from without_frames(error)
    try:
        return checked_text("The key that the api_key function returned", key, secret=True)
    except ConfigurationError as error:
        raise without_frames(error) from None
