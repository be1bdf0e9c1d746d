"""Recognize pydantic models, and convert JSON to them; pydantic is not imported."""

from __future__ import annotations

from typing import Any

import msgspec


def is_model(kind: object) -> bool:
    """Return whether `kind` is a pydantic model, or a class with the same two methods."""
    methods = ("model_json_schema", "model_validate_json")
    return all(callable(getattr(kind, method, None)) for method in methods)


def convert_model(kind: Any, value: object) -> object:
    """Convert a decoded JSON value to a pydantic model; a `dec_hook` of msgspec."""
    if not is_model(kind):
        raise TypeError(f"a value of the type {kind!r} cannot be made of JSON")
    return kind.model_validate_json(msgspec.json.encode(value))
