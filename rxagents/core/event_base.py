"""Define what the events of all kinds share, and errors as data."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

from msgspec import Struct, to_builtins

from rxagents.core import errors
from rxagents.core.errors import ProviderError, RxAgentsError
from rxagents.core.printing import printed


class EventType(StrEnum):
    """The kinds of events."""

    TOKEN = "token"
    REASONING = "reasoning"
    THOUGHT = "thought"
    TURN_START = "turn_start"
    TURN_END = "turn_end"
    TOOL_ARGUMENTS = "tool_arguments"
    APPROVAL_REQUEST = "approval_request"
    APPROVAL_ANSWER = "approval_answer"
    TOOL_START = "tool_start"
    TOOL_PROGRESS = "tool_progress"
    TOOL_END = "tool_end"
    PARTIAL = "partial"
    ANSWER = "answer"
    HANDOFF = "handoff"
    RESET = "reset"
    MESSAGE = "message"
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


class Event(Struct, frozen=True, tag_field="type"):
    """The base class of events; it defines the fields and properties that all kinds share."""

    type: ClassVar[EventType]
    _common: ClassVar[frozenset[str]] = frozenset({"content", "error", "timestamp", "path"})

    @property
    def data(self) -> dict[str, Any]:
        """The fields that are specific to this kind, as JSON-like values."""
        names = (name for name in self.__struct_fields__ if name not in self._common)
        fields = {name: getattr(self, name) for name in names}
        return {
            name: to_builtins(list(value) if isinstance(value, tuple) else value)
            for name, value in fields.items()
        }


class ErrorFreeEvent(Event, frozen=True):
    """The base class of the kinds that never carry an error."""

    @property
    def error(self) -> ErrorInfo | None:
        """Always `None` for this kind."""
        return None
