"""Tools as the model sees them: a name, a description and a JSON schema."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError

_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}\Z")


def _no_parameters() -> dict[str, Any]:
    return {"type": "object", "properties": {}}


class Tool(Struct, frozen=True, kw_only=True):
    """What a model may call.

    Attributes:
        name: 1 to 64 letters, digits, `_` or `-`: what all providers accept.
        description: What the tool does and when to use it, written for the model.
        parameters: The JSON schema of the arguments: an object schema.
        strict: Ask the provider to enforce the schema; `None` leaves it to its default.

    Raises:
        ConfigurationError: The name or the schema is not usable.
    """

    name: str
    description: str = ""
    parameters: dict[str, Any] = field(default_factory=_no_parameters)
    strict: bool | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not _NAME.match(self.name):
            raise ConfigurationError(
                f"A tool cannot be called {self.name!r}: use 1 to 64 letters, digits, '_' or '-'."
            )
        if not isinstance(self.parameters, Mapping):
            raise ConfigurationError(
                f"The parameters of tool {self.name!r} must be a JSON schema (a dict), "
                f"not {type(self.parameters).__name__}."
            )

    @classmethod
    def from_dict(cls, definition: Mapping[str, Any]) -> Tool:
        """Read a tool from the shape OpenAI made common, with or without its outer wrapper.

        Args:
            definition: `{"type": "function", "function": {"name": …, "parameters": …}}`, or the
                inner object alone.

        Raises:
            ConfigurationError: No name, or keys that no tool has.
        """
        function = definition.get("function", definition)
        if not isinstance(function, Mapping) or not function.get("name"):
            raise ConfigurationError(
                'A tool needs a name: {"name": "…", "description": "…", "parameters": {…}}.'
            )
        unknown = set(function) - {"name", "description", "parameters", "strict", "type"}
        if unknown:
            raise ConfigurationError(
                f"Tool {function['name']!r} has unknown keys {sorted(unknown)}: "
                "use name, description, parameters and strict."
            )
        return cls(
            name=function["name"],
            description=function.get("description") or "",
            parameters=function.get("parameters") or _no_parameters(),
            strict=function.get("strict"),
        )
