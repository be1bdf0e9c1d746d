"""What a model may call: names and schemas that all providers accept."""

from __future__ import annotations

from typing import Any

import pytest

from rxagents import ConfigurationError, Tool

SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}}


@pytest.mark.parametrize(
    ("definition", "tool"),
    [
        ({"name": "add"}, Tool(name="add")),
        ({"name": "add", "description": None, "parameters": None}, Tool(name="add")),
        (
            {"name": "add", "description": "Add.", "parameters": SCHEMA, "strict": True},
            Tool(name="add", description="Add.", parameters=SCHEMA, strict=True),
        ),
        ({"type": "function", "function": {"name": "add"}}, Tool(name="add")),
        ({"type": "function", "name": "add"}, Tool(name="add")),
    ],
)
def test_tool_from_dict(definition: dict[str, Any], tool: Tool) -> None:
    assert Tool.from_dict(definition) == tool


def test_default_schema_is_not_shared() -> None:
    assert Tool(name="now").parameters == {"type": "object", "properties": {}}
    assert Tool(name="now").parameters is not Tool(name="now").parameters


@pytest.mark.parametrize(
    ("definition", "sentence"),
    [
        ({}, "needs a name"),
        ({"type": "function", "function": {}}, "needs a name"),
        ({"function": "add"}, "needs a name"),
        ({"name": "add", "input_schema": {}}, r"\['input_schema'\]: use name"),
        ({"name": "my tool"}, "'my tool'"),
        ({"name": "a" * 65}, "1 to 64"),
        ({"name": "add\n"}, "1 to 64"),
        ({"name": 5}, "name 5"),
        ({"name": "add", "parameters": "x"}, "JSON schema"),
    ],
)
def test_bad_tool_definition_is_refused(definition: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Tool.from_dict(definition)
