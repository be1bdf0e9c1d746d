"""Render messages as the conventions' JSON, for traces that hold content."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from rxagents.core.errors import ToolError
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
from rxagents.core.printing import printed
from rxagents.core.tools import Tool


def as_json(value: object) -> str:
    """Return a value as JSON; what JSON does not have becomes a text.

    A value that cannot be rendered must not fail the stream: then its JSON says so.
    """
    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except UnicodeEncodeError:  # a lone surrogate, which a model may write as an escape
        return json.dumps(msgspec.to_builtins(value, enc_hook=str))
    except Exception as error:
        return json.dumps(f"This value has no JSON: {printed(error)}")


def messages_json(messages: Iterable[Message], finish_reason: str = "") -> str:
    """Return messages; images and files are named and left out."""
    finish = {"finish_reason": finish_reason} if finish_reason else {}
    return as_json(
        [
            {"role": message.role, "parts": [_part(part) for part in message.parts], **finish}
            for message in messages
        ]
    )


def instructions_json(messages: Sequence[Message]) -> str:
    """Return the parts of the system messages."""
    return as_json([_part(part) for message in messages for part in message.parts])


def tools_json(tools: Iterable[Tool]) -> str:
    """Return the definitions of tools."""
    return as_json(
        [
            {
                "type": "function",
                "name": tool.name,
                "description": tool.description,
                "parameters": tool.parameters,
            }
            for tool in tools
        ]
    )


def _part(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "text", "content": part.text}
        case ReasoningPart():
            return {"type": "reasoning", "content": part.text}
        case ToolCall():
            return {
                "type": "tool_call",
                "id": part.id,
                "name": part.name,
                "arguments": _arguments(part),
            }
        case ToolResult():
            return {"type": "tool_call_response", "id": part.call_id, "response": part.content}
        case ImagePart() | FilePart():
            return {"type": part.__struct_config__.tag, "mime_type": part.media_type}
    return {"type": type(part).__name__}


def _arguments(call: ToolCall) -> object:
    try:
        return call.parse()
    except ToolError:
        return call.arguments
