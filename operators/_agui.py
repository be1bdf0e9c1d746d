"""Encode the events of a run as AG-UI 1.0.

Theory of operation. AG-UI has spans: a message, a thinking, a call, a step and a sub-agent are open
between two events. The client refuses content outside of its span, and the end of a run inside of
one. `AgentSpans` holds the open spans of one agent: the outer one, and each sub-agent by its path.
Our events have no ends of spans, so a span is closed by the event that begins another: text closes
thinking and thinking closes text; `TurnEnd` closes both; `ToolStart` closes the arguments. What is
left open at `Complete` is closed before it. After an error nothing is closed: `RUN_ERROR` is final.

A turn is one message: its text, which may go on after thinking, and its calls. A page sends these
messages again, and the results of a message's calls have to follow it.

A resumed run begins with the answers to the interrupts. The client has these calls from the run
before, so they are not sent again, only their results: AG-UI would append to their arguments.

AG-UI has no way to take text back. A `Reset` closes the spans and is sent as the custom event
`reset`, with the ids of the messages and calls of the turn that are void; where its `scope` is
`run`, all messages of the run before it are.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import msgspec
from msgspec import UNSET

from rxagents.core.event_base import Event
from rxagents.core.events import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    MessageOutcome,
    Partial,
    Reasoning,
    Reset,
    StreamEvent,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.messages import ToolCall
from rxagents.core.usage import Usage
from rxagents.operators import _agui_frames as frames
from rxagents.operators._agui_spans import AgentSpans
from rxagents.operators._encoding import Frame, data_frame, is_plain_text

_Path: TypeAlias = tuple[str, ...]


class AGUIEncoder:
    """Encodes the events of one stream.

    Args:
        thread_id: The id of the conversation.
        run_id: The id of the run. All other ids are made of it: those of messages, and those of
            further runs of the same stream.
    """

    def __init__(self, thread_id: str, run_id: str) -> None:
        self._thread_id = thread_id
        self._first_run_id = run_id
        self._run_id = ""
        self._runs = self._ids = 0
        self._is_running = self._has_failed = False
        self._agents: dict[_Path, AgentSpans] = {}
        self._calls: dict[_Path, str] = {}  # the latest call of each tool, by path and name
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event: no frame, one or several."""
        if self._has_failed:
            return b""
        if is_plain_text(event) and self._is_running and (message := self._agents[()].text):
            frame = frames.TextMessageContent(message, event.content)  # nearly all events of a run
            return data_frame(self._encode(frame))
        return b"".join(data_frame(self._encode(frame)) for frame in self._frames(event))

    def end(self) -> bytes:
        """Encode the end of a stream: a run without a `Complete` ends here."""
        return self.event(Complete()) if self._is_running or not self._runs else b""

    def _frames(self, event: StreamEvent) -> Iterator[Frame]:
        if not self._is_running:
            yield from self._start()
        for depth in range(1, len(event.path) + 1):
            yield from self._open_agent(event.path[:depth])
        agent = self._agents[event.path]
        match event:
            case ErrorEvent():
                yield from self._fail(event)
            case Complete():
                yield from self._complete(event, agent)
            case _:
                yield from _frames_of(event, agent)
        if isinstance(event, ToolStart | ApprovalRequest):
            self._calls[(*event.path, event.name)] = event.call_id

    def _start(self) -> Iterator[Frame]:
        self._is_running = True
        self._agents = {(): AgentSpans(UNSET, self._new_id)}
        self._runs += 1
        self._run_id = (
            self._first_run_id if self._runs == 1 else f"{self._first_run_id}-{self._runs}"
        )
        yield frames.RunStarted(self._thread_id, self._run_id, "1.0")

    def _new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{self._first_run_id}-{kind}-{self._ids}"

    def _open_agent(self, path: _Path) -> Iterator[Frame]:
        if path in self._agents:
            return
        agent_id = self._new_id("subagent")
        self._agents[path] = AgentSpans(agent_id, self._new_id)
        parent = self._agents[path[:-1]].id
        yield frames.SubagentStarted(agent_id, path[-1], parent, self._calls.get(path, UNSET))

    def _close_agents(self, path: _Path) -> Iterator[Frame]:
        """Close the sub-agents below `path`, the innermost first, and the spans of its own."""
        inner = [each for each in self._agents if each[: len(path)] == path and each != path]
        for each in sorted(inner, key=len, reverse=True):
            agent = self._agents.pop(each)
            yield from agent.close()
            yield frames.SubagentFinished(str(agent.id), frames.Outcome("success"))
        yield from self._agents[path].close()

    def _complete(self, event: Complete, agent: AgentSpans) -> Iterator[Frame]:
        if event.content and not agent.has_answered:
            yield from agent.text_frames(event.content)
        yield from self._close_agents(event.path)
        if event.path:
            del self._agents[event.path]
            yield frames.SubagentFinished(str(agent.id), frames.Outcome("success"))
            return
        yield frames.RunFinished(
            self._thread_id,
            self._run_id,
            _outcome(event),
            event.content or UNSET,
            UNSET if event.usage is None else [_counts(event.usage)],
        )
        self._is_running = False

    def _fail(self, event: ErrorEvent) -> Iterator[Frame]:
        if not event.path:
            self._has_failed = True
            yield frames.RunError(event.error.message, event.error.kind)
            return
        yield from self._close_agents(event.path)
        agent = self._agents.pop(event.path)
        yield frames.SubagentError(str(agent.id), event.error.message)


def _frames_of(event: Event, agent: AgentSpans) -> Iterator[Frame]:
    """Return the frames of an event that neither begins nor ends a run."""
    match event:
        case Token(section="thought"):
            yield from agent.reasoning_frames(event.content)
        case Token(section="action"):
            pass  # the text of a call, whose events follow
        case Token():
            agent.has_answered = True
            yield from agent.text_frames(event.content)
        case Reasoning():
            yield from agent.reasoning_frames(event.content)
        case TurnStart():
            yield from agent.close()
            agent.begin_turn()
            agent.step = f"turn {event.number}"
            yield frames.StepStarted(agent.step, agent.id)
        case TurnEnd():
            yield from agent.close()
        case Answer() if not agent.has_answered:
            agent.has_answered = True
            yield from agent.text_frames(event.content)
        case Partial():
            yield frames.StateSnapshot(event.value, agent.id)
        case Reset():
            yield from _reset(event, agent)
        case ApprovalAnswer():
            agent.know_call(event.call_id)
            yield frames.Custom(str(event.type), event, agent.id)
        case MessageOutcome() | ToolProgress():
            yield frames.Custom(str(event.type), event, agent.id)
        case ToolArguments() | ApprovalRequest() | ToolStart() | ToolEnd():
            yield from _call_frames(event, agent)


def _call_frames(
    event: ToolArguments | ApprovalRequest | ToolStart | ToolEnd, agent: AgentSpans
) -> Iterator[Frame]:
    call_id = event.call_id
    match event:
        case ToolArguments():
            yield from agent.open_call(call_id, event.name)
            if event.delta:
                yield frames.ToolCallArgs(call_id, event.delta, agent.id)
        case ApprovalRequest() | ToolStart():
            if not agent.knows_call(call_id):  # a text protocol has no events of its arguments
                yield from agent.open_call(call_id, event.name)
                arguments = msgspec.json.encode(event.arguments).decode()
                yield frames.ToolCallArgs(call_id, arguments, agent.id)
            yield from agent.close_call(call_id)
            if isinstance(event, ApprovalRequest):
                yield frames.Custom(str(event.type), event, agent.id)
        case ToolEnd():
            yield from agent.close_call(call_id)
            yield frames.ToolCallResult(
                agent.new_id("result"), call_id, event.result, "tool", agent.id
            )


def _reset(event: Reset, agent: AgentSpans) -> Iterator[Frame]:
    step, agent.step = agent.step, ""
    yield from agent.close()
    agent.step, void = step, agent.of_turn
    agent.begin_turn()
    value = {"ids": void, "scope": event.scope, "message": event.error.message}
    yield frames.Custom("reset", value, agent.id)


def _outcome(event: Complete) -> frames.Outcome:
    if event.finish_reason == "cancelled":
        return frames.Outcome("cancelled")
    if event.finish_reason == "approval":
        return frames.Outcome("interrupt", [_interrupt(call) for call in event.pending])
    return frames.Outcome("success")


def _interrupt(call: ToolCall) -> frames.Interrupt:
    question = f"Run the tool {call.name}?"
    return frames.Interrupt(call.id, "tool_call", question, call.id, frames.DECISION)


def _counts(usage: Usage) -> frames.TokenCounts:
    return frames.TokenCounts(
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        usage.reasoning_tokens,
        usage.cached_tokens,
    )
