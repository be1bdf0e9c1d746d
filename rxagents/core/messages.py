"""Conversations: messages, their ordered parts, and the forms users may write them in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError, ToolArgumentsError

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class _Part(Struct, frozen=True, tag_field="type"):
    """A piece of a message.

    `provider_data` maps a wire's name to whatever that wire wants back with the part; it is
    opaque to everyone else.
    """


class TextPart(_Part, frozen=True, tag="text"):
    """Plain text."""

    text: str
    provider_data: dict[str, Any] = field(default_factory=dict)


class ImagePart(_Part, frozen=True, tag="image"):
    """An image: a URL, or bytes with their media type.

    Attributes:
        url: Where the provider can fetch it; a `data:` URL works too.
        data: The image's own bytes.
        media_type: Such as `"image/png"`; needed with `data`.
        detail: `"low"`, `"high"` or `"auto"` where the provider knows it; empty for its default.
    """

    url: str = ""
    data: bytes = b""
    media_type: str = ""
    detail: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.url) == bool(self.data):
            raise ConfigurationError("An image needs either a url or data.")
        if self.data and not self.media_type:
            raise ConfigurationError('Image data needs its media_type, such as "image/png".')


class FilePart(_Part, frozen=True, tag="file"):
    """A file: bytes with their name and media type, or the id of an uploaded one."""

    data: bytes = b""
    filename: str = ""
    media_type: str = "application/pdf"
    file_id: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.file_id) == bool(self.data):
            raise ConfigurationError("A file needs either data or a file_id.")


class ReasoningPart(_Part, frozen=True, tag="reasoning"):
    """What the model thought before it answered."""

    text: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)


class ToolCall(_Part, frozen=True, tag="tool_call"):
    """A call the model makes.

    Attributes:
        id: Ties the result to the call.
        name: The tool's name.
        arguments: The arguments as JSON text, as received.
    """

    id: str
    name: str
    arguments: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def parse(self) -> dict[str, Any]:
        """Return the arguments as a dict; no text at all is no arguments.

        Raises:
            ToolArgumentsError: The text is not a JSON object.
        """
        try:
            return msgspec.json.decode(self.arguments.strip() or "{}", type=dict[str, Any])
        except (msgspec.MsgspecError, ValueError, RecursionError) as error:
            raise ToolArgumentsError(
                f"The arguments of {self.name!r} are not a JSON object ({error}): "
                f"{self.arguments[:200]!r}. Call it again with one."
            ) from error


class ToolResult(_Part, frozen=True, tag="tool_result"):
    """What a tool answered.

    Attributes:
        call_id: The id of the call it answers.
        content: The text the model sees.
        name: The tool's name, which some wires want.
        is_error: The tool failed, and `content` says how.
    """

    call_id: str
    content: str
    name: str = ""
    is_error: bool = False
    provider_data: dict[str, Any] = field(default_factory=dict)


Part: TypeAlias = TextPart | ImagePart | FilePart | ReasoningPart | ToolCall | ToolResult

_PARTS_OF_ROLE: dict[str, tuple[type[_Part], ...]] = {
    "system": (TextPart,),
    "user": (TextPart, ImagePart, FilePart),
    "assistant": (TextPart, ReasoningPart, ToolCall),
    "tool": (ToolResult,),
}


class Message(Struct, frozen=True):
    """One turn of a conversation: a role and its parts, in order.

    Write one with `Message.system`, `.user`, `.assistant` or `.tool`.

    Attributes:
        role: Who speaks.
        parts: What is said.
        name: Tells participants of one role apart; empty for none.
        provider_data: What a wire wants back with the whole message, by the wire's name.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        allowed = _PARTS_OF_ROLE.get(self.role)
        if allowed is None:
            raise ConfigurationError(
                f"A message cannot have the role {self.role!r}: "
                f"use one of {', '.join(_PARTS_OF_ROLE)}."
            )
        for part in self.parts:
            if not isinstance(part, allowed):
                names = ", ".join(kind.__name__ for kind in allowed)
                raise ConfigurationError(
                    f"A {self.role} message cannot hold a {type(part).__name__}: it takes {names}."
                )

    @classmethod
    def system(cls, *parts: str | Part) -> Message:
        """Instructions for the model."""
        return cls("system", _parts(parts))

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        """What the user says: text, images and files."""
        return cls("user", _parts(parts))

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """What the model said: text, reasoning and tool calls."""
        return cls("assistant", _parts(parts))

    @classmethod
    def tool(cls, call_id: str, content: str, *, name: str = "", is_error: bool = False) -> Message:
        """The result of the call with the id `call_id`."""
        return cls("tool", (ToolResult(call_id, content, name, is_error),))

    @property
    def text(self) -> str:
        """The text parts, joined."""
        return "".join(part.text for part in self.parts if isinstance(part, TextPart))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls, in order."""
        return tuple(part for part in self.parts if isinstance(part, ToolCall))


MessageLike: TypeAlias = str | Message | Mapping[str, Any]
"""A user's text, a `Message`, or a role/content dict as OpenAI made it common."""


def to_messages(messages: MessageLike | Sequence[MessageLike]) -> tuple[Message, ...]:
    """Read all that users may write as a conversation.

    Args:
        messages: One `MessageLike` or a sequence of them.

    Raises:
        ConfigurationError: There is none, or one that cannot be read.
    """
    if isinstance(messages, (str, Message, Mapping)):
        messages = [messages]
    elif isinstance(messages, (bytes, bytearray)) or not isinstance(messages, Iterable):
        raise ConfigurationError(
            "Messages must be a str, a Message, a role/content dict or a sequence of these, "
            f"not {type(messages).__name__}."
        )
    read = tuple(_to_message(message) for message in messages)
    if not read:
        raise ConfigurationError("There are no messages: send at least one.")
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


def _parts(parts: Iterable[str | Part]) -> tuple[Part, ...]:
    return tuple(TextPart(part) if isinstance(part, str) else part for part in parts)


_KEYS = {
    "role",
    "content",
    "name",
    "tool_call_id",
    "tool_calls",
    "reasoning_content",
    "reasoning",
    "provider_data",
}


def _from_dict(message: Mapping[str, Any]) -> Message:
    unknown = set(message) - _KEYS
    if unknown:
        raise ConfigurationError(
            f"A message has unknown keys {sorted(map(str, unknown))}: "
            f"use {', '.join(sorted(_KEYS))}."
        )
    role = message.get("role")
    role = "system" if role == "developer" else role
    if not isinstance(role, str):
        raise ConfigurationError(f"A message dict needs a role: {', '.join(_PARTS_OF_ROLE)}.")
    if role == "tool":
        return _tool_from_dict(message)
    parts: list[Part] = [
        ReasoningPart(message[key], {"chat_completions": {"field": key}})
        for key in ("reasoning_content", "reasoning")
        if message.get(key)
    ]
    parts += _content_from_dict(message.get("content"), role)
    parts += [_call_from_dict(call) for call in message.get("tool_calls") or ()]
    if not parts and "content" not in message:
        raise ConfigurationError(f"A {role} message needs content.")
    return Message(
        role,  # type: ignore[arg-type]  # the constructor refuses other roles with its own error
        tuple(parts),
        message.get("name") or "",
        dict(message.get("provider_data") or {}),
    )


def _content_from_dict(content: object, role: str) -> list[Part]:
    if content is None:
        return []
    if isinstance(content, str):
        return [TextPart(content)] if content or role != "assistant" else []
    if isinstance(content, Sequence) and not isinstance(content, (bytes, bytearray)):
        return [_part_from_dict(part) for part in content]
    raise ConfigurationError(
        f"A message's content must be text or a list of parts, not {type(content).__name__}."
    )


def _part_from_dict(part: object) -> Part:
    match part:
        case str():
            return TextPart(part)
        case _Part():
            return part  # type: ignore[return-value]  # the base class is never instantiated
        case {"type": "text", "text": str(text)}:
            return TextPart(text)
        case {"type": "image_url", "image_url": {"url": str(url), **rest}}:
            return ImagePart(url, detail=str(rest.get("detail", "")))
        case {"type": "image_url", "image_url": str(url)}:
            return ImagePart(url)
    kind = part.get("type") if isinstance(part, Mapping) else type(part).__name__
    raise ConfigurationError(
        f"A message holds a part that cannot be read ({kind!r}): use text, "
        '{"type": "text", "text": …}, {"type": "image_url", "image_url": {"url": …}} '
        "or a part such as rxagents.FilePart."
    )


def _call_from_dict(call: object) -> ToolCall:
    match call:
        case ToolCall():
            return call
        case {"id": str(call_id), "function": {"name": str(name), **rest}}:
            arguments = rest.get("arguments", "")
            if not isinstance(arguments, str):
                arguments = msgspec.json.encode(arguments).decode()
            return ToolCall(call_id, name, arguments)
    raise ConfigurationError(
        'A tool call needs {"id": …, "function": {"name": …, "arguments": …}} or a ToolCall.'
    )


def _tool_from_dict(message: Mapping[str, Any]) -> Message:
    call_id = message.get("tool_call_id")
    if not isinstance(call_id, str):
        raise ConfigurationError("A tool message needs the tool_call_id that it answers.")
    content = message.get("content")
    if not isinstance(content, str):
        content = "".join(
            part.text if isinstance(part, TextPart) else ""
            for part in _content_from_dict(content, "tool")
        )
    return Message.tool(call_id, content, name=message.get("name") or "")
