"""The JSON schema of a `response_format` that is a type."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.errors import ConfigurationError


def schema_of(response_format: type) -> dict[str, Any]:
    """Return the JSON schema of `response_format`, without a reference at its root.

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
    root = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return {**root, "$defs": components} if components else root


def object_schema_of(response_format: type) -> dict[str, Any]:
    """Return the JSON schema of `response_format`, which must be that of an object.

    Raises:
        ConfigurationError: It is another schema, which OpenAI's APIs refuse.
    """
    schema = schema_of(response_format)
    if schema.get("type") != "object":
        raise ConfigurationError(
            f"response_format cannot be {response_format.__name__}: OpenAI's APIs answer with a "
            "JSON object. Use a msgspec.Struct, a dataclass or a TypedDict with a field for it."
        )
    return schema
