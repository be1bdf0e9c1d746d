"""What an agent's run tells: a tagged union of frozen Structs with a common face.

Every event has `.type`, `.content`, `.data`, `.error` and `.timestamp`, whatever its kind, and
typed fields of its own for `match`. Events survive a JSON and a MessagePack round trip::

    msgspec.json.decode(msgspec.json.encode(event), type=StreamEvent)
"""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Any, ClassVar, TypeAlias

from msgspec import Struct, field, to_builtins

from rxagents.core import errors
from rxagents.core.errors import ProviderError, RxAgentsError
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
        provider: The provider's name; empty where none is involved.
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
        """Describe `error`."""
        kind, message = type(error).__name__, str(error)
        if isinstance(error, ProviderError):
            return cls(
                kind, message, error.provider, error.status, error.request_id, error.retryable
            )
        return cls(kind, message)

    def exception(self) -> RxAgentsError:
        """Return an exception that says the same, of the same class if it is the library's."""
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
    """The common face. A kind that has no `content` or `error` of its own has an empty one."""

    type: ClassVar[EventType]
    _common: ClassVar[frozenset[str]] = frozenset({"content", "error", "timestamp"})

    @property
    def data(self) -> dict[str, Any]:
        """The fields that only this kind has, as JSON-like values."""
        fields = {
            name: getattr(self, name) for name in self.__struct_fields__ if name not in self._common
        }
        return dict(to_builtins(fields))


class _Told(_Event, frozen=True):
    """An event that cannot carry an error."""

    @property
    def error(self) -> ErrorInfo | None:
        """Always `None` for this kind."""
        return None


class Token(_Told, frozen=True, tag="token"):
    """New text of the model.

    Attributes:
        content: The text.
        section: Which part of the answer it belongs to, such as `"thought"`; may be empty.
    """

    type: ClassVar[EventType] = EventType.TOKEN
    content: str
    section: str = ""
    timestamp: float = field(default_factory=time.time)


class Reasoning(_Told, frozen=True, tag="reasoning"):
    """New thinking text, from a model that thinks apart from its answer.

    Attributes:
        content: The text.
    """

    type: ClassVar[EventType] = EventType.REASONING
    content: str
    timestamp: float = field(default_factory=time.time)


class Thought(_Told, frozen=True, tag="thought"):
    """A whole thought."""

    type: ClassVar[EventType] = EventType.THOUGHT
    content: str
    timestamp: float = field(default_factory=time.time)


class ToolStart(_Told, frozen=True, tag="tool_start"):
    """A tool starts.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        arguments: The arguments it is called with.
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


class ToolProgress(_Told, frozen=True, tag="tool_progress"):
    """A tool tells how far it is.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        content: What it tells; what is no `str` is rendered as JSON.
    """

    type: ClassVar[EventType] = EventType.TOOL_PROGRESS
    call_id: str
    name: str
    content: str
    timestamp: float = field(default_factory=time.time)


class ToolEnd(_Event, frozen=True, tag="tool_end"):
    """A tool has ended.

    Attributes:
        call_id: The id of the call.
        name: The tool's name.
        result: The text the model sees.
        error: What went wrong, or `None`.
        duration: Seconds it took.
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
        """The text the model sees."""
        return self.result


class Answer(_Told, frozen=True, tag="answer"):
    """The final answer, whole."""

    type: ClassVar[EventType] = EventType.ANSWER
    content: str
    timestamp: float = field(default_factory=time.time)


class Reset(_Event, frozen=True, tag="reset"):
    """What came before this event is void: the stream starts again.

    Attributes:
        error: What it failed with.
    """

    type: ClassVar[EventType] = EventType.RESET
    error: ErrorInfo
    timestamp: float = field(default_factory=time.time)

    @classmethod
    def of(cls, error: Exception) -> Reset:
        """Tell that `error` made the stream start again."""
        return cls(ErrorInfo.of(error))

    @property
    def content(self) -> str:
        """The error's message."""
        return self.error.message


class Complete(_Told, frozen=True, tag="complete"):
    """The run is over and went well.

    Attributes:
        content: The run's output.
        usage: Token counts, over all turns.
        iterations: How many turns it took.
        finish_reason: Why the last turn ended.
    """

    type: ClassVar[EventType] = EventType.COMPLETE
    content: str = ""
    usage: Usage | None = None
    iterations: int = 0
    finish_reason: str = ""
    timestamp: float = field(default_factory=time.time)


class ErrorEvent(_Event, frozen=True, tag="error"):
    """The run failed; `on_error` follows with the exception.

    Named apart from the other kinds so that nobody writes `except rxagents.Error`.
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
