"""Describe the type of a structured answer: its JSON schema, and text to value.

A type is one that msgspec can decode (a Struct, dataclass, TypedDict, `list[Item]`, a union …), a
pydantic model, or a type that contains models, such as `list[Model]`. pydantic is not imported: a
class with `model_json_schema` and `model_validate_json` counts as a model.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_origin

import msgspec
from msgspec import Raw

from rxagents.core.argument_schema import model_schema
from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.model_types import convert_model, is_model

T = TypeVar("T")

_UNUSABLE = (TypeError, ValueError, NameError, AttributeError, RecursionError)
"""Errors that msgspec raises for a type that it cannot decode or describe."""

WRAPPED_FIELD = "value"
"""The field of a list or scalar answer: OpenAI's APIs answer only with an object."""


def is_output_type(value: object) -> bool:
    """Return whether `value` is a type, such as `City` or `list[City]`, and not a format."""
    return isinstance(value, type) or get_origin(value) is not None


class OutputType(Generic[T]):
    """The type of a structured answer.

    Args:
        kind: A type that msgspec can decode, or a pydantic model.

    Attributes:
        type: The type.
        name: The type's name.
        schema: The JSON schema of the answer; an object at its root, without a reference there.
        wrapped: Whether the answer is an object whose only field, `value`, has the type, since the
            type itself is no JSON object.

    Raises:
        ConfigurationError: The type has no JSON schema.
    """

    __slots__ = ("_decode", "_wrapper", "name", "schema", "type", "wrapped")

    def __init__(self, kind: Any) -> None:
        self.type = kind
        self.name = str(getattr(kind, "__name__", "Answer"))
        schema = _root_schema(kind) if is_model(kind) else _schema(kind)
        self.wrapped = schema.get("type") != "object"
        self.schema = _wrapped(schema) if self.wrapped else schema
        self._decode: Callable[[bytes], T] = value_decoder(kind)
        self._wrapper = msgspec.json.Decoder(_Wrapper) if self.wrapped else None

    def read(self, text: str) -> T:
        """Convert an answer to a value of the type.

        Text around a JSON object, such as a code fence, is skipped.

        Raises:
            OutputError: The text has no JSON object, or the object does not match the type. The
                message can be sent to the model as a correction.
        """
        return self.convert(object_in(text))

    def convert(self, json_text: str) -> T:
        """Convert a JSON object, without text around it, to a value of the type.

        Raises:
            OutputError: It does not match the type; see `read`.
        """
        found = json_text.encode("utf-8", "replace")
        try:
            if self._wrapper is not None:
                found = bytes(self._wrapper.decode(found).value)
            return self._decode(found)
        except JSON_ERRORS as error:
            raise mismatch("The answer", error) from error


def value_decoder(kind: Any) -> Callable[[bytes], Any]:
    """Return a function that converts JSON to a value of the type.

    It raises one of `JSON_ERRORS` if the JSON does not match.

    Raises:
        ConfigurationError: msgspec cannot decode the type.
    """
    if is_model(kind):
        validate: Callable[[bytes], Any] = kind.model_validate_json
        return validate
    try:
        return msgspec.json.Decoder(kind, strict=False, dec_hook=convert_model).decode
    except _UNUSABLE as error:
        raise _unusable(kind, error) from error


def mismatch(what: str, error: Exception) -> OutputError:
    """Return the error for JSON that does not match its type, written for the model."""
    return OutputError(
        f"{what} does not match its JSON schema: {error}. Answer again, with only the corrected "
        "JSON."
    )


class _Wrapper(msgspec.Struct):
    value: Raw


def _wrapped(schema: dict[str, Any]) -> dict[str, Any]:
    inner = {key: part for key, part in schema.items() if key != "$defs"}
    outer: dict[str, Any] = {
        "type": "object",
        "properties": {WRAPPED_FIELD: inner},
        "required": [WRAPPED_FIELD],
    }
    return {**outer, "$defs": schema["$defs"]} if "$defs" in schema else outer


def _schema(kind: Any) -> dict[str, Any]:
    try:
        (schema,), components = msgspec.json.schema_components(
            [kind], schema_hook=model_schema, ref_template="#/$defs/{name}"
        )
    except _UNUSABLE as error:
        raise _unusable(kind, error) from error
    return _without_root_reference(schema, components)


def _root_schema(kind: Any) -> dict[str, Any]:
    schema = dict(kind.model_json_schema())
    return _without_root_reference(schema, schema.pop("$defs", {}))


def _without_root_reference(schema: dict[str, Any], components: dict[str, Any]) -> dict[str, Any]:
    root = components.get(schema.get("$ref", "").rpartition("/")[2], schema)
    return {**root, "$defs": components} if components else root


def _unusable(kind: object, error: Exception) -> ConfigurationError:
    return ConfigurationError(
        f"An answer cannot have the type {kind!r} ({error}): use a msgspec.Struct, a dataclass, a "
        "TypedDict, a pydantic model, or a list of these."
    )


def object_in(text: str) -> str:
    """Return the first JSON object in `text`; the whole text if it is JSON.

    Raises:
        OutputError: There is none.
    """
    start = text.find("{")
    if start >= 0:
        try:
            _, end = json.JSONDecoder().raw_decode(text, start)
        except (ValueError, RecursionError) as error:
            raise mismatch("The answer", error) from error
        return text[start:end]
    raise OutputError("The answer contains no JSON object. Answer again with only the JSON object.")
