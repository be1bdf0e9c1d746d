"""Make a model from a model string."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, cast

from rxagents.core.errors import ConfigurationError
from rxagents.providers.base_llm import BaseLLM

_CLASSES = {
    "openai": "rxagents.providers.openai:OpenAI",
    "openai-responses": "rxagents.providers.openai_responses:OpenAIResponses",
    "anthropic": "rxagents.providers.anthropic:Anthropic",
    "gemini": "rxagents.providers.gemini:Gemini",
    "ollama": "rxagents.providers.ollama:Ollama",
    "scripted": "rxagents.testing.scripted_llm:ScriptedLLM",
}
"""Module and class of each prefix, imported when first used."""

PROVIDERS = tuple(prefix for prefix in _CLASSES if prefix != "scripted")
"""The prefixes of models behind a network API."""


def get_model(model: str, **arguments: Any) -> BaseLLM:
    """Return the model that a string such as `"openai:gpt-5-mini"` names.

    Args:
        model: `provider:model`. `openai:` serves every compatible host with its `base_url`;
            `scripted:` needs no key and no network, and answers with the text that follows it.
        **arguments: Arguments of the provider's class, such as `api_key`, `base_url`, `timeout`
            or generation settings.

    Raises:
        ConfigurationError: The prefix is unknown, the model is missing, or an argument is
            invalid.
    """
    if not isinstance(model, str):
        raise ConfigurationError(
            f'model must be a string such as "openai:gpt-5-mini", not {model!r}.'
        )
    prefix, colon, name = model.partition(":")
    if not colon or prefix not in _CLASSES:
        raise ConfigurationError(
            f"The model {model!r} does not start with a known provider: write one of "
            + ", ".join(f'"{known}:…"' for known in _CLASSES)
            + '. For any OpenAI-compatible host use "openai:…" with its base_url.'
        )
    module, _, class_name = _CLASSES[prefix].partition(":")
    model_class = getattr(importlib.import_module(module), class_name)
    given = () if prefix == "scripted" and not name else (name.strip(),)
    try:
        inspect.signature(model_class).bind(*given, **arguments)
    except TypeError as error:
        raise ConfigurationError(f'"{prefix}:" takes no such arguments: {error}.') from error
    return cast("BaseLLM", model_class(*given, **arguments))
