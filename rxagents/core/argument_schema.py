"""The JSON schema of a function's arguments, in a form that every provider can resolve."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import msgspec

from rxagents.core.errors import ConfigurationError

Schema: TypeAlias = dict[str, Any]

_REFERENCE = "#/$defs/"


class _RecursiveError(Exception):
    """A definition holds itself."""


def schema_of(arguments: type[msgspec.Struct]) -> Schema:
    """Return the schema of `arguments`.

    Definitions stand where they are used, since not all hosts follow references; where one holds
    itself, all stay under `$defs`.

    Raises:
        TypeError: A type has no schema.
    """
    (main,), definitions = msgspec.json.schema_components(
        (arguments,), ref_template=_REFERENCE + "{name}"
    )
    schema = definitions.pop(_name(main))
    del schema["title"]
    try:
        return _inlined(schema, definitions, ())
    except _RecursiveError:
        return {**schema, "$defs": definitions}


def strict_schema(schema: Schema, optional: Collection[str]) -> Schema:
    """Return `schema` as OpenAI's strict mode wants it.

    All fields are required and no others allowed; an argument that may be left out may be null
    in its place (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).

    Args:
        schema: Of an object.
        optional: The arguments that may be left out.

    Raises:
        ConfigurationError: A part of it cannot be strict.
    """
    strict = _strict(schema)
    for name in optional:
        strict["properties"][name] = _nullable(strict["properties"][name])
    return strict


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(_REFERENCE)


def _with_parts(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return `schema` with the schemas right below it changed."""
    changed = dict(schema)
    for key in {"properties", "$defs"} & set(schema):
        changed[key] = {name: change(part) for name, part in schema[key].items()}
    for key in {"anyOf", "prefixItems"} & set(schema):
        changed[key] = [change(part) for part in schema[key]]
    for key in ("items", "additionalProperties"):
        if isinstance(schema.get(key), dict):
            changed[key] = change(schema[key])
    return changed


def _inlined(schema: Schema, definitions: dict[str, Schema], above: tuple[str, ...]) -> Schema:
    if "$ref" in schema:
        name = _name(schema)
        if name in above:
            raise _RecursiveError
        beside = {key: value for key, value in schema.items() if key != "$ref"}
        return {**_inlined(definitions[name], definitions, (*above, name)), **beside}
    # A discriminator maps to definitions, which are gone; the tags themselves say the same.
    kept = {key: value for key, value in schema.items() if key != "discriminator"}
    return _with_parts(kept, lambda part: _inlined(part, definitions, above))


def _strict(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key != "default"}
    if not kept.keys() - {"description"}:
        raise ConfigurationError(
            "A strict tool's arguments need types: annotate each parameter with one other than "
            "Any, or leave strict out."
        )
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise ConfigurationError(
                "A strict tool cannot take a dict, whose keys no schema tells: take a Struct or a "
                "dataclass in its place, or leave strict out."
            )
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return _with_parts(kept, _strict)


def _nullable(schema: Schema) -> Schema:
    null = {"type": "null"}
    if null in schema.get("anyOf", ()):
        return schema
    return {"anyOf": [schema, null]}
