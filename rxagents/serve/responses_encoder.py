"""Encode a run as events of OpenAI's Responses API.

Theory of operation. A response is a list of items. Thinking is an item of reasoning, and text is an
item of a message; the item that is open ends where another kind begins, and with the turn. A call
of the agent's tools is an item of its own (`responses_calls`), from the first text of its arguments
to its result; several may be open at a time. An item that is done stays in `_output` at its index,
and the last event repeats all of them in this order. A `Reset` makes the items of its turn void:
they are left out there, and the client has their events with the status `incomplete`.
`output_index` counts on, so that no index is used twice.

Source of the form: openai-python 3.57, with each event left out in turn; openai-node 7.59, which
refuses an event whose item or index is not the open one.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from rxagents.core.events import (
    Answer,
    ApprovalRequest,
    Complete,
    Reasoning,
    Reset,
    StreamEvent,
    Token,
    ToolArguments,
    ToolEnd,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.core.usage import Usage
from rxagents.operators._encoding import is_plain_text
from rxagents.serve.encoding import around_text, json_frame
from rxagents.serve.failures import message_of, status_of
from rxagents.serve.responses_calls import CallItem, ResponseEvent

_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


class ResponsesEncoder:
    """Encodes the events of one run.

    Args:
        head: The fields that all responses have: `id`, `object`, `created_at`, `model`,
            `instructions`.
        name: The name of the agent, as the label of its tools.

    Attributes:
        is_running: Whether the response has no end yet.
    """

    def __init__(self, head: dict[str, Any], name: str = "agent") -> None:
        self.is_running = True
        self._name = name
        self._head = {**head, "metadata": {}, "tools": [], "tool_choice": "auto"}
        self._head |= {"parallel_tool_calls": True, "temperature": None, "top_p": None}
        self._end: dict[str, Any] = {"status": "in_progress"}
        self._output: dict[int, dict[str, Any]] = {}  # the items that are done, by index
        self._of_turn = 0  # the index where the items of the turn begin
        self._item: dict[str, Any] = {}  # the open text or thinking; empty for none
        self._item_index = -1
        self._texts: list[str] = []  # of the open item
        self._delta_form = b""  # of a delta of the open text, for its number and its JSON
        self._calls: dict[str, CallItem] = {}  # the open ones, by call id
        self._index = -1  # the last one that was used
        self._number = -1
        self._encode_json = msgspec.json.Encoder().encode
        self._has_answered = False

    def response(self) -> dict[str, Any]:
        """Return the response so far; at the end the whole."""
        output = [self._output[index] for index in sorted(self._output)]
        rest = {"error": None, "incomplete_details": None, "usage": None, "output": output}
        return {**self._head, **rest, **self._end}

    def begin(self) -> bytes:
        """Encode the beginning."""
        response = {"response": self.response()}
        return self._encode([("response.created", response), ("response.in_progress", response)])

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event; empty for those that a response does not have."""
        if self._delta_form and is_plain_text(event):  # nearly all events of a run
            self._number += 1
            self._texts.append(event.content)
            return self._delta_form % (self._number, self._encode_json(event.content))
        return b"" if event.path else self._encode(self._events(event))

    def fail(self, error: Exception) -> bytes:
        """Encode the failure of the run."""
        code = "rate_limit_exceeded" if status_of(error) == 429 else "server_error"
        failure = {"code": code, "message": message_of(error)}
        return self._encode(self._finish({"status": "failed", "error": failure}, "incomplete"))

    def end(self) -> bytes:
        """Encode the end of the stream: that of an agent without a result, or nothing."""
        if not self.is_running:
            return b""
        failure = {"code": "server_error", "message": "The agent ended without a result."}
        return self._encode(self._finish({"status": "failed", "error": failure}, "incomplete"))

    def _encode(self, events: Iterable[ResponseEvent]) -> bytes:
        frames = []
        for kind, fields in events:
            self._number += 1
            frames.append(_frame(kind, self._number, fields))
        return b"".join(frames)

    def _events(self, event: StreamEvent) -> Iterator[ResponseEvent]:
        match event:
            case Token(section="action"):
                pass  # the text of a call
            case Token(section="thought") | Reasoning():
                yield from self._text("reasoning", event.content)
            case Token():
                self._has_answered = True
                yield from self._text("message", event.content)
            case Answer() if not self._has_answered:
                self._has_answered = True
                yield from self._text("message", event.content)
            case ToolArguments() | ApprovalRequest() | ToolStart() | ToolEnd():
                yield from self._call(event)
            case TurnStart():
                yield from self._close("completed")
                self._of_turn, self._has_answered = self._index + 1, False
            case TurnEnd():
                yield from self._close_text("completed")
            case Reset():
                yield from self._close("incomplete")
                self._output = {n: self._output[n] for n in self._output if n < self._of_turn}
                self._has_answered = False
            case Complete():
                yield from self._complete(event)

    def _call(
        self, event: ToolArguments | ApprovalRequest | ToolStart | ToolEnd
    ) -> Iterator[ResponseEvent]:
        call = self._calls.get(event.call_id)
        if call is None:
            yield from self._close_text("completed")
            self._index += 1
            call = self._calls[event.call_id] = CallItem(self._index, event.name, self._name)
            yield from call.begin()
        match event:
            case ToolArguments():
                yield from call.add(event.delta)
            case ApprovalRequest() | ToolStart():
                yield from call.seal(event.arguments)
            case ToolEnd():
                yield from call.end(event)
                self._output[call.index] = call.item
                del self._calls[event.call_id]

    def _complete(self, complete: Complete) -> Iterator[ResponseEvent]:
        end: dict[str, Any] = {"status": "completed", "usage": _usage(complete.usage)}
        reason = _INCOMPLETE.get(complete.finish_reason)
        if reason is not None:
            end |= {"status": "incomplete", "incomplete_details": {"reason": reason}}
        yield from self._finish(end, end["status"])

    def _finish(self, end: dict[str, Any], status_of_item: str) -> Iterator[ResponseEvent]:
        yield from self._close(status_of_item)
        self.is_running, self._end = False, end
        yield f"response.{end['status']}", {"response": self.response()}

    def _text(self, kind: str, delta: str) -> Iterator[ResponseEvent]:
        if self._item.get("type") != kind:
            yield from self._close_text("completed")
            yield from self._open(kind)
        if not delta:
            return
        self._texts.append(delta)
        if kind == "message":
            yield "response.output_text.delta", {**self._place(), "delta": delta, "logprobs": []}
        else:
            yield "response.reasoning_summary_text.delta", {**self._place(), "delta": delta}

    def _delta_frame(self, text: str) -> bytes:
        fields = {**self._place(), "delta": text, "logprobs": []}
        return _frame("response.output_text.delta", -1, fields)

    def _place(self) -> dict[str, Any]:
        part = "content_index" if self._item["type"] == "message" else "summary_index"
        return {"item_id": self._item["id"], "output_index": self._item_index, part: 0}

    def _open(self, kind: str) -> Iterator[ResponseEvent]:
        self._index += 1
        self._item_index = self._index
        item_id = f"{'msg' if kind == 'message' else 'rs'}_{uuid.uuid4().hex}"
        fields = {"role": "assistant", "content": []} if kind == "message" else {"summary": []}
        self._item = {"id": item_id, "type": kind, "status": "in_progress", **fields}
        yield "response.output_item.added", {"output_index": self._index, "item": self._item}
        yield f"response.{_PARTS[kind]}.added", {**self._place(), "part": _part(kind, "")}
        if kind == "message":
            before, after = around_text(self._delta_frame)
            self._delta_form = before.replace(b":-1,", b":%d,") + b"%b" + after

    def _close(self, status: str) -> Iterator[ResponseEvent]:
        """Close the open text, and the calls that have no result: they were cut off, or wait."""
        yield from self._close_text(status)
        for call in self._calls.values():
            yield from call.cut()
            self._output[call.index] = call.item
        self._calls.clear()

    def _close_text(self, status: str) -> Iterator[ResponseEvent]:
        if not self._item:
            return
        kind, text, place = self._item["type"], "".join(self._texts), self._place()
        part = _part(kind, text)
        if kind == "message":
            done = {**place, "text": text, "logprobs": []}
            yield "response.output_text.done", done
        else:
            yield "response.reasoning_summary_text.done", {**place, "text": text}
        yield f"response.{_PARTS[kind]}.done", {**place, "part": part}
        parts = "content" if kind == "message" else "summary"
        item = {**self._item, "status": status, parts: [part]}
        self._output[self._item_index] = item
        self._item, self._texts, self._delta_form = {}, [], b""
        yield "response.output_item.done", {"output_index": self._item_index, "item": item}


_PARTS = {"message": "content_part", "reasoning": "reasoning_summary_part"}


def _frame(kind: str, number: int, fields: dict[str, Any]) -> bytes:
    return json_frame({"type": kind, "sequence_number": number, **fields}, kind)


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "message":
        return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "summary_text", "text": text}


def _usage(usage: Usage | None) -> dict[str, Any]:
    """Return the token counts in OpenAI's form; a count that is not known is 0 there."""
    counts = usage or Usage()
    read, written = counts.input_tokens or 0, counts.output_tokens or 0
    return {
        "input_tokens": read,
        "input_tokens_details": {"cached_tokens": counts.cached_tokens or 0},
        "output_tokens": written,
        "output_tokens_details": {"reasoning_tokens": counts.reasoning_tokens or 0},
        "total_tokens": counts.total_tokens or read + written,
    }
