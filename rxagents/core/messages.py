"""Represent a conversation: messages and their ordered parts.

All kinds of parts are imported from here; text, images and files are defined in `content_parts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import Struct, field

from rxagents.core.content_parts import (
    BasePart,
    ContentPart,
    FilePart,
    ImagePart,
    TextPart,
    checked_parts,
    content_text,
)
from rxagents.core.errors import ConfigurationError, ToolArgumentsError
from rxagents.core.json_depth import is_deeper
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.limits import DEFAULT_LIMITS

__all__ = [
    "BasePart",
    "ContentPart",
    "FilePart",
    "ImagePart",
    "Message",
    "Part",
    "ReasoningPart",
    "Role",
    "TextPart",
    "ToolCall",
    "ToolResult",
]

Role: TypeAlias = Literal["system", "user", "assistant", "tool"]


class ReasoningPart(BasePart, frozen=True, tag="reasoning"):
    """The model's thinking text, which precedes its answer."""

    text: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)


class ToolCall(BasePart, frozen=True, tag="tool_call"):
    """A tool call of the model.

    Attributes:
        id: Links the tool's result to the call.
        name: The tool's name.
        arguments: The arguments as JSON text, as received.
    """

    id: str
    name: str
    arguments: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def parse(self) -> dict[str, Any]:
        """Return the arguments as a dict; empty text means no arguments.

        Raises:
            ToolArgumentsError: The text is not a JSON object, or it is nested too deeply.
        """
        if is_deeper(self.arguments.encode("utf-8", "replace"), DEFAULT_LIMITS.json_depth):
            raise ToolArgumentsError(
                f"The arguments of {self.name!r} are nested more than {DEFAULT_LIMITS.json_depth} "
                "levels deep. Call it again with flatter arguments."
            )
        try:
            return msgspec.json.decode(self.arguments.strip() or "{}", type=dict[str, Any])
        except JSON_ERRORS as error:
            raise ToolArgumentsError(
                f"The arguments of {self.name!r} are not a JSON object ({error}): "
                f"{self.arguments[:200]!r}. Call it again with a JSON object."
            ) from error


class ToolResult(BasePart, frozen=True, tag="tool_result"):
    """The result of a tool call.

    Attributes:
        call_id: The id of the tool call.
        content: The text that the model sees; for an image or a file in `parts` it has a short
            description, such as `"[image/png, 12,345 bytes]"`.
        name: The tool's name, which some wires require.
        is_error: Whether the tool failed; `content` then explains the failure.
        parts: The result's text, images and files, in order; empty if it is text alone. They are
            sent in place of `content` where the API takes them in a result. Other APIs get
            `content`, and the images and files in a user message after the results.
    """

    call_id: str
    content: str
    name: str = ""
    is_error: bool = False
    parts: tuple[ContentPart, ...] = ()
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        checked_parts(self.parts)


Part: TypeAlias = TextPart | ImagePart | FilePart | ReasoningPart | ToolCall | ToolResult

_PARTS_OF_ROLE: dict[str, tuple[type[BasePart], ...]] = {
    "system": (TextPart,),
    "user": (TextPart, ImagePart, FilePart),
    "assistant": (TextPart, ReasoningPart, ToolCall),
    "tool": (ToolResult,),
}


class Message(Struct, frozen=True):
    """One turn of a conversation: a role and its parts, in order.

    Create one with `Message.system`, `.user`, `.assistant` or `.tool`.

    Attributes:
        role: `"system"`, `"user"`, `"assistant"` or `"tool"`.
        parts: The content, in order.
        name: Distinguishes participants with the same role; may be empty.
        provider_data: The data that a wire sends back with the whole message, by the wire's name.
            An agent marks its own system prompt there, under `"agent"`.
    """

    role: Role
    parts: tuple[Part, ...]
    name: str = ""
    provider_data: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        allowed = _PARTS_OF_ROLE.get(self.role)
        if allowed is None:
            raise ConfigurationError(
                f"Unknown message role {self.role!r}: use one of {', '.join(_PARTS_OF_ROLE)}."
            )
        for part in self.parts:
            if not isinstance(part, allowed):
                names = ", ".join(kind.__name__ for kind in allowed)
                raise ConfigurationError(
                    f"A {self.role} message cannot contain a {type(part).__name__}: use {names}."
                )

    @classmethod
    def system(cls, *parts: str | Part) -> Message:
        """Create a message with instructions for the model."""
        return cls("system", _parts(parts))

    @classmethod
    def user(cls, *parts: str | Part) -> Message:
        """Create a message of the user: text, images and files."""
        return cls("user", _parts(parts))

    @classmethod
    def assistant(cls, *parts: str | Part) -> Message:
        """Create a message of the model: text, reasoning and tool calls."""
        return cls("assistant", _parts(parts))

    @classmethod
    def tool(
        cls,
        call_id: str,
        content: str | ContentPart | Sequence[str | ContentPart],
        *,
        name: str = "",
        is_error: bool = False,
    ) -> Message:
        """Create a message with the result of a tool call.

        Args:
            call_id: The id of the call.
            content: The text that the model sees; or an image or a file, or a list of texts, images
                and files.
            name: The tool's name.
            is_error: Whether the tool failed.
        """
        if isinstance(content, str):
            return cls("tool", (ToolResult(call_id, content, name, is_error),))
        parts = checked_parts([content] if isinstance(content, BasePart) else content)
        text = content_text(parts)
        if all(isinstance(part, TextPart) for part in parts):
            parts = ()
        return cls("tool", (ToolResult(call_id, text, name, is_error, parts),))

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
