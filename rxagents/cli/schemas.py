"""Read `--schema`: a JSON schema, its file, or a short list of fields."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from rxagents.core.errors import ConfigurationError

_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "list": "array",
}
_FIELD = re.compile(r"\s*([^\W\d]\w*)(?:\s+(\w+))?\s*(?::\s*(.*\S))?\s*")


class SchemaAnswer:
    """An answer that has to match a JSON schema.

    It has the two methods by which the library recognizes a pydantic model. The answer is checked
    if `jsonschema` is installed; without it, it only has to be JSON.
    """

    schema: ClassVar[dict[str, Any]]

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        """Return the schema."""
        return cls.schema

    @classmethod
    def model_validate_json(cls, data: bytes | str) -> object:
        """Return the decoded answer.

        Raises:
            ValueError: The answer does not match the schema.
        """
        value = msgspec.json.decode(data)
        try:
            import jsonschema  # imported here: it belongs to the extra `schema`
        except ImportError:
            return value
        kind = jsonschema.validators.validator_for(cls.schema, jsonschema.Draft202012Validator)
        for error in kind(cls.schema).iter_errors(value):
            raise ValueError(f"{error.message} (at {error.json_path})")
        return value


def answer_type(written: str | dict[str, Any], *, multi: bool = False) -> type[SchemaAnswer]:
    """Return the type of the answers that match a schema.

    Args:
        written: A JSON schema, as a dict or text; the path of its file; or fields such as
            `name, age int, bio: one sentence`.
        multi: Whether the answer is a list, `items`, of such objects.

    Raises:
        ConfigurationError: It is none of these.
    """
    schema = written if isinstance(written, dict) else _schema(written)
    if multi:
        items = {"type": "array", "items": schema}
        schema = {"type": "object", "properties": {"items": items}, "required": ["items"]}
    return type("Answer", (SchemaAnswer,), {"schema": schema})


def _schema(text: str) -> dict[str, Any]:
    if text.lstrip().startswith("{"):
        return _decoded(text, "--schema")
    path = Path(text).expanduser()
    if text.endswith(".json") or _is_file(path):
        try:
            return _decoded(path.read_text("utf-8"), f"--schema {text}")
        except OSError as error:
            raise ConfigurationError(f"--schema {text}: {error.strerror or error}.") from error
    return _of_fields(text)


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False  # a list of fields may be too long for a name


def _decoded(text: str, what: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigurationError(f"{what} is no JSON object: {error}.") from error


def _of_fields(text: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for written in re.split(r"\n" if "\n" in text else r",", text):
        if not written.strip():
            continue
        match = _FIELD.fullmatch(written)
        kind = match[2] or "str" if match else ""
        if match is None or kind not in _TYPES:
            raise ConfigurationError(
                f"--schema cannot read the field {written.strip()!r}: write NAME, NAME TYPE or "
                f"NAME TYPE: DESCRIPTION, with a type of {', '.join(_TYPES)}. A schema in JSON "
                "starts with {, and a file's name ends with .json."
            )
        properties[match[1]] = {"type": _TYPES[kind]}
        if kind == "list":
            properties[match[1]]["items"] = {"type": "string"}
        if match[3]:
            properties[match[1]]["description"] = match[3]
    if not properties:
        raise ConfigurationError("--schema is empty: write fields, such as 'name, age int'.")
    return {"type": "object", "properties": properties, "required": list(properties)}
