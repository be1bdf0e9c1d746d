"""Define the events of tool calls: arguments, approval, start, progress and end."""

from __future__ import annotations

import time
from typing import Any, ClassVar

from msgspec import field

from rxagents.core.content_parts import ContentPart
from rxagents.core.event_base import ErrorFreeEvent, ErrorInfo, Event, EventType
from rxagents.core.usage import Usage


class ToolArguments(ErrorFreeEvent, frozen=True, tag="tool_arguments"):
    """New text of a tool call's arguments, while the model writes the call.

    The first event of a call comes as soon as the call's name is known. A call that was cut off has
    these events and no others.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        delta: The next piece of the arguments' JSON text; may be empty in the first event.
    """

    type: ClassVar[EventType] = EventType.TOOL_ARGUMENTS
    call_id: str
    name: str
    delta: str = ""
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The new text."""
        return self.delta


class ApprovalRequest(ErrorFreeEvent, frozen=True, tag="approval_request"):
    """A tool call waits for its approval.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        arguments: The arguments of the call.
    """

    type: ClassVar[EventType] = EventType.APPROVAL_REQUEST
    call_id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The tool's name."""
        return self.name


class ApprovalAnswer(ErrorFreeEvent, frozen=True, tag="approval_answer"):
    """The approval of a tool call was given or denied.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        approved: Whether the tool runs.
        arguments: The arguments with which it runs; they may differ from those of the request.
        reason: Why it was denied; may be empty.
    """

    type: ClassVar[EventType] = EventType.APPROVAL_ANSWER
    call_id: str
    name: str
    approved: bool
    arguments: dict[str, Any] = field(default_factory=dict)
    reason: str = ""
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The reason."""
        return self.reason


class ToolStart(ErrorFreeEvent, frozen=True, tag="tool_start"):
    """A tool call starts.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        arguments: The arguments of the call.
    """

    type: ClassVar[EventType] = EventType.TOOL_START
    call_id: str
    name: str
    arguments: dict[str, Any] = field(default_factory=dict)
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The tool's name."""
        return self.name


class ToolProgress(ErrorFreeEvent, frozen=True, tag="tool_progress"):
    """A tool reports its progress.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        content: The progress item; an item that is not a `str` is rendered as JSON.
    """

    type: ClassVar[EventType] = EventType.TOOL_PROGRESS
    call_id: str
    name: str
    content: str
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()


class ToolEnd(Event, frozen=True, tag="tool_end"):
    """A tool call has ended.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        result: The text that the model sees; an image or a file has a short description in it, such
            as `"[image/png, 12,345 bytes]"`.
        error: The tool's failure, or `None`.
        duration: Seconds that the call took.
        usage: Tokens that agents inside the tool have used; `None` if there were none.
        estimated_usage: Estimated counts of their turns that were ended early. `usage` does not
            contain them.
        parts: The result's text, images and files, in order, if it is more than text;
            `Message.tool` takes them.
    """

    type: ClassVar[EventType] = EventType.TOOL_END
    call_id: str
    name: str
    result: str = ""
    error: ErrorInfo | None = None
    duration: float = 0.0
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()
    usage: Usage | None = None
    parts: tuple[ContentPart, ...] = ()
    estimated_usage: Usage | None = None

    @property
    def content(self) -> str:
        """The text that the model sees."""
        return self.result
