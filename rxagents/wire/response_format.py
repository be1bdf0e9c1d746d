"""The JSON schema of a `response_format` that is a type."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.errors import ConfigurationError


def schema_of(response_format: type) -> dict[str, Any]:
    """Return the JSON schema of `response_format`.

    Raises:
        ConfigurationError: msgspec has no schema for the type.
    """
    try:
        (schema,), components = msgspec.json.schema_components(
            [response_format], ref_template="#/$defs/{name}"
        )
    except TypeError as error:
        raise ConfigurationError(
            f"response_format cannot be the type {response_format!r} ({error}): "
            "use a msgspec.Struct, a dataclass or a TypedDict."
        ) from error
    return {**schema, "$defs": components}
