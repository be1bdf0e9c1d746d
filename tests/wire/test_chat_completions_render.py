"""Request bodies of chat completions."""

from __future__ import annotations

import dataclasses
from typing import Any

import msgspec
import pytest

from rxagents import (
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    ReasoningPart,
    Settings,
    TextPart,
    Tool,
    ToolCall,
    ToolResult,
)
from rxagents.core.message_input import to_messages
from rxagents.core.response import ResponseBuilder
from rxagents.wire.chat_completions import ChatCompletionsParser, ChatHost, render_chat
from rxagents.wire.parser import StreamInfo
from rxagents.wire.request import ChatRequest

ADD = Tool(name="add", description="Add numbers.", parameters={"type": "object"})


ADD_DICT = {"name": "add", "description": "Add numbers.", "parameters": {"type": "object"}}


def render(messages: Any = "hi", tools: tuple[Tool, ...] = (), **settings: Any) -> dict[str, Any]:
    """Render a request, and check that it is JSON."""
    request = ChatRequest("m-1", to_messages(messages), tools, Settings().override(**settings))
    body = render_chat(request)
    assert msgspec.json.decode(msgspec.json.encode(body)) == body
    return body


def lines(messages: Any) -> list[dict[str, Any]]:
    rendered: list[dict[str, Any]] = render(messages)["messages"]
    return rendered


def test_smallest_request() -> None:
    assert render("hi") == {
        "model": "m-1",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }


PNG = "data:image/png;base64,AAH/"
CALL = {"id": "call_1", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}


@pytest.mark.parametrize(
    ("message", "line"),
    [
        (Message.system("be", " brief"), {"role": "system", "content": "be brief"}),
        (Message.user("hi"), {"role": "user", "content": "hi"}),
        (Message.user("a", "b"), {"role": "user", "content": "ab"}),
        (Message("user", (TextPart("hi"),), name="ann"),
         {"role": "user", "content": "hi", "name": "ann"}),
        (Message("system", (TextPart("x"),), name="boss"),
         {"role": "system", "content": "x", "name": "boss"}),
        (Message("assistant", (TextPart("x"),), name="bot"),
         {"role": "assistant", "content": "x", "name": "bot"}),
        (Message.user("what", ImagePart("https://x.test/a.png", detail="low")),
         {"role": "user", "content": [
             {"type": "text", "text": "what"},
             {"type": "image_url",
              "image_url": {"url": "https://x.test/a.png", "detail": "low"}}]}),
        (Message.user(ImagePart(data=b"\x00\x01\xff", media_type="image/png"), "what"),
         {"role": "user", "content": [
             {"type": "image_url", "image_url": {"url": PNG}}, {"type": "text", "text": "what"}]}),
        (Message.user(FilePart(b"\x00\x01\xff", "a.pdf")),
         {"role": "user", "content": [{"type": "file", "file": {
             "filename": "a.pdf", "file_data": "data:application/pdf;base64,AAH/"}}]}),
        (Message.user(FilePart(file_id="file-1")),
         {"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}),
        (Message.assistant("hello"), {"role": "assistant", "content": "hello"}),
        (Message.assistant(), {"role": "assistant", "content": ""}),
        (Message.assistant("let me", ToolCall("call_1", "add", '{"a":1}')),
         {"role": "assistant", "content": "let me", "tool_calls": [CALL]}),
        (Message.assistant(ToolCall("call_1", "add", '{"a":1}')),
         {"role": "assistant", "content": None, "tool_calls": [CALL]}),
        (Message.assistant(ToolCall("call_2", "now")),
         {"role": "assistant", "content": None, "tool_calls": [
             {"id": "call_2", "type": "function",
              "function": {"name": "now", "arguments": "{}"}}]}),
        (Message.tool("call_1", "3", name="add"),
         {"role": "tool", "tool_call_id": "call_1", "content": "3"}),
        (Message.tool("call_1", "It failed.", is_error=True),
         {"role": "tool", "tool_call_id": "call_1", "content": "It failed."}),
    ],
)  # fmt: skip
def test_message_is_rendered(message: Message, line: dict[str, Any]) -> None:
    assert lines(message) == [line]


def test_each_tool_result_is_a_message() -> None:
    message = Message("tool", (ToolResult("call_1", "3"), ToolResult("call_2", "4")))
    assert lines(["hi", message])[1:] == [
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        {"role": "tool", "tool_call_id": "call_2", "content": "4"},
    ]


def test_dict_conversation_is_rendered_unchanged() -> None:
    conversation: list[dict[str, Any]] = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": "1 + 2?", "name": "ann"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "3"},
        {"role": "assistant", "content": "3"},
        {"role": "user", "content": [
            {"type": "text", "text": "and this?"},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "high"}},
        ]},
    ]  # fmt: skip
    assert lines(conversation) == conversation


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thinking_is_sent_back_with_calls(
    field: str,
) -> None:
    parser = ChatCompletionsParser(StreamInfo())
    builder = ResponseBuilder()
    call = {"index": 0, "id": "call_1", "function": {"name": "add", "arguments": '{"a":1}'}}
    deltas: list[dict[str, Any]] = [
        {field: "h"},
        {field: "m"},
        {"content": "so"},
        {"tool_calls": [call]},
    ]
    for delta in deltas:
        body = {"choices": [{"index": 0, "delta": delta}]}
        for chunk in parser.feed(b"data: " + msgspec.json.encode(body) + b"\n\n", 1.0):
            builder.add(chunk)
    assert lines(["hi", builder.response().message])[1] == {
        "role": "assistant",
        "content": "so",
        "tool_calls": [CALL],
        field: "hm",
    }


def test_thinking_of_dict_keeps_its_name() -> None:
    message = {"role": "assistant", "reasoning": "hm", "tool_calls": [CALL]}
    assert lines(message) == [{**message, "content": None}]


def test_thinking_without_calls_or_name_stays() -> None:
    known = ReasoningPart("hm", {"chat_completions": {"field": "reasoning"}})
    call = ToolCall("call_1", "add", '{"a":1}')
    assert lines(Message.assistant(known, "so")) == [{"role": "assistant", "content": "so"}]
    assert set(lines(Message.assistant(ReasoningPart("hm"), call))[0]) == {
        "role", "content", "tool_calls",
    }  # fmt: skip


def test_reasoning_details_are_sent_back_unchanged() -> None:
    details = [{"type": "reasoning.encrypted", "data": "xyz"}]
    message = Message(
        "assistant",
        (ToolCall("call_1", "add", '{"a":1}'),),
        provider_data={"chat_completions": {"reasoning_details": details}, "other": {"a": 1}},
    )
    assert lines(message)[0]["reasoning_details"] == details


@pytest.mark.parametrize(
    "tool",
    [
        ADD,
        Tool.from_dict(ADD_DICT),
        Tool.from_dict({"type": "function", "function": ADD_DICT}),
        Tool.from_dict({"type": "function", **ADD_DICT}),
    ],
)
def test_tool_is_rendered(tool: Tool) -> None:
    assert render(tools=(tool,))["tools"] == [{"type": "function", "function": ADD_DICT}]


def test_bare_tool_has_empty_schema() -> None:
    bare, strict = render(tools=(Tool(name="a"), Tool(name="b", strict=False)))["tools"]
    empty = {"type": "object", "properties": {}}
    assert bare["function"] == {"name": "a", "parameters": empty}
    assert strict["function"] == {"name": "b", "parameters": empty, "strict": False}


@pytest.mark.parametrize("choice", ["auto", "none", "required"])
def test_tool_choice_is_passed_on(choice: str) -> None:
    assert render(tools=(ADD,), tool_choice=choice)["tool_choice"] == choice


def test_tool_choice_by_name() -> None:
    body = render(tools=(ADD,), tool_choice="add")
    assert body["tool_choice"] == {"type": "function", "function": {"name": "add"}}


@pytest.mark.parametrize("tools", [(), (ADD,)])
def test_unknown_tool_choice_is_refused(tools: tuple[Tool, ...]) -> None:
    with pytest.raises(ConfigurationError, match="'sub', which is not among the tools"):
        render(tools=tools, tool_choice="sub")


def test_only_given_settings_are_rendered() -> None:
    settings = {"temperature": 0, "top_p": 0.5, "max_tokens": 9, "stop": "END", "seed": 7}
    body = render(tools=(ADD,), parallel_tool_calls=False, **settings)
    assert {key: body[key] for key in set(body) - set(render(tools=(ADD,)))} == {
        "temperature": 0,
        "top_p": 0.5,
        "max_tokens": 9,
        "stop": ["END"],
        "seed": 7,
        "parallel_tool_calls": False,
    }


def test_max_tokens_field_depends_on_host() -> None:
    request = ChatRequest("m-1", to_messages("hi"), settings=Settings(max_tokens=9))
    body = render_chat(request, ChatHost(max_tokens_field="max_completion_tokens"))
    assert body["max_completion_tokens"] == 9
    assert "max_tokens" not in body


@pytest.mark.parametrize("tools", [(), (ADD,)])
def test_extra_body_adds_overrides_and_removes(tools: tuple[Tool, ...]) -> None:
    extra = {"top_k": 5, "seed": 8, "stream_options": None, "tools": None, "model": "m-2"}
    body = render(tools=tools, seed=7, extra_body=extra)
    assert body == {
        "model": "m-2",
        "messages": [{"role": "user", "content": "hi"}],
        "stream": True,
        "seed": 8,
        "top_k": 5,
    }
    assert extra["stream_options"] is None


class City(msgspec.Struct):
    name: str
    inhabitants: int


@dataclasses.dataclass
class Trip:
    cities: list[City]


CITY = {
    "title": "City",
    "type": "object",
    "properties": {"name": {"type": "string"}, "inhabitants": {"type": "integer"}},
    "required": ["name", "inhabitants"],
}


@pytest.mark.parametrize(
    ("form", "rendered"),
    [
        ("json_object", {"type": "json_object"}),
        ({"type": "regex", "pattern": "a+"}, {"type": "regex", "pattern": "a+"}),
    ],
)
def test_response_format_is_passed_on(form: Any, rendered: dict[str, Any]) -> None:
    assert render(response_format=form)["response_format"] == rendered


@pytest.mark.parametrize(("kind", "properties"), [(City, CITY["properties"]), (Trip, None)])
def test_response_format_type_becomes_schema(kind: type, properties: Any) -> None:
    rendered = render(response_format=kind)["response_format"]
    assert rendered["type"] == "json_schema"
    assert rendered["json_schema"]["name"] == kind.__name__
    schema = rendered["json_schema"]["schema"]
    definitions = schema["$defs"]
    assert (schema["type"], schema["title"]) == ("object", kind.__name__)
    assert definitions["City"] == CITY
    if properties is None:
        assert definitions["Trip"]["properties"] == {
            "cities": {"type": "array", "items": {"$ref": "#/$defs/City"}}
        }


@pytest.mark.parametrize("kind", [object, type(None).__class__, ConfigurationError])
def test_type_without_schema_is_refused(kind: type) -> None:
    with pytest.raises(ConfigurationError, match=r"msgspec\.Struct"):
        render(response_format=kind)
