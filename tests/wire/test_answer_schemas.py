"""JSON schemas of answers and of strict tools in the form that each API accepts."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Annotated, Any

import msgspec
import pytest
from msgspec import Meta, Struct

from rxagents import Message, Settings, Tool
from rxagents.testing.requests import anthropic, chat_completions, responses
from rxagents.wire.anthropic import render_messages
from rxagents.wire.anthropic.schemas import accepted_schema
from rxagents.wire.chat_completions import render_chat
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import render_response

Render = Callable[[ChatRequest], dict[str, Any]]


class Stop(Struct):
    city: Annotated[str, Meta(min_length=1, description="A city.")]
    minimum: Annotated[int, Meta(ge=1, le=9)]


class Trip(Struct):
    stops: Annotated[list[Stop], Meta(min_length=2)]
    back: Trip | None = None


class Color(Enum):
    RED = "red"


def request(response_format: Any, *tools: Tool) -> ChatRequest:
    settings = Settings(response_format=response_format)
    return ChatRequest("m", (Message.user("hi"),), tools, settings)


@pytest.mark.parametrize(
    ("render", "check"),
    [
        (render_chat, chat_completions.check),
        (render_messages, anthropic.check),
        (render_response, responses.check),
    ],
)
def test_schemas_of_types_are_accepted(render: Render, check: Callable[[object], None]) -> None:
    for kind in (Stop, Trip, msgspec.defstruct("Page[int]", ["a"])):
        check(render(request(kind)))


def test_objects_are_closed_and_limits_described() -> None:
    schema = render_messages(request(Trip))["output_config"]["format"]["schema"]
    trip, stop = schema["$defs"]["Trip"], schema["$defs"]["Stop"]
    assert {name: schema[name] for name in trip} == trip
    assert trip["properties"]["stops"] == {
        "type": "array",
        "items": {"$ref": "#/$defs/Stop"},
        "description": '{"minItems":2}',
    }
    assert stop["properties"]["city"] == {
        "type": "string",
        "description": 'A city. {"minLength":1}',
    }
    assert stop["properties"]["minimum"] == {
        "type": "integer",
        "description": '{"minimum":1,"maximum":9}',
    }


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "properties": {}, "additionalProperties": True},
        {"type": "array", "items": {"enum": [{"type": "object", "minimum": 1}]}, "minItems": 1},
        {"const": {"type": "object"}},
        True,
    ],
)
def test_other_schemas_stay_unchanged(schema: Any) -> None:
    assert accepted_schema(schema) == schema


def test_given_schema_is_closed_and_not_changed() -> None:
    given: dict[str, Any] = {
        "type": "json_schema",
        "schema": {"type": "object", "properties": {}},
    }
    rendered = render_messages(request(given))["output_config"]["format"]
    assert rendered["schema"] == {**given["schema"], "additionalProperties": False}
    assert "additionalProperties" not in given["schema"]


def test_only_schemas_of_strict_tools_are_closed() -> None:
    schema = {"type": "object", "properties": {}}
    tools = Tool(name="a", parameters=schema, strict=True), Tool(name="b", parameters=schema)
    strict, free = render_messages(request(None, *tools))["tools"]
    assert strict["input_schema"] == {**schema, "additionalProperties": False}
    assert free["input_schema"] == schema


@pytest.mark.parametrize("render", [render_chat, render_response])
@pytest.mark.parametrize("kind", [int, Color, list[Stop]])
def test_types_other_than_objects_are_wrapped(render: Render, kind: Any) -> None:
    body = render(request(kind))
    form = (
        body["response_format"]["json_schema"] if render is render_chat else body["text"]["format"]
    )
    schema = form["schema"]
    assert (schema["type"], schema["required"]) == ("object", ["value"])
    expected = {int: "integer", Color: ["red"]}.get(kind, "array")
    value = schema["properties"]["value"]
    assert expected in (value.get("type"), value.get("enum"))
