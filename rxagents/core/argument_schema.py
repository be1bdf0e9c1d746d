"""Make JSON schemas of function arguments that every provider can resolve.

Schemas are inlined: not all hosts that serve models follow `$ref`. Only a type that contains
itself keeps its references, since it cannot be inlined.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, TypeAlias

import msgspec

from rxagents.core.errors import ConfigurationError
from rxagents.core.model_types import is_model

Schema: TypeAlias = dict[str, Any]

_REFERENCE = "#/$defs/"


class _RecursiveError(Exception):
    """A definition contains itself."""


def schema_of(arguments: type[msgspec.Struct]) -> Schema:
    """Return the schema of `arguments`.

    Definitions are inlined where they are used, since not all hosts follow references. If one
    definition contains itself, all of them stay under `$defs`.

    Raises:
        TypeError: A type has no schema.
    """
    (main,), definitions = msgspec.json.schema_components(
        (arguments,), schema_hook=model_schema, ref_template=_REFERENCE + "{name}"
    )
    schema = definitions.pop(_name(main))
    del schema["title"]
    try:
        return _inlined(schema, definitions, ())
    except _RecursiveError:
        return {**schema, "$defs": definitions}


def strict_schema(schema: Schema, optional: Collection[str]) -> Schema:
    """Return `schema` in the form that OpenAI's strict mode requires.

    All fields are required and no others are allowed; an optional argument becomes nullable
    instead (https://platform.openai.com/docs/guides/structured-outputs#supported-schemas).

    Args:
        schema: The schema of an object.
        optional: The names of the optional arguments.

    Raises:
        ConfigurationError: A part of the schema has no strict form.
    """
    strict = _strict(schema)
    for name in optional:
        strict["properties"][name] = _nullable(strict["properties"][name])
    return strict


def model_schema(kind: Any) -> Schema:
    """Return the schema of a pydantic model; its own references are inlined.

    It is a `schema_hook` of msgspec.

    Raises:
        NotImplementedError: `kind` is no model.
        TypeError: The model contains itself.
    """
    if not is_model(kind):
        raise NotImplementedError  # msgspec explains which type has no schema
    schema = dict(kind.model_json_schema())
    definitions = schema.pop("$defs", {})
    try:
        return _inlined(schema, definitions, ())
    except _RecursiveError:
        raise TypeError(f"the model {kind.__name__} contains itself") from None


def _name(reference: Schema) -> str:
    return str(reference["$ref"]).removeprefix(_REFERENCE)


def _with_parts(schema: Schema, change: Callable[[Schema], Schema]) -> Schema:
    """Return `schema` with `change` applied to each schema one level below."""
    changed = dict(schema)
    for key in {"properties", "$defs"} & set(schema):
        changed[key] = {name: change(part) for name, part in schema[key].items()}
    for key in {"allOf", "anyOf", "oneOf", "prefixItems"} & set(schema):
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
    # A discriminator refers to definitions, which are inlined; the tags carry the same information.
    kept = {key: value for key, value in schema.items() if key != "discriminator"}
    return _with_parts(kept, lambda part: _inlined(part, definitions, above))


def _strict(schema: Schema) -> Schema:
    kept = {key: value for key, value in schema.items() if key != "default"}
    if not kept.keys() - {"description"}:
        raise ConfigurationError(
            "A strict tool needs typed arguments: annotate each parameter with a type other than "
            "Any, or omit strict."
        )
    if kept.get("type") == "object":
        if "properties" not in kept:
            raise ConfigurationError(
                "A strict tool cannot take a dict, since a schema does not list its keys: use a "
                "msgspec.Struct or a dataclass, or omit strict."
            )
        kept |= {"required": list(kept["properties"]), "additionalProperties": False}
    return _with_parts(kept, _strict)


def _nullable(schema: Schema) -> Schema:
    null = {"type": "null"}
    if null in schema.get("anyOf", ()):
        return schema
    return {"anyOf": [schema, null]}
