"""JSON schemas of arguments: inlined, and in strict form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from sample_tools import Point, call, takes_any

from rxagents import ConfigurationError, tool


class Tree(msgspec.Struct):
    value: int
    children: list[Tree] = []


class Circle(msgspec.Struct, tag="circle"):
    radius: float


class Square(msgspec.Struct, tag="square"):
    side: float


def test_recursive_type_keeps_its_reference() -> None:
    @tool
    def count(tree: Tree) -> int:
        return 1 + len(tree.children)

    assert count.parameters["properties"]["tree"] == {"$ref": "#/$defs/Tree"}
    children = count.parameters["$defs"]["Tree"]["properties"]["children"]
    assert children["items"] == {"$ref": "#/$defs/Tree"}
    assert call(count, tree={"value": 1, "children": [{"value": 2}]}) == 2


def test_tagged_union_has_no_discriminator() -> None:
    @tool
    def area(shape: Circle | Square) -> float:
        return shape.side**2 if isinstance(shape, Square) else shape.radius

    text = msgspec.json.encode(area.parameters).decode()
    assert "discriminator" not in text
    assert '"circle"' in text
    assert call(area, shape={"type": "square", "side": 3}) == 9


def test_parameter_named_like_schema_keyword() -> None:
    @tool(strict=True)
    def odd(default: int, items: str, properties: str, discriminator: int = 0) -> int:
        return default

    assert odd.parameters["required"] == ["default", "items", "properties", "discriminator"]
    assert call(odd, default=4, items="", properties="", discriminator=None) == 4


def test_strict_schema_requires_all_fields() -> None:
    @tool(strict=True)
    def find(text: str, where: Point, limit: int = 5, tag: str | None = None) -> Any:
        return text, where, limit, tag

    schema = find.parameters
    assert find.strict is True
    assert schema["required"] == ["text", "where", "limit", "tag"]
    assert schema["properties"]["where"]["required"] == ["x", "y"]
    assert schema["properties"]["where"]["additionalProperties"] is False
    assert schema["properties"]["limit"] == {"anyOf": [{"type": "integer"}, {"type": "null"}]}
    assert schema["properties"]["tag"] == {"anyOf": [{"type": "string"}, {"type": "null"}]}
    assert "default" not in msgspec.json.encode(schema).decode()
    given = {"text": "a", "where": {"x": 1, "y": 2}, "limit": None, "tag": None}
    assert call(find, **given) == ("a", Point(1, 2), 5, None)


def takes_dict(options: dict[str, int]) -> None: ...


@pytest.mark.parametrize(
    ("function", "sentence"), [(takes_dict, "cannot take a dict"), (takes_any, "typed arguments")]
)
def test_types_without_strict_schema_fail(function: Callable[..., Any], sentence: str) -> None:
    assert tool(function).strict is None
    with pytest.raises(ConfigurationError, match=sentence):
        tool(strict=True)(function)
