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
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.anthropic.events import WIRE
from rxagents.wire.base64_data import is_data_url, split_data_url, to_base64
from rxagents.wire.extra_body import with_extra_body
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items
from rxagents.wire.request import ChatRequest
from rxagents.wire.response_format import schema_of
from rxagents.wire.tool_calls import arguments_of
from rxagents.wire.tool_choice import check_chosen_tool

CURRENT_VERSION = "2026-10-21"
OLDER_VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
"""The API requires a limit and has no default."""

_SAMPLING = ("temperature", "top_p", "top_k")


def render_messages(request: ChatRequest, version: str = CURRENT_VERSION) -> dict[str, Any]:
    """Return the body of `POST {base}/v1/messages`.

    Args:
        request: The request.
        version: The version of the API; the current one refuses `temperature`, `top_p` and
            `top_k`.

    Returns:
        The body. `Settings.extra_body` overrides its fields; a `None` there removes the field.

    Raises:
        ConfigurationError: The API, or this version of it, does not support a setting.
    """
    settings = request.settings
    if settings.seed is not None:
        raise ConfigurationError("Anthropic's API has no seed: leave the setting out.")
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": settings.max_tokens or DEFAULT_MAX_TOKENS,
        "stream": True,
        "system": _system(request.messages) or None,
        "messages": _turns(request.messages),
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(settings, request.tools),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop_sequences": list(settings.stop) if settings.stop else None,
        "output_config": _output_config(settings.response_format),
    }
    body = with_extra_body(body, settings)
    refused = [name for name in _SAMPLING if name in body]
    if any("citations" in block for block in _user_texts(body["messages"])):
        refused.append("citations on the user's text")
    if refused and version == CURRENT_VERSION:
        raise ConfigurationError(
            f"Version {version} of Anthropic's API refuses {' and '.join(refused)}: leave them "
            f'out, or use Anthropic(api_version="{OLDER_VERSION}").'
        )
    return body


def _user_texts(turns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for turn in turns:
        if turn["role"] == "user" and isinstance(turn["content"], list):
            yield from (block for block in turn["content"] if block.get("type") == "text")


def _system(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    return [
        _content(part) for message in messages if message.role == "system" for part in message.parts
    ]


def _turns(messages: tuple[Message, ...]) -> list[dict[str, Any]]:
    """Return alternating turns; in a user's turn the tool results come first."""
    turns: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "assistant" if message.role == "assistant" else "user"
        content = list(_assistant(message) if role == "assistant" else map(_content, message.parts))
        if turns and turns[-1]["role"] == role:
            turns[-1]["content"] += content
        elif content:
            turns.append({"role": role, "content": content})
    for turn in turns:
        turn["content"].sort(key=lambda block: block.get("type") != "tool_result")
    return turns


def _content(part: Part) -> dict[str, Any]:
    return {**_block(part), **part.provider_data.get(WIRE, {})}


def _block(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "text": part.text}
        case ImagePart(url=url) if url and not is_data_url(url):
            return {"type": "image", "source": {"type": "url", "url": url}}
        case ImagePart(url=url) if url:
            kind, data = split_data_url(url)
            source = {"type": "base64", "media_type": kind, "data": data}
            return {"type": "image", "source": source}
        case ImagePart():
            return {"type": "image", "source": _base64(part.media_type, part.data)}
        case FilePart(file_id=file_id) if file_id:
            return {"type": "document", "source": {"type": "file", "file_id": file_id}}
        case FilePart():
            title = {"title": part.filename} if part.filename else {}
            source = _base64(part.media_type, part.data)
            return {"type": "document", "source": source, **title}
        case ToolCall():
            call = {"id": part.id, "name": part.name, "input": arguments_of(part)}
            return {"type": "tool_use", **call}
        case ToolResult():
            failed = {"is_error": True} if part.is_error else {}
            result = {"type": "tool_result", "tool_use_id": part.call_id}
            return {**result, "content": part.content, **failed}
        case ReasoningPart():
            return {"type": "thinking", "thinking": part.text}


def _assistant(message: Message) -> Iterator[dict[str, Any]]:
    """Yield the blocks of an assistant's message: the original ones if they are stored with it.

    Thinking without its signature is left out, since the API refuses it: another provider
    produced it, or it was written by hand.
    """
    stored = message.provider_data.get(WIRE, {}).get("blocks")
    original = resolve_items(message, stored, _reference_of, attrgetter("id"))
    if original is not None:
        yield from _original_blocks(original)
        return
    for part in message.parts:
        signed = part.provider_data.get(WIRE, {}).get("signature")
        empty = isinstance(part, TextPart) and not part.text
        if not empty and (signed or not isinstance(part, ReasoningPart)):
            yield _content(part)


def _reference_of(block: dict[str, Any]) -> Reference:
    match block:
        case {"type": "text", "length": int(length)}:
            return length
        case {"type": "tool_use"}:
            return block.get("id") or ""
    return None


def _original_blocks(items: list[ResolvedItem]) -> Iterator[dict[str, Any]]:
    for block, part in items:
        if isinstance(part, ToolCall):
            yield _content(part)
        elif part is None:
            yield block
        elif part:
            citations = {"citations": block["citations"]} if "citations" in block else {}
            yield {"type": "text", "text": part, **citations}


def _base64(media_type: str, data: bytes) -> dict[str, Any]:
    return {
        "type": "base64",
        "media_type": media_type,
        "data": to_base64(data),
    }


def _tool(tool: Tool) -> dict[str, Any]:
    definition: dict[str, Any] = {"name": tool.name, "input_schema": tool.parameters}
    if tool.description:
        definition["description"] = tool.description
    if tool.strict is not None:
        definition["strict"] = tool.strict
    return definition


def _tool_choice(settings: Settings, tools: tuple[Tool, ...]) -> dict[str, Any] | None:
    one_by_one = settings.parallel_tool_calls is False and bool(tools)
    alone = {"disable_parallel_tool_use": True} if one_by_one else {}
    match settings.tool_choice:
        case None:
            return {"type": "auto", **alone} if alone else None
        case "none":
            return {"type": "none"}
        case "auto":
            return {"type": "auto", **alone}
        case "required":
            return {"type": "any", **alone}
        case name:
            check_chosen_tool(name, tools)
            return {"type": "tool", "name": name, **alone}


def _output_config(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None or response_format == "text":
        return None
    if isinstance(response_format, str):
        raise ConfigurationError(
            f"Anthropic's API has no response_format {response_format!r}: give a type or a JSON "
            'schema as {"type": "json_schema", "schema": …}.'
        )
    if isinstance(response_format, dict):
        return {"format": response_format}
    return {"format": {"type": "json_schema", "schema": schema_of(response_format)}}
