"""Converts JSON schemas to those that the API's structured output accepts."""

from __future__ import annotations

from typing import Any

import msgspec

_UNSUPPORTED = frozenset({
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
    "minLength", "maxLength", "maxItems", "uniqueItems", "minProperties", "maxProperties",
})  # fmt: skip
"""Keywords that the API refuses (its documentation, "Structured outputs", limits of schemas)."""

_SCHEMAS_BY_NAME = frozenset({"properties", "$defs", "definitions"})
_VALUES = frozenset({"enum", "const", "default", "examples", "required"})


def accepted_schema(schema: Any) -> Any:
    """Return `schema` with closed objects and without the keywords that the API refuses.

    The model reads the values of these keywords in the description, as the vendor's SDKs do it.
    """
    if isinstance(schema, list):
        return [accepted_schema(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    accepted: dict[str, Any] = {}
    limits: dict[str, Any] = {}
    for name, value in schema.items():
        if name in _UNSUPPORTED or (name == "minItems" and value not in {0, 1}):
            limits[name] = value
        elif name in _SCHEMAS_BY_NAME and isinstance(value, dict):
            accepted[name] = {key: accepted_schema(each) for key, each in value.items()}
        else:
            accepted[name] = value if name in _VALUES else accepted_schema(value)
    if limits:
        described = [accepted.get("description", ""), msgspec.json.encode(limits).decode()]
        accepted["description"] = " ".join(filter(None, described))
    if accepted.get("type") == "object":
        accepted.setdefault("additionalProperties", False)
    return accepted
