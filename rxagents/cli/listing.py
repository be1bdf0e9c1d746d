"""List the models of the providers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from rxagents.core.errors import ConfigurationError, RxAgentsError
from rxagents.providers.provider import Provider
from rxagents.providers.registry import PROVIDERS, get_model


async def names_of(provider: str, base_url: str | None) -> list[str]:
    """Return a provider's models, as model strings.

    Raises:
        RxAgentsError: The provider cannot be created, or its request failed.
    """
    arguments = {} if base_url is None else {"base_url": base_url}
    llm = get_model(f"{provider}:any", **arguments)
    assert isinstance(llm, Provider), "the prefixes of PROVIDERS are providers"
    async with llm:
        return [f"{provider}:{name}" for name in await llm.list_models()]


async def names_of_all() -> tuple[list[str], list[RxAgentsError]]:
    """Return the models of all providers, and the errors of those that have none to show.

    A provider without a key is no error. `openai-responses` has the models of `openai`.
    """

    async def listed(provider: str) -> Sequence[str] | RxAgentsError:
        try:
            return await names_of(provider, None)
        except ConfigurationError:
            return ()
        except RxAgentsError as error:
            return error

    asked = [provider for provider in PROVIDERS if provider != "openai-responses"]
    results = await asyncio.gather(*map(listed, asked))
    errors = [result for result in results if isinstance(result, RxAgentsError)]
    lists = [result for result in results if not isinstance(result, RxAgentsError)]
    return [name for names in lists for name in names], errors
