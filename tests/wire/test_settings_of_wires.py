"""Every setting reaches every wire under the wire's name for it, or is refused by name."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from rxagents import (
    ConfigurationError,
    FilePart,
    ImagePart,
    Message,
    Settings,
    TextPart,
    Tool,
    ToolCall,
)
from rxagents.wire.anthropic import render_messages
from rxagents.wire.anthropic.render import OLDER_VERSION
from rxagents.wire.gemini import render_contents
from rxagents.wire.ollama import render_chat, render_generate
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses import render_response

TOOL = Tool(name="f", parameters={"type": "object", "properties": {"a": {}}})


def older(request: ChatRequest) -> dict[str, Any]:
    return render_messages(request, OLDER_VERSION)


def request(*messages: Message, tools: tuple[Tool, ...] = (TOOL,), **settings: Any) -> ChatRequest:
    conversation = messages or (Message.user("hi"),)
    return ChatRequest("m", conversation, tools, Settings().override(**settings))


def at(body: Any, path: str) -> Any:
    for name in path.split("."):
        body = body[int(name)] if name.isdigit() else body[name]
    return body


class City(msgspec.Struct):
    name: str


@pytest.mark.parametrize(
    ("render", "settings", "path", "value"),
    [
        (older, {"temperature": 0.5}, "temperature", 0.5),
        (older, {"top_p": 0.5}, "top_p", 0.5),
        (older, {"extra_body": {"top_k": 3}}, "top_k", 3),
        (render_messages, {"max_tokens": 7}, "max_tokens", 7),
        (render_messages, {}, "max_tokens", 4096),
        (render_messages, {"stop": "END"}, "stop_sequences", ["END"]),
        (render_messages, {"tool_choice": "required"}, "tool_choice", {"type": "any"}),
        (render_messages, {"tool_choice": "none"}, "tool_choice", {"type": "none"}),
        (render_messages, {"tool_choice": "f"}, "tool_choice", {"type": "tool", "name": "f"}),
        (
            render_messages,
            {"parallel_tool_calls": False},
            "tool_choice",
            {"type": "auto", "disable_parallel_tool_use": True},
        ),
        (render_messages, {"response_format": City}, "output_config.format.type", "json_schema"),
        (render_contents, {"temperature": 0.5}, "generationConfig.temperature", 0.5),
        (render_contents, {"top_p": 0.5}, "generationConfig.topP", 0.5),
        (render_contents, {"max_tokens": 7}, "generationConfig.maxOutputTokens", 7),
        (render_contents, {"stop": "END"}, "generationConfig.stopSequences", ["END"]),
        (render_contents, {"seed": 3}, "generationConfig.seed", 3),
        (
            render_contents,
            {"response_format": "json_object"},
            "generationConfig.responseMimeType",
            "application/json",
        ),
        (
            render_contents,
            {"tool_choice": "f"},
            "toolConfig.functionCallingConfig",
            {"mode": "ANY", "allowedFunctionNames": ["f"]},
        ),
        (
            render_contents,
            {"seed": 3, "extra_body": {"generationConfig": {"topK": 4}}},
            "generationConfig",
            {"seed": 3, "topK": 4},
        ),
        (render_chat, {"temperature": 0.5}, "options.temperature", 0.5),
        (render_chat, {"top_p": 0.5}, "options.top_p", 0.5),
        (render_chat, {"max_tokens": 7}, "options.num_predict", 7),
        (render_chat, {"stop": "END"}, "options.stop", ["END"]),
        (render_chat, {"seed": 3}, "options.seed", 3),
        (render_chat, {"response_format": "json_object"}, "format", "json"),
        (render_chat, {"extra_body": {"think": True}}, "think", True),
        (render_response, {"temperature": 0.5}, "temperature", 0.5),
        (render_response, {"max_tokens": 7}, "max_output_tokens", 7),
        (render_response, {"parallel_tool_calls": False}, "parallel_tool_calls", False),
        (render_response, {"response_format": City}, "text.format.name", "City"),
        (render_response, {"tool_choice": "f"}, "tool_choice", {"type": "function", "name": "f"}),
        (render_response, {"extra_body": {"store": True}}, "store", True),
    ],
)
def test_setting_has_name_of_wire(
    render: Any, settings: dict[str, Any], path: str, value: Any
) -> None:
    assert at(render(request(**settings)), path) == value


@pytest.mark.parametrize(
    ("render", "settings", "named"),
    [
        (render_messages, {"temperature": 0.5}, "temperature.*2023-06-01"),
        (render_messages, {"top_p": 1.0}, "top_p"),
        (render_messages, {"extra_body": {"top_k": 3}}, "top_k"),
        (render_messages, {"seed": 3}, "seed"),
        (render_messages, {"response_format": "json_object"}, "response_format"),
        (render_messages, {"tool_choice": "g"}, "tool_choice"),
        (render_contents, {"parallel_tool_calls": False}, "parallel_tool_calls"),
        (render_contents, {"tool_choice": "g"}, "tool_choice"),
        (render_contents, {"response_format": "yaml"}, "response_format"),
        (render_chat, {"tool_choice": "required"}, "tool_choice"),
        (render_chat, {"parallel_tool_calls": False}, "parallel_tool_calls"),
        (render_response, {"stop": "END"}, "stop"),
        (render_response, {"seed": 3}, "seed"),
        (render_response, {"tool_choice": "g"}, "tool_choice"),
    ],
)
def test_unsupported_setting_is_refused(render: Any, settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        render(request(**settings))


def test_ollama_refuses_unsupported_parts() -> None:
    for part in (ImagePart(url="https://example.com/a.png"), FilePart(data=b"x", filename="a")):
        with pytest.raises(ConfigurationError, match="Ollama"):
            render_chat(request(Message("user", (part,))))


def test_ollama_sends_no_tools_for_none() -> None:
    assert "tools" not in render_chat(request(tool_choice="none"))


def test_ollama_generate_request() -> None:
    body = render_generate("m", "Once", Settings(max_tokens=3))
    assert body == {
        "model": "m",
        "prompt": "Once",
        "stream": True,
        "options": {"num_predict": 3},
    }


def test_anthropic_cache_breakpoints_keep_their_place() -> None:
    here = {"anthropic": {"cache_control": {"type": "ephemeral"}}}
    system = Message("system", (TextPart("Long.", provider_data=here),))
    body = render_messages(request(system, Message.user("hi")))
    assert body["system"][0]["cache_control"] == {"type": "ephemeral"}
    assert "cache_control" not in body["messages"][0]["content"][0]


def test_anthropic_turns_alternate() -> None:
    reply = Message.assistant("x")
    body = render_messages(request(Message.user("a"), Message.user("b"), reply, Message.user("c")))
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user"]
    assert [block["text"] for block in body["messages"][0]["content"]] == ["a", "b"]


def test_anthropic_user_citations_need_older_version() -> None:
    cited = TextPart("x", provider_data={"anthropic": {"citations": [{"url": "u"}]}})
    asked = request(Message("user", (cited,)))
    with pytest.raises(ConfigurationError, match=r"citations.*2023-06-01"):
        render_messages(asked)
    assert older(asked)["messages"][0]["content"][0]["citations"] == [{"url": "u"}]


@pytest.mark.parametrize(
    ("render", "path"),
    [
        (render_messages, "messages.1.content.0.input"),
        (render_contents, "contents.1.parts.0.functionCall.args"),
        (render_chat, "messages.1.tool_calls.0.function.arguments"),
    ],
)
def test_call_with_invalid_arguments_is_sent_back(render: Any, path: str) -> None:
    called = Message.assistant(ToolCall("c", "f", '{"a": '))
    refused = Message.tool("c", "The arguments are no JSON object.", name="f", is_error=True)
    body = render(request(Message.user("hi"), called, refused))
    assert at(body, path) == {"invalid_json": '{"a": '}
