"""Find the calls that wait for a decision at the end of a conversation, and answer them.

Theory of operation. A run with `approve="defer"` ends when calls wait. All that another process
needs to go on is in its messages, so that they are the only thing to store:

- The model's message with all calls of the turn, and the results of the calls that have run, in the
  order of the calls. Also a `ReActAgent`, whose model reads calls and results as text, leaves them
  in this form; `in_own_form` turns them into text when they are answered.
- A call without a result waits. Nothing but results follows the message.
- The message is marked (`provider_data["agent"]`, which no wire sends) with what the run has used,
  so that its limits and its usage go on. The mark is removed when the calls are answered.

There are two ways to answer: `resume` with decisions, or a new message of the user, after which
the calls are denied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from rxagents.core.approval import Approve, Decisions, Deny
from rxagents.core.errors import ConfigurationError
from rxagents.core.events import ToolEnd
from rxagents.core.messages import Message, ToolCall, ToolResult
from rxagents.core.usage import Usage
from rxagents.runtime.tool_execution.approval import denied

OwnForm: TypeAlias = Callable[[Sequence[Message]], Sequence[Message]]
"""Returns calls and results in the form that an agent's model reads."""

_SUPERSEDED = "denied: superseded by a new message of the user"

_MARK = "deferred"


class RunCounts(Struct, frozen=True, omit_defaults=True):
    """Count what a run used before it was deferred.

    Attributes:
        iterations: The number of turns.
        tool_calls: The number of tool calls that have started.
        usage: Token counts.
        estimated_usage: Estimated counts.
        handoffs: The names of the handoffs that it has followed.
    """

    iterations: int = 0
    tool_calls: int = 0
    usage: Usage | None = None
    estimated_usage: Usage | None = None
    handoffs: tuple[str, ...] = ()


class WaitingCalls(Struct, frozen=True):
    """The calls of one turn, some of which wait for a decision.

    Attributes:
        before: The messages before the turn.
        message: The model's message, without its mark.
        results: The results of the calls that have run, by call id.
        counts: What the run has used.
    """

    before: tuple[Message, ...]
    message: Message
    results: dict[str, Message]
    counts: RunCounts

    @property
    def calls(self) -> tuple[ToolCall, ...]:
        """The calls that wait."""
        return tuple(call for call in self.message.tool_calls if call.id not in self.results)

    def answered(self, result_of: Callable[[ToolCall], Message]) -> list[Message]:
        """Return the model's message and the results of all its calls, in their order.

        Args:
            result_of: Returns the result of a call that waits.
        """
        calls = self.message.tool_calls
        return [self.message, *(self.results.get(call.id) or result_of(call) for call in calls)]


def result_message(call: ToolCall, end: ToolEnd) -> Message:
    """Return the message with the result of a call."""
    failed = end.error is not None
    return Message.tool(call.id, end.parts or end.result, name=call.name, is_error=failed)


def marked_as_deferred(message: Message, counts: RunCounts) -> Message:
    """Return the model's message with the mark of a run that waits."""
    counts = replace(
        counts,
        usage=_without_raw(counts.usage),
        estimated_usage=_without_raw(counts.estimated_usage),
    )
    mark = {"agent": {_MARK: msgspec.to_builtins(counts)}}
    return replace(message, provider_data={**message.provider_data, **mark})


def waiting_calls(messages: Sequence[Message]) -> WaitingCalls | None:
    """Return the calls that wait at the end of a conversation; `None` if none does."""
    end = len(messages)
    while end and messages[end - 1].role == "tool":
        end -= 1
    if not end or not messages[end - 1].tool_calls:
        return None
    message = messages[end - 1]
    results = {
        part.call_id: result
        for result in messages[end:]
        for part in result.parts
        if isinstance(part, ToolResult)
    }
    waiting = WaitingCalls(
        tuple(messages[: end - 1]), _without_mark(message), results, _counts_of(message)
    )
    return waiting if waiting.calls else None


def checked_decisions(messages: Sequence[Message], decisions: Decisions) -> WaitingCalls:
    """Return the calls that wait, after a check that there is a decision for each of them.

    Raises:
        ConfigurationError: No call waits, a decision is missing, is for another call, or is none.
    """
    waiting = waiting_calls(messages)
    if waiting is None:
        raise ConfigurationError(
            "There is nothing to resume: no call waits for approval at the end of the messages. "
            "Pass the messages of a result whose finish_reason is 'approval'."
        )
    if not isinstance(decisions, Mapping):
        raise ConfigurationError(
            f"decisions must be a dict of call ids, not {type(decisions).__name__}."
        )
    ids = [call.id for call in waiting.calls]
    missing = [each for each in ids if each not in decisions]
    unknown = [each for each in decisions if each not in ids]
    if missing or unknown:
        wrong = [f"{missing} have no decision"] if missing else []
        wrong += [f"{unknown} do not wait"] if unknown else []
        raise ConfigurationError(
            f"decisions must have one decision for each call that waits, which are {ids}: "
            f"{' and '.join(wrong)}."
        )
    for call_id, decision in decisions.items():
        if not isinstance(decision, bool | Approve | Deny):
            raise ConfigurationError(
                f"The decision about {call_id!r} must be True, False, Approve or Deny, not "
                f"{decision!r}."
            )
    return waiting


def superseded(messages: Sequence[Message], in_own_form: OwnForm) -> tuple[Message, ...]:
    """Return messages in which calls that waited before a new message are denied.

    Args:
        messages: The conversation.
        in_own_form: Returns the calls and results in the form that the agent's model reads.

    Raises:
        ConfigurationError: No message follows the calls.
    """
    start = next((n for n, each in enumerate(messages) if is_deferred(each)), len(messages))
    end = start + 1
    while end < len(messages) and messages[end].role == "tool":
        end += 1
    waiting = waiting_calls(messages[:end])
    if start == len(messages) or waiting is None:
        return tuple(messages)
    if end == len(messages):
        raise ConfigurationError(
            f"The calls {[call.id for call in waiting.calls]} wait for approval. Pass the messages "
            "and the decisions to resume, or add a message of the user, which denies the calls."
        )
    answered = waiting.answered(lambda call: result_message(call, denied(call, _SUPERSEDED)))
    return (*waiting.before, *in_own_form(answered), *messages[end:])


def is_deferred(message: Message) -> bool:
    """Return whether calls of the message waited when its run ended."""
    return _mark_of(message) is not None


def _without_raw(usage: Usage | None) -> Usage | None:
    return usage and replace(usage, raw={})


def _mark_of(message: Message) -> Any:
    mark = message.provider_data.get("agent")
    return mark.get(_MARK) if isinstance(mark, dict) else None


def _without_mark(message: Message) -> Message:
    if not is_deferred(message):
        return message
    data = {wire: value for wire, value in message.provider_data.items() if wire != "agent"}
    return replace(message, provider_data=data)


def _counts_of(message: Message) -> RunCounts:
    """Return the counts in a mark; without a mark they start with the turn of the message.

    Raises:
        ConfigurationError: The mark is not as `marked_as_deferred` makes it.
    """
    mark = _mark_of(message)
    if mark is None:
        return RunCounts(iterations=1)
    try:
        return msgspec.convert(mark, RunCounts)
    except msgspec.ValidationError as error:
        raise ConfigurationError(
            f"The messages are not those of a run that waits: {error}. Pass them as they are in "
            "AgentResult.messages."
        ) from error
