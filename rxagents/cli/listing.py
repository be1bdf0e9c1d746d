"""List the models of a provider."""

from __future__ import annotations

from rxagents.providers.provider import Provider
from rxagents.providers.registry import get_model


async def names_of(provider: str, base_url: str | None) -> list[str]:
    """Return the names of a provider's models.

    Raises:
        RxAgentsError: The provider cannot be created, or its request failed.
    """
    arguments = {} if base_url is None else {"base_url": base_url}
    llm = get_model(f"{provider}:any", **arguments)
    assert isinstance(llm, Provider), "the prefixes of PROVIDERS are providers"
    async with llm:
        return await llm.list_models()
