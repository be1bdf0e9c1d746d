"""Convert the forms in which users write a conversation to messages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from reactivex import Observable

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    BasePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
)

_NO_MESSAGES = (bytes, bytearray, Observable)

MessageLike: TypeAlias = str | Message | Mapping[str, Any]
"""The text of a user message, a `Message`, or a role/content dict in OpenAI's format."""


def to_messages(messages: MessageLike | Sequence[MessageLike]) -> tuple[Message, ...]:
    """Convert a conversation in any of its forms to messages.

    Args:
        messages: One `MessageLike` or a sequence of them.

    Raises:
        ConfigurationError: There is no message, or one of them is invalid.
    """
    if isinstance(messages, (str, Message, Mapping)):
        messages = [messages]
    elif isinstance(messages, _NO_MESSAGES) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            "Messages must be a str, a Message, a role/content dict or a sequence of these, "
            f"not {type(messages).__name__}."
        )
    read = tuple(_to_message(message) for message in messages)
    if not read:
        raise ConfigurationError("The conversation has no messages: send at least one.")
    return read


def _to_message(message: MessageLike) -> Message:
    if isinstance(message, Message):
        return message
    if isinstance(message, str):
        return Message.user(message)
    if isinstance(message, Mapping):
        return _from_dict(message)
    raise ConfigurationError(
        f"A message must be a str, a Message or a role/content dict, not {type(message).__name__}."
    )


class _MessageDict(Struct, forbid_unknown_fields=True):
    role: str
    content: str | list[Any] | None = None
    name: str | None = None
    tool_call_id: str | None = None
    tool_calls: list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    provider_data: dict[str, Any] | None = None


def _from_dict(written: Mapping[str, Any]) -> Message:
    try:
        message = msgspec.convert(dict(written), _MessageDict)
    except msgspec.ValidationError as error:
        fields = ", ".join(_MessageDict.__struct_fields__)
        raise ConfigurationError(
            f"Invalid message dict: {error}. Its fields are {fields}."
        ) from error
    if message.role == "tool":
        return _tool_message(message)
    parts = [*_reasoning(message), *_content(message)]
    parts += [_to_call(call) for call in message.tool_calls or ()]
    if not parts and message.content is None:
        raise ConfigurationError(f"A {message.role} message needs content.")
    return Message(
        "system" if message.role == "developer" else message.role,  # type: ignore[arg-type]  # `Message` checks the role
        tuple(parts),
        message.name or "",
        message.provider_data or {},
    )


def _reasoning(message: _MessageDict) -> list[Part]:
    fields = {"reasoning_content": message.reasoning_content, "reasoning": message.reasoning}
    return [
        ReasoningPart(text, {"chat_completions": {"field": name}})
        for name, text in fields.items()
        if text
    ]


def _content(message: _MessageDict) -> list[Part]:
    if isinstance(message.content, str):
        return [TextPart(message.content)] if message.content or not message.tool_calls else []
    return [_to_part(part) for part in message.content or ()]


def _tool_message(message: _MessageDict) -> Message:
    if message.tool_call_id is None:
        raise ConfigurationError(
            "A tool message needs a tool_call_id: the id of the call whose result it is."
        )
    parts: list[Any] = _content(message)  # `ToolResult` checks their types
    is_text = all(isinstance(part, TextPart) for part in parts)
    content = "".join(part.text for part in parts) if is_text else parts
    return Message.tool(message.tool_call_id, content, name=message.name or "")


def _to_part(part: object) -> Part:
    match part:
        case str():
            return TextPart(part)
        case BasePart():
            return part  # type: ignore[return-value]  # the base class is never instantiated
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            return ImagePart(url, detail=str(rest.get("detail") or ""))
        case {"type": "image_url", "image_url": str(url)}:
            return ImagePart(url)
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise ConfigurationError(
        f"A message contains an unknown part ({kind!r}): use text, "
        '{"type": "text", "text": …}, {"type": "image_url", "image_url": {"url": …}} '
        "or a part such as rxagents.FilePart."
    )


def _to_call(call: object) -> ToolCall:
    match call:
        case ToolCall():
            return call
        case {"id": str(call_id), "function": {"name": str(name), **rest}}:
            return ToolCall(call_id, name, _arguments(name, rest.get("arguments") or ""))
    raise ConfigurationError(
        'A message\'s tool_calls take {"id": …, "function": {"name": …, "arguments": …}} '
        "or a ToolCall."
    )


def _arguments(name: str, arguments: object) -> str:
    if isinstance(arguments, str):
        return arguments
    try:
        return msgspec.json.encode(arguments).decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"The arguments of the tool call {name!r} cannot be encoded as JSON ({error})."
        ) from error
