"""Define the events of an agent's run: a tagged union of frozen Structs.

Events of every kind have `.type`, `.content`, `.data`, `.error`, `.timestamp` and `.path`. The path
names the sub-agent that an event comes from, the outermost first; it is empty for the run itself.
Each kind has typed fields of its own, for `match`. Events survive a JSON and a MessagePack round
trip::

    msgspec.json.decode(msgspec.json.encode(event), type=StreamEvent)

All kinds are imported from here; those of tool calls are defined in `tool_events`.
"""

from __future__ import annotations

import time
from typing import Any, ClassVar, Literal, TypeAlias

import msgspec
from msgspec import field

from rxagents.core.event_base import ErrorFreeEvent, ErrorInfo, Event, EventType
from rxagents.core.messages import ToolCall
from rxagents.core.tool_events import (
    ApprovalAnswer,
    ApprovalRequest,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
)
from rxagents.core.usage import Usage

__all__ = [
    "Answer",
    "ApprovalAnswer",
    "ApprovalRequest",
    "Complete",
    "ErrorEvent",
    "ErrorInfo",
    "EventType",
    "Handoff",
    "MessageOutcome",
    "Outcome",
    "Partial",
    "Reasoning",
    "Reset",
    "StreamEvent",
    "Thought",
    "Token",
    "ToolArguments",
    "ToolEnd",
    "ToolProgress",
    "ToolStart",
    "TurnEnd",
    "TurnStart",
]


class TurnStart(ErrorFreeEvent, frozen=True, tag="turn_start"):
    """A turn starts: the model is asked.

    Attributes:
        number: The number of the turn in its run, from 1.
    """

    type: ClassVar[EventType] = EventType.TURN_START
    number: int
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Always empty for this kind."""
        return ""


class TurnEnd(ErrorFreeEvent, frozen=True, tag="turn_end"):
    """A turn has ended: the model's response and all tools that it called.

    A turn that fails has no such event.

    Attributes:
        number: The number of the turn in its run, from 1.
        finish_reason: The finish reason of the model's response.
        usage: The token counts of the turn; `None` if the provider sent none. They are estimates
            (`usage.estimated`) if the turn was ended before the provider sent its counts.
    """

    type: ClassVar[EventType] = EventType.TURN_END
    number: int
    finish_reason: str = ""
    usage: Usage | None = None
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """Always empty for this kind."""
        return ""


class Token(ErrorFreeEvent, frozen=True, tag="token", gc=False):
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
    path: tuple[str, ...] = ()


class Reasoning(ErrorFreeEvent, frozen=True, tag="reasoning", gc=False):
    """New thinking text, from a model that sends it apart from its answer.

    Attributes:
        content: The text.
    """

    type: ClassVar[EventType] = EventType.REASONING
    content: str
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()


class Thought(ErrorFreeEvent, frozen=True, tag="thought"):
    """A complete thought."""

    type: ClassVar[EventType] = EventType.THOUGHT
    content: str
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()


class Partial(ErrorFreeEvent, frozen=True, tag="partial"):
    """A structured answer as far as the model has written it.

    Attributes:
        value: The object so far, as JSON-like values.
    """

    type: ClassVar[EventType] = EventType.PARTIAL
    value: Any
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The object so far, as JSON text."""
        return msgspec.json.encode(self.value).decode()


class Answer(ErrorFreeEvent, frozen=True, tag="answer"):
    """The complete final answer."""

    type: ClassVar[EventType] = EventType.ANSWER
    content: str
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()


class Handoff(ErrorFreeEvent, frozen=True, tag="handoff"):
    """The run goes on with another agent; the events that follow are of it.

    Attributes:
        name: The name of the tool that handed the run over.
    """

    type: ClassVar[EventType] = EventType.HANDOFF
    name: str
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The name of the tool."""
        return self.name


class Reset(Event, frozen=True, tag="reset"):
    """The stream starts again: discard the events before this one.

    Attributes:
        error: The error that caused the restart.
        scope: Which events are void: those of the present `"turn"`, or all of the `"run"`, of which
            another attempt begins.
    """

    type: ClassVar[EventType] = EventType.RESET
    error: ErrorInfo
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()
    scope: Literal["turn", "run"] = "turn"

    @classmethod
    def of(cls, error: Exception, scope: Literal["turn", "run"] = "turn") -> Reset:
        """Make the event for a restart that `error` caused."""
        return cls(ErrorInfo.of(error), scope=scope)

    @property
    def content(self) -> str:
        """The error's message."""
        return self.error.message


Outcome: TypeAlias = Literal["queued", "delivered", "superseded", "ignored"]


class MessageOutcome(ErrorFreeEvent, frozen=True, tag="message"):
    """The outcome of a message that was sent to an agent, from `operators.converse`.

    Attributes:
        content: The text of the message.
        outcome: `"queued"`: it waits for a run, or for the next turn of one; `"delivered"`: its run
            or turn starts; `"superseded"`: a later message ended its run, or its waiting;
            `"ignored"`: it was dropped.
        number: The number of the message in its stream, from 0.
        position: Its place among the waiting messages, from 1; 0 if it does not wait.
    """

    type: ClassVar[EventType] = EventType.MESSAGE
    content: str
    outcome: Outcome
    number: int
    position: int = 0
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()


class Complete(ErrorFreeEvent, frozen=True, tag="complete"):
    """The run has ended successfully.

    Attributes:
        content: The run's output.
        usage: Token counts, summed over all turns.
        iterations: The number of turns.
        finish_reason: The finish reason of the last turn; `"cancelled"` if the run was stopped,
            `"limit"` if its answer is from a last turn at a limit (`at_limit="answer"`),
            `"approval"` if calls wait for decisions.
        estimated_usage: Estimated counts of turns that were ended before the provider sent theirs.
            `usage` does not contain them.
        pending: The calls that wait for decisions; see `approve="defer"`.
    """

    type: ClassVar[EventType] = EventType.COMPLETE
    content: str = ""
    usage: Usage | None = None
    iterations: int = 0
    finish_reason: str = ""
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()
    estimated_usage: Usage | None = None
    pending: tuple[ToolCall, ...] = ()


class ErrorEvent(Event, frozen=True, tag="error"):
    """The run failed; `on_error` follows with the exception.

    It is not called `Error`, so that nobody writes `except rxagents.Error`.
    """

    type: ClassVar[EventType] = EventType.ERROR
    error: ErrorInfo
    timestamp: float = field(default_factory=time.time)
    path: tuple[str, ...] = ()

    @property
    def content(self) -> str:
        """The error's message."""
        return self.error.message


StreamEvent: TypeAlias = (
    Token
    | Reasoning
    | Thought
    | TurnStart
    | TurnEnd
    | ToolArguments
    | ApprovalRequest
    | ApprovalAnswer
    | ToolStart
    | ToolProgress
    | ToolEnd
    | Partial
    | Answer
    | Handoff
    | Reset
    | MessageOutcome
    | Complete
    | ErrorEvent
)
