"""Define the chunks of Vercel's UI message stream, version 1, that the encoder sends.

Source: `src/ui-message-stream/ui-message-chunks.ts` of the package `ai` 7.0. A field that is UNSET
is left out. Tools are `dynamic`: the page does not know their types.
"""

from __future__ import annotations

from typing import Any

from msgspec import UNSET, UnsetType

from rxagents.operators._encoding import Frame


class Start(Frame, frozen=True, tag="start"):
    """A message begins."""

    message_id: str


class StartStep(Frame, frozen=True, tag="start-step"):
    """A turn begins."""


class FinishStep(Frame, frozen=True, tag="finish-step"):
    """A turn has ended."""


class ResetStep(Frame, frozen=True, tag="reset-step"):
    """The parts of this turn are void."""


class TextStart(Frame, frozen=True, tag="text-start"):
    """A text begins."""

    id: str


class TextDelta(Frame, frozen=True, tag="text-delta"):
    """New text."""

    id: str
    delta: str


class TextEnd(Frame, frozen=True, tag="text-end"):
    """A text is complete."""

    id: str


class ReasoningStart(Frame, frozen=True, tag="reasoning-start"):
    """Thinking begins."""

    id: str


class ReasoningDelta(Frame, frozen=True, tag="reasoning-delta"):
    """New thinking text."""

    id: str
    delta: str


class ReasoningEnd(Frame, frozen=True, tag="reasoning-end"):
    """Thinking has ended."""

    id: str


class ToolInputStart(Frame, frozen=True, tag="tool-input-start"):
    """A call begins to be written."""

    tool_call_id: str
    tool_name: str
    dynamic: bool = True


class ToolInputDelta(Frame, frozen=True, tag="tool-input-delta"):
    """New text of a call's arguments."""

    tool_call_id: str
    input_text_delta: str


class ToolInputAvailable(Frame, frozen=True, tag="tool-input-available"):
    """A call is written."""

    tool_call_id: str
    tool_name: str
    input: dict[str, Any]
    dynamic: bool = True


class ToolApprovalRequest(Frame, frozen=True, tag="tool-approval-request"):
    """A call waits for a decision."""

    approval_id: str
    tool_call_id: str


class ToolApprovalResponse(Frame, frozen=True, tag="tool-approval-response"):
    """The decision is there."""

    approval_id: str
    approved: bool
    reason: str | UnsetType = UNSET


class ToolOutputAvailable(Frame, frozen=True, tag="tool-output-available"):
    """The result of a call, or its progress (`preliminary`)."""

    tool_call_id: str
    output: str
    dynamic: bool = True
    preliminary: bool | UnsetType = UNSET


class ToolOutputError(Frame, frozen=True, tag="tool-output-error"):
    """A call has failed."""

    tool_call_id: str
    error_text: str
    dynamic: bool = True


class ToolOutputDenied(Frame, frozen=True, tag="tool-output-denied"):
    """A call was not approved."""

    tool_call_id: str


class DataPartial(Frame, frozen=True, tag="data-partial"):
    """The structured answer so far; each replaces the one before, which has the same id."""

    id: str
    data: Any


class DataSubagent(Frame, frozen=True, tag="data-subagent"):
    """An event of a sub-agent, which the page does not keep."""

    data: Any
    transient: bool = True


class DataMessage(Frame, frozen=True, tag="data-message"):
    """The outcome of a user's message."""

    data: Any
    transient: bool = True


class Finish(Frame, frozen=True, tag="finish"):
    """The message is complete."""

    finish_reason: str
    message_metadata: dict[str, Any] | UnsetType = UNSET


class Abort(Frame, frozen=True, tag="abort"):
    """The run was stopped."""

    reason: str


class Error(Frame, frozen=True, tag="error"):
    """The run has failed."""

    error_text: str
