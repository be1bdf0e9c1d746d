"""Make messages and estimated usage of a turn that was ended early."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from msgspec.structs import replace

from rxagents.agents.waiting import result_message
from rxagents.core.errors import ToolError
from rxagents.core.events import ErrorInfo, ToolEnd
from rxagents.core.exchange import message_text
from rxagents.core.messages import Message, Part, TextPart, ToolCall
from rxagents.core.response import Response
from rxagents.core.token_estimate import estimated_tokens
from rxagents.core.usage import Usage
from rxagents.runtime.tool_execution.approval import denied

if TYPE_CHECKING:
    from rxagents.agents.turn import Turn

_MARK = {"agent": {"is_partial": True}}
"""The `provider_data` of a message that the model did not finish. No wire sends it."""

UNFINISHED = (
    "The run was stopped before this call ended. The tool may have done its work, or a part of it."
)
"""The result, for the model, of a call that was running when its turn was ended."""

_NOT_STARTED = "the run was stopped before its tool started"


def is_partial(message: Message) -> bool:
    """Return whether the model was stopped while it wrote `message`."""
    return message.provider_data.get("agent") == _MARK["agent"]


def marked(message: Message) -> Message:
    """Return `message`, marked as partial."""
    return replace(message, provider_data={**message.provider_data, **_MARK})


def partial_messages(turn: Turn) -> list[Message]:
    """Return what a turn has written so far, and its calls that have started, with results.

    Reasoning is kept only before calls: it was whole then, and providers want it back with them.
    """
    response = turn.response()
    started = {call.call_id for call in turn.calls}
    parts: list[Part] = [
        part
        for part in response.message.parts
        if (part.id in started if isinstance(part, ToolCall) else started)
    ]
    written = "" if started else turn.written()
    if written:
        parts = [TextPart(written)]
    if not parts:
        return []
    message = marked(replace(response.message, parts=tuple(parts)))
    ends = [(call, end_of(turn, call)) for call in message.tool_calls]
    return [message, *(result_message(call, end) for call, end in ends)]


def turn_so_far(turn: Turn) -> list[Message]:
    """Return the model's message with the calls that have started, and the results so far.

    A call that has no result has started, and has not ended. Without calls, the text so far.
    """
    started = started_calls(turn)
    if not started:
        return partial_messages(turn)
    message = turn.response().message
    parts = [part for part in message.parts if not isinstance(part, ToolCall) or part.id in started]
    return with_results(marked(replace(message, parts=tuple(parts))), turn)


def started_calls(turn: Turn) -> set[str]:
    """Return the ids of the calls that have started or ended; a call may wait for its approval."""
    waiting = {call.call_id for call in turn.waiting}
    return {call.call_id for call in turn.calls if call.call_id not in waiting}


def with_results(message: Message, turn: Turn) -> list[Message]:
    """Return a message with calls of a turn, and the results of those that have ended."""
    ends = [(call, turn.results.get(call.id)) for call in message.tool_calls]
    return [message, *(result_message(call, end) for call, end in ends if end is not None)]


def end_of(turn: Turn, call: ToolCall) -> ToolEnd:
    """Return how a call of a turn that is ended early has ended, or what the model sees instead."""
    end = turn.results.get(call.id)
    if end is not None:
        return end
    waits = any(waiting.call_id == call.id for waiting in turn.waiting)
    if waits or all(started.call_id != call.id for started in turn.calls):
        return denied(call, _NOT_STARTED)
    return ToolEnd(call.id, call.name, UNFINISHED, ErrorInfo.of(ToolError(UNFINISHED)))


def is_counted(response: Response) -> bool:
    """Return whether the provider has sent the counts of the whole response."""
    return bool(response.finish_reason) and response.usage is not None


def estimated_usage(sent: Sequence[Message], response: Response) -> Usage:
    """Estimate the usage of a response that was stopped.

    The count of the prompt is the provider's where it came with the beginning of the stream.

    Args:
        sent: The messages of the request.
        response: What has arrived.
    """
    known = response.usage or Usage()
    called = "".join(f"{call.name} {call.arguments}" for call in response.tool_calls)
    output = estimated_tokens(response.reasoning + response.content + called)
    prompt = known.input_tokens
    if prompt is None:
        prompt = sum(estimated_tokens(message_text(message)) for message in sent)
    return Usage(prompt, output, prompt + output, raw=known.raw, estimated=True)
