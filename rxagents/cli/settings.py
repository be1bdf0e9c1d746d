"""Read `--option NAME=VALUE` and `--param NAME=VALUE`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any

import msgspec

from rxagents.core.errors import ConfigurationError
from rxagents.core.settings import GenerationArguments

MODEL_OPTIONS = ("timeout", "max_retries", "structured_output")
"""Options that are arguments of the model and no settings of a request."""

_SETTINGS = tuple(
    sorted(GenerationArguments.__annotations__.keys() - {"raw", "headers", "timeout"})
)
_NAMES = (*_SETTINGS, *MODEL_OPTIONS)
_TEXTS = {"stop", "tool_choice", "structured_output"}
"""Options whose values are texts, also where they look like numbers."""


def read_pairs(option: str, pairs: Iterable[str]) -> dict[str, str]:
    """Split each `NAME=VALUE`.

    Raises:
        ConfigurationError: One has no `=`.
    """
    read: dict[str, str] = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not (name and equals):
            raise ConfigurationError(f"{option} takes NAME=VALUE, not {pair!r}.")
        read[name.strip()] = value
    return read


def read_options(pairs: Iterable[str], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """Return the settings that `--option` names, and those of a template.

    A value is read as JSON if it is JSON, else as a text. `extra_body.NAME` is a field of the
    request's body.

    Raises:
        ConfigurationError: A name is unknown.
    """
    given = {**defaults}
    for name, value in read_pairs("--option", pairs).items():
        given[name] = _value(name, value)
    settings: dict[str, Any] = {}
    for name, value in given.items():
        outer, dot, inner = name.partition(".")
        if dot and outer == "extra_body" and inner:
            settings[outer] = {**settings.get(outer, {}), inner: value}
        elif name in _NAMES:
            settings[name] = value
        else:
            close = get_close_matches(name, _NAMES, 1)
            guess = f"did you mean {close[0]}? The options are" if close else "use"
            raise ConfigurationError(
                f"--option {name} is unknown: {guess} {', '.join(_NAMES)}, or extra_body.{name} "
                "for a field of the request's body."
            )
    return settings


def _value(name: str, text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
    return text if name in _TEXTS and not isinstance(value, (str, list)) else value
