"""Renders a conversation as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import ImagePart, Message, ReasoningPart, TextPart, ToolCall, ToolResult
from rxagents.core.output_type import OutputType
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.base64_data import is_data_url, split_data_url, to_base64
from rxagents.wire.extra_body import with_extra_body
from rxagents.wire.request import ChatRequest
from rxagents.wire.result_parts import with_parts_after_results
from rxagents.wire.sent_calls import SentCalls, arguments_of


def render_chat(request: ChatRequest) -> dict[str, Any]:
    """Return the body of `POST {host}/api/chat`.

    Returns:
        The body. `Settings.extra_body` overrides its fields, except that `options` is merged; a
        `None` there removes the field.

    Raises:
        ConfigurationError: The API does not support a setting.
    """
    settings = request.settings
    # The renderers of some models (qwen3-vl) drop the images of a tool's message.
    messages = with_parts_after_results(request.messages)
    calls = SentCalls(messages=messages)
    body: dict[str, Any] = {
        "model": request.model,
        "messages": [line for message in messages for line in _message(message, calls)],
        "stream": True,
        "tools": _tools(settings, request.tools) or None,
        **_common(settings),
    }
    return with_extra_body(body, settings, merged="options")


def render_generate(model: str, prompt: str, settings: Settings) -> dict[str, Any]:
    """Return the body of `POST {host}/api/generate`; see `render_chat`."""
    body = {"model": model, "prompt": prompt, "stream": True, **_common(settings)}
    _tools(settings, ())
    return with_extra_body(body, settings, merged="options")


def _common(settings: Settings) -> dict[str, Any]:
    options = {
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "num_predict": settings.max_tokens,
        "stop": list(settings.stop) if settings.stop else None,
        "seed": settings.seed,
    }
    given = {name: value for name, value in options.items() if value is not None}
    return {"options": given or None, "format": _format(settings.response_format)}


def _message(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    if message.role == "tool":
        for part in message.parts:
            if isinstance(part, ToolResult):
                _, name = calls.answered(part)
                yield {"role": "tool", "content": part.content, "tool_name": name}
        return
    line: dict[str, Any] = {"role": message.role, "content": message.text}
    images = [_image(part) for part in message.parts if isinstance(part, ImagePart)]
    if images:
        line["images"] = images
    whole = [call for call in message.tool_calls if not calls.is_cut(call)]
    if whole:
        line["tool_calls"] = [_call(call, calls) for call in whole]
        thinking = "".join(p.text for p in message.parts if isinstance(p, ReasoningPart))
        if thinking:
            line["thinking"] = thinking
    _refuse_others(message)
    yield line


def _refuse_others(message: Message) -> None:
    for part in message.parts:
        if not isinstance(part, (TextPart, ImagePart, ReasoningPart, ToolCall)):
            raise ConfigurationError(
                f"Ollama's API cannot send a {type(part).__name__}: put its text into the message."
            )


def _image(part: ImagePart) -> str:
    if part.data:
        return to_base64(part.data)
    data = split_data_url(part.url)[1] if is_data_url(part.url) else ""
    if data:
        return data
    raise ConfigurationError("Ollama's API fetches no images: give ImagePart data in place of url.")


def _call(call: ToolCall, calls: SentCalls) -> dict[str, Any]:
    _, name = calls.sent(call)
    return {"function": {"name": name, "arguments": arguments_of(call)}}


def _tools(settings: Settings, tools: tuple[Tool, ...]) -> list[dict[str, Any]]:
    """Return the tools; none for `tool_choice="none"`."""
    if settings.tool_choice not in {None, "auto", "none"}:
        raise ConfigurationError(
            f"Ollama's API has no tool_choice {settings.tool_choice!r}: use 'auto' or 'none'."
        )
    if settings.parallel_tool_calls is False:
        raise ConfigurationError(
            "Ollama's API cannot turn parallel_tool_calls off: leave the setting out."
        )
    return [] if settings.tool_choice == "none" else [_tool(tool) for tool in tools]


def _tool(tool: Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
    }
    return {"type": "function", "function": function}


def _format(response_format: ResponseFormat | None) -> str | dict[str, Any] | None:
    if response_format is None or response_format == "text":
        return None
    if isinstance(response_format, str):
        if response_format in {"json", "json_object"}:
            return "json"
        raise ConfigurationError(
            f"Ollama's API has no response_format {response_format!r}: use 'json_object', a JSON "
            "schema or a type."
        )
    if isinstance(response_format, dict):
        return response_format
    return OutputType[Any](response_format).schema
