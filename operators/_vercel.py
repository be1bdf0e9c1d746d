"""Encode the events of a run as Vercel's UI message stream, version 1.

Theory of operation. A stream is one message of the assistant. Text and thinking are spans: the
client refuses a delta outside of its span. A span ends where another begins, and at `TurnEnd`. The
protocol has no nested agents: their events are sent as transient data, and the page may show them.

A `Reset` is `reset-step`, which drops the parts of the turn, so no span is closed before it.
Nothing drops the parts of earlier turns: where another attempt of the whole run begins after them,
the stream ends with an error, and the page loads the message again.

The stream ends with `finish`, `abort` (the run was stopped) or `error`, and then `[DONE]`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import msgspec
from msgspec import UNSET

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
from rxagents.operators import _vercel_frames as frames
from rxagents.operators._encoding import Frame, data_frame, is_plain_text

_DONE: Final = data_frame(b"[DONE]")

_FINISH_REASONS: Final = {
    "": "other",
    "stop": "stop",
    "length": "length",
    "content_filter": "content-filter",
    "tool_calls": "tool-calls",
    "approval": "tool-calls",
}


class VercelEncoder:
    """Encodes the events of one stream.

    Args:
        message_id: The id of the message.
    """

    def __init__(self, message_id: str) -> None:
        self._message_id = message_id
        self._is_started = self._has_ended = self._has_answered = False
        self._in_step = False
        self._steps = 0
        self._open = ""  # "text", "reasoning" or nothing
        self._span = 0
        self._calls: set[str] = set()  # those whose input has begun
        self._given: set[str] = set()  # those whose input is available
        self._denied: set[str] = set()
        self._last: Frame | None = None
        self._encode = msgspec.json.Encoder().encode

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event: no frame, one or several."""
        if self._has_ended:
            return b""
        if is_plain_text(event) and self._open == "text":  # nearly all events of a run
            return data_frame(self._encode(frames.TextDelta(str(self._span), event.content)))
        return b"".join(data_frame(self._encode(frame)) for frame in self._frames(event))

    def end(self) -> bytes:
        """Encode the end of the stream."""
        if self._has_ended:
            return _DONE
        begun = b"" if self._is_started else self.event(Complete())
        last = self._last or frames.Finish("other")
        closing = [] if isinstance(last, frames.Error) else self._close_step()
        self._has_ended = True
        sent = [data_frame(self._encode(frame)) for frame in (*closing, last)]
        return begun + b"".join(sent) + _DONE

    def _frames(self, event: StreamEvent) -> Iterator[Frame]:
        if not self._is_started:
            self._is_started = True
            yield frames.Start(self._message_id)
        if event.path:
            yield frames.DataSubagent(event)
            return
        match event:
            case Token(section="thought") | Reasoning():
                yield from self._text("reasoning", event.content)
            case Token(section="action"):
                pass  # the text of a call, whose events follow
            case Token():
                self._has_answered = True
                yield from self._text("text", event.content)
            case TurnStart():
                yield from self._close_step()
                self._in_step, self._has_answered = True, False
                self._steps += 1
                yield frames.StartStep()
            case TurnEnd():
                yield from self._close_step()
            case Answer() if not self._has_answered:
                self._has_answered = True
                yield from self._text("text", event.content)
            case Reset(scope="run") if self._steps > 1:
                self._has_ended = True
                yield frames.Error("The run was started again: load the message again.")
            case Reset():
                if event.scope == "run":
                    self._steps = 0
                    for known in (self._calls, self._given, self._denied):
                        known.clear()
                self._open, self._has_answered = "", False
                yield frames.ResetStep()
            case Partial():
                yield frames.DataPartial("partial", event.value)
            case MessageOutcome():
                yield frames.DataMessage(event)
            case Complete():
                if event.content and not self._has_answered:
                    yield from self._text("text", event.content)
                self._last = _last_of(event)
            case ErrorEvent():
                self._last = frames.Error(event.error.message)
            case _:
                yield from self._call_frames(event)

    def _text(self, kind: str, delta: str) -> Iterator[Frame]:
        if self._open != kind:
            yield from self._close_span()
            self._span += 1
            self._open = kind
            start = frames.TextStart if kind == "text" else frames.ReasoningStart
            yield start(str(self._span))
        content = frames.TextDelta if kind == "text" else frames.ReasoningDelta
        if delta:
            yield content(str(self._span), delta)

    def _close_span(self) -> Iterator[Frame]:
        kind, self._open = self._open, ""
        if kind:
            yield (frames.TextEnd if kind == "text" else frames.ReasoningEnd)(str(self._span))

    def _close_step(self) -> Iterator[Frame]:
        yield from self._close_span()
        if self._in_step:
            self._in_step = False
            yield frames.FinishStep()

    def _call_frames(self, event: StreamEvent) -> Iterator[Frame]:
        match event:
            case ToolArguments():
                yield from self._begin_call(event)
                if event.delta:
                    yield frames.ToolInputDelta(event.call_id, event.delta)
            case ApprovalRequest():
                yield from self._give_input(event)
                yield frames.ToolApprovalRequest(event.call_id, event.call_id)
            case ApprovalAnswer():
                if not event.approved:
                    self._denied.add(event.call_id)
                reason = event.reason or UNSET
                yield frames.ToolApprovalResponse(event.call_id, event.approved, reason)
            case ToolStart():
                yield from self._give_input(event)
            case ToolProgress():
                yield frames.ToolOutputAvailable(event.call_id, event.content, preliminary=True)
            case ToolEnd():
                yield self._output(event)

    def _begin_call(self, event: ToolArguments | ApprovalRequest | ToolStart) -> Iterator[Frame]:
        if event.call_id not in self._calls:
            self._calls.add(event.call_id)
            yield frames.ToolInputStart(event.call_id, event.name)

    def _give_input(self, event: ApprovalRequest | ToolStart) -> Iterator[Frame]:
        if event.call_id not in self._given:
            self._given.add(event.call_id)
            yield from self._begin_call(event)
            yield frames.ToolInputAvailable(event.call_id, event.name, event.arguments)

    def _output(self, event: ToolEnd) -> Frame:
        if event.call_id in self._denied:
            return frames.ToolOutputDenied(event.call_id)
        if event.error is not None:
            return frames.ToolOutputError(event.call_id, event.result)
        return frames.ToolOutputAvailable(event.call_id, event.result)


def _last_of(event: Complete) -> Frame:
    if event.finish_reason == "cancelled":
        return frames.Abort("stopped")
    counts: dict[str, Any] = {"iterations": event.iterations}
    if event.usage is not None:
        counts["usage"] = event.usage
    return frames.Finish(_FINISH_REASONS.get(event.finish_reason, "other"), counts)
