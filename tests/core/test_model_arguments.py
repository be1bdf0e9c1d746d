"""Tools with a parameter that is a pydantic model, known by its two methods."""

from __future__ import annotations

import json
from typing import Any, Self

import pytest

from rxagents import ConfigurationError, ToolArgumentsError, ToolContext, tool


class Place:
    """Stands for a pydantic model that refers to another."""

    def __init__(self, names: list[str]) -> None:
        self.names = names

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        name = {"type": "string", "minLength": 1}
        names = {"type": "array", "items": {"$ref": "#/$defs/Name"}}
        return {"type": "object", "properties": {"names": names}, "$defs": {"Name": name}}

    @classmethod
    def model_validate_json(cls, data: bytes) -> Self:
        names = json.loads(data)["names"]
        if not all(names):
            raise ValueError("a name is empty")
        return cls(names)


class Tree(Place):
    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return {"$ref": "#/$defs/T", "$defs": {"T": {"items": {"$ref": "#/$defs/T"}}}}


def visit(places: list[Place], days: int = 1) -> list[str]:
    """Visit places."""
    return [name for place in places for name in place.names] * days


def test_model_is_a_parameter() -> None:
    made = tool(visit)
    assert made.parameters["properties"]["places"]["items"] == {
        "type": "object",
        "properties": {"names": {"type": "array", "items": {"type": "string", "minLength": 1}}},
    }
    call = made.bind({"places": [{"names": ["Rome"]}], "days": "2"}, ToolContext("c", "visit"))
    assert call() == ["Rome", "Rome"]


def test_refusal_of_model_reaches_the_model() -> None:
    with pytest.raises(ToolArgumentsError, match=r"a name is empty - at `\$\.places\[0\]"):
        tool(visit).bind({"places": [{"names": [""]}]}, ToolContext("c", "visit"))


def test_model_that_contains_itself_is_refused() -> None:
    def plant(tree: Tree) -> None:
        """Plant."""

    with pytest.raises(ConfigurationError, match="Tree contains itself"):
        tool(plant)
