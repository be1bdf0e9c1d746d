"""Tools as definitions: their names, schemas and sequences."""

from __future__ import annotations

import math
import sys
from typing import Any

import pytest
from cpu_time import cpu_seconds
from sample_tools import call, describe, takes_any

import rxagents
from rxagents import ConfigurationError, Tool, ToolArgumentsError, ToolCall, ToolError
from rxagents.core.tool_names import with_tool_name
from rxagents.core.tools import to_tools

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


OWN_SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


def test_arguments_are_checked_against_own_schema() -> None:
    made = Tool(name="proxy", parameters=OWN_SCHEMA, function=lambda **given: given)
    assert call(made, n=5) == {"n": 5}
    with pytest.raises(ToolArgumentsError, match=r"'5' is not of type 'integer' \(at \$\.n\)"):
        call(made, n="5")
    with pytest.raises(ToolArgumentsError, match="'n' is a required property"):
        call(made)


def test_check_of_own_schema_may_be_omitted() -> None:
    made = Tool(name="proxy", parameters=OWN_SCHEMA, function=lambda **given: given, check=False)
    assert call(made, n="5") == {"n": "5"}


def test_invalid_own_schema_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no valid JSON schema"):
        Tool(name="proxy", parameters={"type": "thing"}, function=print)


def test_missing_jsonschema_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jsonschema", None)
    with pytest.raises(ConfigurationError, match=r"rxagents\[schema\].*check=False"):
        Tool(name="proxy", parameters=OWN_SCHEMA, function=print)
    Tool(name="proxy", parameters=OWN_SCHEMA)
    Tool(name="proxy", parameters=OWN_SCHEMA, function=print, check=False)


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("add", "add"),
        ("functions.add", "add"),
        ("default_api:add", "add"),
        ("tools/add", "add"),
        ("add()", "add"),
        ("functions.sub", "functions.sub"),
    ],
)
def test_call_finds_tool_by_last_name(name: str, found: str) -> None:
    assert with_tool_name(ToolCall("1", name), {"add": Tool(name="add")}).name == found


def test_custom_schema_passes_arguments_unchanged() -> None:
    made = Tool(name="proxy", parameters={"type": "object"}, function=lambda **given: given)
    assert call(made, a="5", b=[1]) == {"a": "5", "b": [1]}
    assert made(c=1) == {"c": 1}


def test_tool_without_function_cannot_run() -> None:
    with pytest.raises(ToolError, match="'remote' cannot be run here"):
        call(Tool(name="remote"))


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"timeout": 0}, "timeout of tool 'a'"),
        ({"timeout": "5"}, "timeout of tool 'a'"),
        ({"timeout": math.inf}, "timeout of tool 'a'"),
        ({"retries": -1}, "retries of tool 'a'"),
        ({"retries": 1.5}, "retries of tool 'a'"),
        ({"max_result_length": 0}, "max_result_length of tool 'a'"),
        ({"function": "f"}, "function of tool 'a'"),
    ],
)
def test_bad_tool_values_are_refused(values: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        Tool(name="a", **values)


def test_to_tools_accepts_functions_and_dicts() -> None:
    def add(a: int, b: int) -> int:
        """Add."""
        return a + b

    read = to_tools([describe, add, {"name": "remote"}])
    assert [tool.name for tool in read] == ["describe", "add", "remote"]
    assert call(read[1], a=1, b=2) == 3
    assert to_tools([]) == to_tools(None) == ()


@pytest.mark.parametrize(
    ("tools", "sentence"),
    [
        ([describe, describe], r"Several tools have the name \['describe'\]"),
        ([takes_any, {"name": "takes_any"}], "distinct name"),
        (describe, "a sequence of tools"),
        (takes_any, "a sequence of tools"),
        ({"name": "a"}, "a sequence of tools"),
        ([5], "a Tool, a dict or a function"),
    ],
)
def test_bad_tool_sequences_are_refused(tools: Any, sentence: str) -> None:
    with pytest.raises(ConfigurationError, match=sentence):
        to_tools(tools)


def test_many_tools_take_linear_time() -> None:
    def seconds(count: int) -> float:
        tools = [Tool(name=f"tool_{number}") for number in range(count)]
        return cpu_seconds(lambda: to_tools(tools))

    assert seconds(8_000) < 80 * seconds(500)  # 16 if linear, 256 if quadratic


def test_request_omits_the_function() -> None:
    from rxagents.wire.chat_completions.render import render_chat
    from rxagents.wire.request import ChatRequest

    request = ChatRequest("m", (rxagents.Message.user("hi"),), (describe,))
    tools = render_chat(request)["tools"]
    function = {"name": "describe", "description": describe.description}
    assert tools == [
        {"type": "function", "function": {**function, "parameters": describe.parameters}}
    ]


def test_reference_to_another_host_is_not_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", lambda *given, **_: fetched.append(given))
    schema = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/schema"}}}
    remote = Tool(name="remote", parameters=schema, function=print)
    with pytest.raises(Exception, match="Unresolvable"):
        remote.bind({"a": 1}, rxagents.ToolContext("1", "remote"))
    assert not fetched
