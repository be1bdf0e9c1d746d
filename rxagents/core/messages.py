"""Conversations: messages and their ordered parts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.errors import ConfigurationError, ToolArgumentsError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class BasePart(Struct, frozen=True, tag_field="type"):
    """A piece of a message.

    `provider_data` maps a wire's name to whatever that wire wants back with the part; it is
    opaque to everyone else.
    """


class TextPart(BasePart, frozen=True, tag="text"):
    """Plain text."""

    text: str
    provider_data: dict[str, Any] = field(default_factory=dict)


class ImagePart(BasePart, frozen=True, tag="image"):
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


class FilePart(BasePart, frozen=True, tag="file"):
    """A file: bytes with their name and media type, or the id of an uploaded one."""

    data: bytes = b""
    filename: str = ""
    media_type: str = "application/pdf"
    file_id: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.file_id) == bool(self.data):
            raise ConfigurationError("A file needs either data or a file_id.")


class ReasoningPart(BasePart, frozen=True, tag="reasoning"):
    """What the model thought before it answered."""

    text: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)


class ToolCall(BasePart, frozen=True, tag="tool_call"):
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
            ToolArgumentsError: The text is not a JSON object, or one that is nested too deeply.
        """
        if is_deeper(self.arguments.encode("utf-8", "replace"), DEFAULT_LIMITS.json_depth):
            raise ToolArgumentsError(
                f"The arguments of {self.name!r} are nested more than {DEFAULT_LIMITS.json_depth} "
                "levels deep. Call it again with flatter ones."
            )
        try:
            return msgspec.json.decode(self.arguments.strip() or "{}", type=dict[str, Any])
        except JSON_ERRORS as error:
            raise ToolArgumentsError(
                f"The arguments of {self.name!r} are not a JSON object ({error}): "
                f"{self.arguments[:200]!r}. Call it again with one."
            ) from error


class ToolResult(BasePart, frozen=True, tag="tool_result"):
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

_PARTS_OF_ROLE: dict[str, tuple[type[BasePart], ...]] = {
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


def _parts(parts: Iterable[str | Part]) -> tuple[Part, ...]:
    return tuple(TextPart(part) if isinstance(part, str) else part for part in parts)
