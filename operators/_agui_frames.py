"""Define the events of AG-UI 1.0 that the encoder sends.

Source: the schemas of ag-ui-protocol 1.0.0. A field that is UNSET is left out: the clients refuse
`null`. `subagent_run_id` names the sub-agent that an event comes from.
"""

from __future__ import annotations

from typing import Any, Final, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from rxagents.operators._encoding import Frame

Optional: TypeAlias = str | UnsetType


class RunStarted(Frame, frozen=True, tag="RUN_STARTED"):
    """A run begins."""

    thread_id: str
    run_id: str
    protocol_version: str


class TokenCounts(Struct, frozen=True, rename="camel", omit_defaults=True):
    """The token counts of a run."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    total_tokens: int | None = None
    reasoning_tokens: int | None = None
    cached_input_tokens: int | None = None


DECISION: Final = {
    "type": "object",
    "properties": {
        "approved": {"type": "boolean"},
        "editedArgs": {
            "type": "object",
            "description": "All arguments to run the tool with, in place of the model's.",
        },
        "reason": {"type": "string", "description": "Why the call is denied, for the model."},
    },
    "required": ["approved"],
}
"""The JSON schema of the answer to an interrupt; `editedArgs` says that a page may edit them."""


class Interrupt(Struct, frozen=True, rename="camel"):
    """A call that waits for a decision."""

    id: str
    reason: str
    message: str
    tool_call_id: str
    response_schema: dict[str, Any]


class Outcome(Struct, frozen=True):
    """How a run has ended: `success`, `interrupt` or `cancelled`."""

    type: str
    interrupts: list[Interrupt] | UnsetType = UNSET


class RunFinished(Frame, frozen=True, tag="RUN_FINISHED"):
    """A run has ended well."""

    thread_id: str
    run_id: str
    outcome: Outcome
    result: Optional = UNSET
    usage: list[TokenCounts] | UnsetType = UNSET


class RunError(Frame, frozen=True, tag="RUN_ERROR"):
    """A run has failed; the last event."""

    message: str
    code: str


class StepStarted(Frame, frozen=True, tag="STEP_STARTED"):
    """A turn begins."""

    step_name: str
    subagent_run_id: Optional = UNSET


class StepFinished(Frame, frozen=True, tag="STEP_FINISHED"):
    """A turn has ended."""

    step_name: str
    subagent_run_id: Optional = UNSET


class TextMessageStart(Frame, frozen=True, tag="TEXT_MESSAGE_START"):
    """A message begins."""

    message_id: str
    role: str
    subagent_run_id: Optional = UNSET


class TextMessageContent(Frame, frozen=True, tag="TEXT_MESSAGE_CONTENT"):
    """New text of a message."""

    message_id: str
    delta: str
    subagent_run_id: Optional = UNSET


class TextMessageEnd(Frame, frozen=True, tag="TEXT_MESSAGE_END"):
    """A message is complete."""

    message_id: str
    subagent_run_id: Optional = UNSET


class ReasoningStart(Frame, frozen=True, tag="REASONING_START"):
    """Thinking begins."""

    message_id: str
    subagent_run_id: Optional = UNSET


class ReasoningMessageStart(Frame, frozen=True, tag="REASONING_MESSAGE_START"):
    """A message of thinking begins."""

    message_id: str
    role: str
    subagent_run_id: Optional = UNSET


class ReasoningMessageContent(Frame, frozen=True, tag="REASONING_MESSAGE_CONTENT"):
    """New thinking text."""

    message_id: str
    delta: str
    subagent_run_id: Optional = UNSET


class ReasoningMessageEnd(Frame, frozen=True, tag="REASONING_MESSAGE_END"):
    """A message of thinking is complete."""

    message_id: str
    subagent_run_id: Optional = UNSET


class ReasoningEnd(Frame, frozen=True, tag="REASONING_END"):
    """Thinking has ended."""

    message_id: str
    subagent_run_id: Optional = UNSET


class ToolCallStart(Frame, frozen=True, tag="TOOL_CALL_START"):
    """A call begins to be written."""

    tool_call_id: str
    tool_call_name: str
    parent_message_id: str
    subagent_run_id: Optional = UNSET


class ToolCallArgs(Frame, frozen=True, tag="TOOL_CALL_ARGS"):
    """New text of a call's arguments."""

    tool_call_id: str
    delta: str
    subagent_run_id: Optional = UNSET


class ToolCallEnd(Frame, frozen=True, tag="TOOL_CALL_END"):
    """A call is written."""

    tool_call_id: str
    subagent_run_id: Optional = UNSET


class ToolCallResult(Frame, frozen=True, tag="TOOL_CALL_RESULT"):
    """The result of a call."""

    message_id: str
    tool_call_id: str
    content: str
    role: str
    subagent_run_id: Optional = UNSET


class SubagentStarted(Frame, frozen=True, tag="SUBAGENT_STARTED"):
    """A sub-agent begins."""

    subagent_run_id: str
    name: str
    parent_subagent_run_id: Optional = UNSET
    parent_tool_call_id: Optional = UNSET


class SubagentFinished(Frame, frozen=True, tag="SUBAGENT_FINISHED"):
    """A sub-agent has ended well."""

    subagent_run_id: str
    outcome: Outcome


class SubagentError(Frame, frozen=True, tag="SUBAGENT_ERROR"):
    """A sub-agent has failed."""

    subagent_run_id: str
    message: str


class StateSnapshot(Frame, frozen=True, tag="STATE_SNAPSHOT"):
    """The structured answer so far."""

    snapshot: Any
    subagent_run_id: Optional = UNSET


class Custom(Frame, frozen=True, tag="CUSTOM"):
    """An event of ours that AG-UI has no kind for, under our name."""

    name: str
    value: Any
    subagent_run_id: Optional = UNSET
