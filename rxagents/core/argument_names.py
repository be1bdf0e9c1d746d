"""Check the names of keyword arguments, and suggest the one that was meant."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable

from rxagents.core.errors import ConfigurationError

_MEANT = {
    "instructions": "system_prompt",
    "system": "system_prompt",
    "system_message": "system_prompt",
    "system_instruction": "system_prompt",
    "prompt": "system_prompt",
    "max_turns": "max_iterations",
    "max_steps": "max_iterations",
    "recursion_limit": "max_iterations",
    "usage_limits": "max_total_tokens",
    "max_output_tokens": "max_tokens",
    "max_new_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "num_predict": "max_tokens",
    "stop_sequences": "stop",
    "options": "extra_body",
    "schema": "response_format",
    "response_model": "response_format",
    "output_type": "response_format",
    "functions": "tools",
    "deps": "context",
    "http_client": "session",
    "client": "session",
    "url": "base_url",
    "host": "base_url",
    "endpoint": "base_url",
    "key": "api_key",
    "token": "api_key",
    "retries": "max_retries",
    "default_headers": "headers",
    "extra_headers": "headers",
}
"""The names of other libraries for arguments of ours."""

_OF_THE_MODEL = frozenset(
    ("api_key", "base_url", "timeout", "max_retries", "headers", "session", "limits")
)
"""Arguments of a model that users pass to its calls or to an agent."""


def check_names(owner: str, given: Iterable[str], known: Collection[str]) -> None:
    """Check that all keyword arguments are known.

    Args:
        owner: What takes the arguments, for the error.
        given: The names that were passed.
        known: The names that may be passed.

    Raises:
        ConfigurationError: One is unknown. The error lists all that are known, with the likely
            ones first.
    """
    unknown = sorted(set(given) - set(known))
    if unknown:
        likely = list(dict.fromkeys(name for wrong in unknown for name in _likely(wrong, known)))
        rest = sorted(set(known) - set(likely))
        raise ConfigurationError(
            f"{owner} takes no {', '.join(map(repr, unknown))}."
            + (f" Did you mean {' or '.join(likely)}?" if likely else _advice(unknown))
            + f" It takes {', '.join(likely + rest)}."
        )


def names_taken_by(function: Callable[..., object], options: Collection[str]) -> list[str]:
    """Return the names of a function's own arguments, and of its `**options`."""
    parameters = inspect.signature(function).parameters.values()
    named = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [*(item.name for item in parameters if item.kind in named), *options]


def _likely(wrong: str, known: Collection[str]) -> list[str]:
    meant = _MEANT.get(wrong.lower(), "")
    if meant in known:
        return [meant]
    from difflib import get_close_matches  # only where a name is wrong

    return get_close_matches(wrong.lower(), sorted(known), n=2, cutoff=0.7)


def _advice(unknown: Collection[str]) -> str:
    of_the_model = sorted(_OF_THE_MODEL.intersection(unknown))
    if not of_the_model:
        return ""
    return f" Pass {', '.join(of_the_model)} where the model is made, as in get_model(…)."
