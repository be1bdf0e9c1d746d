"""Renders a conversation as the body of a request."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.output_type import OutputType
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.base64_data import to_data_url
from rxagents.wire.chat_completions.events import WIRE
from rxagents.wire.chat_completions.host import ANY_HOST, ChatHost
from rxagents.wire.chat_completions.reasoning_details import join_details
from rxagents.wire.extra_body import with_extra_body, without_idle_tool_settings
from rxagents.wire.foreign_signature import FOREIGN_SIGNATURE
from rxagents.wire.request import ChatRequest
from rxagents.wire.result_parts import with_parts_after_results
from rxagents.wire.sent_calls import SentCalls, arguments_text_of, fitting_name
from rxagents.wire.tool_choice import check_chosen_tool


def render_chat(request: ChatRequest, host: ChatHost = ANY_HOST) -> dict[str, Any]:
    """Return the body of `POST {base}/chat/completions`.

    Args:
        request: The request.
        host: What the host accepts.

    Returns:
        The body. `Settings.extra_body` overrides its fields; a `None` there removes the field.

    Raises:
        ConfigurationError: The API does not support a setting.
    """
    settings = request.settings
    conversation = with_parts_after_results(request.messages)
    calls = SentCalls(host.call_ids, conversation)
    messages = [line for message in conversation for line in _message(message, calls, host)]
    body: dict[str, Any] = {
        "model": request.model,
        "messages": list(_answered(messages)) if host.needs_answer_to_tools else messages,
        "stream": True,
        "stream_options": {"include_usage": True},
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(settings, request.tools),
        "parallel_tool_calls": settings.parallel_tool_calls,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        host.max_tokens_field: settings.max_tokens,
        "stop": list(settings.stop) if settings.stop else None,
        "seed": settings.seed,
        "response_format": _response_format(settings.response_format),
    }
    return without_idle_tool_settings(with_extra_body(body, settings), settings)


def _message(message: Message, calls: SentCalls, host: ChatHost) -> Iterator[dict[str, Any]]:
    named = {"name": _UNFIT_IN_NAMES.sub("_", message.name)[:64]} if message.name else {}
    match message.role:
        case "system":
            yield {"role": "system", "content": message.text, **named}
        case "user":
            yield {"role": "user", "content": _user_content(message), **named}
        case "assistant":
            yield {**_assistant(message, calls, host), **named}
        case "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    call_id, _ = calls.answered(part)
                    yield {"role": "tool", "tool_call_id": call_id, "content": part.content}


def _answered(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield the lines, and a short answer between a tool's result and a user's message."""
    for before, line in zip([{}, *lines], lines, strict=False):
        if line["role"] == "user" and before.get("role") == "tool":
            yield {"role": "assistant", "content": "OK."}
        yield line


_UNFIT_IN_NAMES = re.compile(r"[\s<|\\/>]")
"""Characters that OpenAI refuses in the name of a participant."""


def _user_content(message: Message) -> str | list[dict[str, Any]]:
    if all(isinstance(part, TextPart) for part in message.parts):
        return message.text
    return [_user_part(part) for part in message.parts]


def _user_part(part: Part) -> dict[str, Any]:
    match part:
        case ImagePart():
            url = part.url or to_data_url(part.media_type, part.data)
            detail = {"detail": part.detail} if part.detail else {}
            return {"type": "image_url", "image_url": {"url": url, **detail}}
        case FilePart(file_id=file_id) if file_id:
            return {"type": "file", "file": {"file_id": file_id}}
        case FilePart():
            data = to_data_url(part.media_type, part.data)
            return {"type": "file", "file": {"filename": part.filename, "file_data": data}}
        case TextPart():
            return {"type": "text", "text": part.text}
    raise ConfigurationError(f"A user message cannot hold a {type(part).__name__}.")


def _assistant(message: Message, calls: SentCalls, host: ChatHost) -> dict[str, Any]:
    line: dict[str, Any] = {"role": "assistant", "content": message.text or None}
    rendered = {
        position: _call(call, calls)
        for position, call in enumerate(message.tool_calls)
        if not calls.is_cut(call)
    }
    if rendered:
        _sign(rendered, message, host)
        thinking = _reasoning(message).items()
        accepted = {name: value for name, value in thinking if host.accepts(name)}
        line |= {"tool_calls": list(rendered.values()), **accepted}
    elif line["content"] is None:
        line["content"] = ""
    return line


def _reasoning(message: Message) -> dict[str, Any]:
    """Return the thinking before tool calls, in the fields in which it was received.

    Hosts that stream thinking require it back during a turn with tool calls, and refuse or ignore
    it later (DeepSeek's API documentation, "Thinking mode: tool calls").
    """
    data = message.provider_data.get(WIRE, {})
    fields: dict[str, Any] = {}
    for part in message.parts:
        if isinstance(part, ReasoningPart):
            name = part.provider_data.get(WIRE, {}).get("field") or data.get("reasoning_field")
            if name:
                fields[name] = fields.get(name, "") + part.text
    if data.get("reasoning_details"):
        fields["reasoning_details"] = join_details(data["reasoning_details"])
    return fields


def _call(call: ToolCall, calls: SentCalls) -> dict[str, Any]:
    call_id, name = calls.sent(call)
    function = {"name": name, "arguments": arguments_text_of(call)}
    return {"id": call_id, "type": "function", "function": function}


def _sign(rendered: dict[int, dict[str, Any]], message: Message, host: ChatHost) -> None:
    """Add Gemini's signatures to the calls that came with one."""
    if not host.accepts("extra_content"):
        return
    for signed in message.provider_data.get(WIRE, {}).get("extra_content", ()):
        if signed["call"] in rendered:
            rendered[signed["call"]]["extra_content"] = signed["extra_content"]
    if host.signs_calls:
        foreign = {"google": {"thought_signature": FOREIGN_SIGNATURE}}
        next(iter(rendered.values())).setdefault("extra_content", foreign)


def _tool(tool: Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name, "parameters": tool.parameters}
    if tool.description:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(settings: Settings, tools: tuple[Tool, ...]) -> str | dict[str, Any] | None:
    choice = settings.tool_choice
    if choice is None or choice in {"auto", "none", "required"}:
        return choice
    check_chosen_tool(choice, tools)
    return {"type": "function", "function": {"name": choice}}


def _response_format(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None or response_format == "text":
        return None  # the default; not all hosts know the field
    if isinstance(response_format, dict):
        return response_format
    if isinstance(response_format, str):
        return {"type": response_format}
    output = OutputType[Any](response_format)
    described = {"name": fitting_name(output.name), "schema": output.schema}
    return {"type": "json_schema", "json_schema": described}
