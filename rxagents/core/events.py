"""Define the events of an agent's run: a tagged union of frozen Structs.

Events of every kind have `.type`, `.content`, `.data`, `.error` and `.timestamp`. Each kind has
typed fields of its own, for `match`. Events survive a JSON and a MessagePack round trip::

    msgspec.json.decode(msgspec.json.encode(event), type=StreamEvent)
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from msgspec import Struct, field, to_builtins

from rxagents.core import errors
from rxagents.core.errors import ProviderError, RxAgentsError
from rxagents.core.printing import printed
from rxagents.core.usage import Usage


class EventType(StrEnum):
    """The kinds of events."""

    TOKEN = "token"
    REASONING = "reasoning"
    THOUGHT = "thought"
    TOOL_START = "tool_start"
    TOOL_PROGRESS = "tool_progress"
    TOOL_END = "tool_end"
    ANSWER = "answer"
    RESET = "reset"
    COMPLETE = "complete"
    ERROR = "error"


class ErrorInfo(Struct, frozen=True):
    """An error as data; the exception itself travels in `on_error`.

    Attributes:
        kind: The name of the exception's class.
        message: What happened and what to do.
        provider: The provider's name; empty if none is involved.
        status: The HTTP status, or `None`.
        request_id: The provider's id for the request, or `None`.
        retryable: Whether trying again may help.
    """

    kind: str
    message: str
    provider: str = ""
    status: int | None = None
    request_id: str | None = None
    retryable: bool = False

    @classmethod
    def of(cls, error: BaseException) -> ErrorInfo:
        """Make the description of `error`."""
        kind, message = type(error).__name__, printed(error)
        if isinstance(error, ProviderError):
            return cls(
                kind, message, error.provider, error.status, error.request_id, error.retryable
            )
        return cls(kind, message)

    def exception(self) -> RxAgentsError:
        """Return an equivalent exception, of the same class if the library defines that class."""
        known = vars(errors).get(self.kind)
        if not (isinstance(known, type) and issubclass(known, RxAgentsError)):
            return RxAgentsError(f"{self.kind}: {self.message}")
        if not issubclass(known, ProviderError):
            return known(self.message)
        return known(
            self.message,
            provider=self.provider,
            status=self.status,
            request_id=self.request_id,
            retryable=self.retryable,
        )


class _Event(Struct, frozen=True, tag_field="type"):
    """The base class of events; it defines the fields and properties that all kinds share."""

    type: ClassVar[EventType]
    _common: ClassVar[frozenset[str]] = frozenset({"content", "error", "timestamp"})

    @property
    def data(self) -> dict[str, Any]:
        """The fields that are specific to this kind, as JSON-like values."""
        fields = {
            name: getattr(self, name) for name in self.__struct_fields__ if name not in self._common
        }
        return dict(to_builtins(fields))


class _ErrorFreeEvent(_Event, frozen=True):
    """The base class of the kinds that never carry an error."""

    @property
    def error(self) -> ErrorInfo | None:
        """Always `None` for this kind."""
        return None


class Token(_ErrorFreeEvent, frozen=True, tag="token"):
    """New text of the model.

    Attributes:
        content: The text.
        section: The part of the model's text that it belongs to, such as `"thought"`; may be
            empty.
    """

    type: ClassVar[EventType] = EventType.TOKEN
    content: str
    section: str = ""
    timestamp: float = field(default_factory=time.time)


class Reasoning(_ErrorFreeEvent, frozen=True, tag="reasoning"):
    """New thinking text, from a model that sends it apart from its answer.

    Attributes:
        content: The text.
    """

    type: ClassVar[EventType] = EventType.REASONING
    content: str
    timestamp: float = field(default_factory=time.time)


class Thought(_ErrorFreeEvent, frozen=True, tag="thought"):
    """A complete thought."""

    type: ClassVar[EventType] = EventType.THOUGHT
    content: str
    timestamp: float = field(default_factory=time.time)


class ToolStart(_ErrorFreeEvent, frozen=True, tag="tool_start"):
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

    @property
    def content(self) -> str:
        """The tool's name."""
        return self.name


class ToolProgress(_ErrorFreeEvent, frozen=True, tag="tool_progress"):
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


class ToolEnd(_Event, frozen=True, tag="tool_end"):
    """A tool call has ended.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        result: The text that the model sees.
        error: The tool's failure, or `None`.
        duration: Seconds that the call took.
    """

    type: ClassVar[EventType] = EventType.TOOL_END
    call_id: str
    name: str
    result: str = ""
    error: ErrorInfo | None = None
    duration: float = 0.0
    timestamp: float = field(default_factory=time.time)

    @property
    def content(self) -> str:
        """The text that the model sees."""
        return self.result


class Answer(_ErrorFreeEvent, frozen=True, tag="answer"):
    """The complete final answer."""

    type: ClassVar[EventType] = EventType.ANSWER
    content: str
    timestamp: float = field(default_factory=time.time)


class Reset(_Event, frozen=True, tag="reset"):
    """The stream starts again: discard all events before this one.

    Attributes:
        error: The error that caused the restart.
    """

    type: ClassVar[EventType] = EventType.RESET
    error: ErrorInfo
    timestamp: float = field(default_factory=time.time)

    @classmethod
    def of(cls, error: Exception) -> Reset:
        """Make the event for a restart that `error` caused."""
        return cls(ErrorInfo.of(error))

    @property
    def content(self) -> str:
        """The error's message."""
        return self.error.message


class Complete(_ErrorFreeEvent, frozen=True, tag="complete"):
    """The run has ended successfully.

    Attributes:
        content: The run's output.
        usage: Token counts, summed over all turns.
        iterations: The number of turns.
        finish_reason: The finish reason of the last turn.
    """

    type: ClassVar[EventType] = EventType.COMPLETE
    content: str = ""
    usage: Usage | None = None
    iterations: int = 0
    finish_reason: str = ""
    timestamp: float = field(default_factory=time.time)


class ErrorEvent(_Event, frozen=True, tag="error"):
    """The run failed; `on_error` follows with the exception.

    It is not called `Error`, so that nobody writes `except rxagents.Error`.
    """

    type: ClassVar[EventType] = EventType.ERROR
    error: ErrorInfo
    timestamp: float = field(default_factory=time.time)

    @property
    def content(self) -> str:
        """The error's message."""
        return self.error.message


StreamEvent: TypeAlias = (
    Token
    | Reasoning
    | Thought
    | ToolStart
    | ToolProgress
    | ToolEnd
    | Answer
    | Reset
    | Complete
    | ErrorEvent
)
