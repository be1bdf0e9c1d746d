"""Renders a conversation as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.base64_data import to_data_url
from rxagents.wire.extra_body import with_extra_body
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items
from rxagents.wire.request import ChatRequest
from rxagents.wire.response_format import schema_of
from rxagents.wire.responses.events import WIRE
from rxagents.wire.tool_choice import check_chosen_tool


def render_response(request: ChatRequest) -> dict[str, Any]:
    """Return the body of `POST {base}/responses`.

    The provider stores nothing: each request has the whole conversation, and reasoning comes
    encrypted so that it can be sent back. System messages keep their place in the conversation;
    `instructions` would move them to its beginning.

    Returns:
        The body. `Settings.extra_body` overrides its fields; a `None` there removes the field.

    Raises:
        ConfigurationError: The API does not support a setting.
    """
    settings = request.settings
    for name in ("stop", "seed"):
        if getattr(settings, name) is not None:
            raise ConfigurationError(
                f"The Responses API has no {name}: leave the setting out, or use the chat "
                "completions of OpenAI(…)."
            )
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(settings, request.tools),
        "parallel_tool_calls": settings.parallel_tool_calls,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_tokens,
        "text": _text_format(settings.response_format),
    }
    return with_extra_body(body, settings)


def _items(message: Message) -> Iterator[dict[str, Any]]:
    match message.role:
        case "system":
            yield {"role": "system", "content": message.text}
        case "user":
            yield {"role": "user", "content": [_input(part) for part in message.parts]}
        case "assistant":
            yield from _assistant(message)
        case "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    yield {
                        "type": "function_call_output",
                        "call_id": part.call_id,
                        "output": part.content,
                    }


def _input(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart():
            url = part.url or to_data_url(part.media_type, part.data)
            detail = {"detail": part.detail} if part.detail else {}
            return {"type": "input_image", "image_url": url, **detail}
        case FilePart(file_id=file_id) if file_id:
            return {"type": "input_file", "file_id": file_id}
        case FilePart():
            data = to_data_url(part.media_type, part.data)
            return {"type": "input_file", "filename": part.filename, "file_data": data}
    raise ConfigurationError(f"A user message cannot hold a {type(part).__name__}.")


def _assistant(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the items of an assistant's message: the original ones if they are stored with it.

    Else only text and calls are sent: other providers' thinking means nothing to this API.
    """
    stored = message.provider_data.get(WIRE, {}).get("items")
    original = resolve_items(message, stored, _reference_of, attrgetter("id"))
    if original is not None:
        yield from _original_items(original)
        return
    if message.text:
        yield {"role": "assistant", "content": message.text}
    yield from map(_call, message.tool_calls)


def _reference_of(item: dict[str, Any]) -> Reference:
    match item:
        case {"type": "message", "length": int(length)}:
            return length
        case {"type": "function_call"}:
            return item.get("call_id") or ""
    return None


def _original_items(items: list[ResolvedItem]) -> Iterator[dict[str, Any]]:
    for item, part in items:
        if isinstance(part, ToolCall):
            yield _call(part)
        elif part is not None:
            if part:
                yield {"role": "assistant", "content": part}
        elif item.get("type") != "reasoning" or _is_readable(item):
            # Of other reasoning only the id is known, and the provider stored nothing under it.
            yield item


def _is_readable(reasoning: dict[str, Any]) -> bool:
    return bool(reasoning.get("encrypted_content") or reasoning.get("content"))


def _call(call: ToolCall) -> dict[str, Any]:
    arguments = call.arguments or "{}"
    return {"type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments}


def _tool(tool: Tool) -> dict[str, Any]:
    """Return a tool; `strict` is always sent, since without it this API enforces every schema."""
    definition = {"type": "function", "name": tool.name, "parameters": tool.parameters}
    described = {"description": tool.description} if tool.description else {}
    return {**definition, **described, "strict": bool(tool.strict)}


def _tool_choice(settings: Settings, tools: tuple[Tool, ...]) -> str | dict[str, Any] | None:
    choice = settings.tool_choice
    if choice is None or choice in {"auto", "none", "required"}:
        return choice
    check_chosen_tool(choice, tools)
    return {"type": "function", "name": choice}


def _text_format(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None:
        return None
    if isinstance(response_format, dict):
        return {"format": response_format}
    if isinstance(response_format, str):
        return {"format": {"type": response_format}}
    name, schema = response_format.__name__, schema_of(response_format)
    return {"format": {"type": "json_schema", "name": name, "schema": schema}}
