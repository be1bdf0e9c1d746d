"""Sort the items of one run into lanes.

Theory of operation. A `Timeline` is fed with the items of a stream, each with its time, and then
with the end; `picture.py` feeds it from a recording, `live.py` from a subscription. It draws
nothing: `svg.py` and `text.py` read it at any time, also while the run goes on.

- An item costs one lookup of its type and an append. A live picture is fed on the loop's thread,
  so nothing here may grow with the length of the run; only a `Reset` looks at all lanes.
- A lane is found by its path, kind and name. The path is the event's own, so that the lanes of a
  sub-agent come below the tool that it is (`ordered`).
- A reset voids the items of the present turn. If the next event is the start of a first turn, the
  whole run was started again (`retry_with_backoff` around an agent), and everything before it is
  void. Chunks have no turns: a reset voids all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

from msgspec import convert

from rxagents.core.chunks import StreamChunk
from rxagents.core.events import (
    Answer,
    ApprovalAnswer,
    ApprovalRequest,
    Complete,
    ErrorEvent,
    ErrorInfo,
    Handoff,
    MessageOutcome,
    Partial,
    Reasoning,
    Reset,
    Thought,
    Token,
    ToolArguments,
    ToolEnd,
    ToolProgress,
    ToolStart,
    TurnEnd,
    TurnStart,
)
from rxagents.pictures.lanes import Bar, End, Lane, LaneKind, Mark, Path

_ITEM_TEXT = 40
"""How many characters are kept of an item that is neither chunk nor event."""

_ORDER = {kind: number for number, kind in enumerate(LaneKind)}


class Timeline:
    """The lanes of one run.

    Attributes:
        marks: What concerns all lanes.
        last: When the last item came, in seconds since the start.
        end: The end of the run; `None` while it goes on.
        finish_reason: The last finish reason.
    """

    def __init__(self) -> None:
        self.marks: list[Mark] = []
        self.last = 0.0
        self.end: End | None = None
        self.finish_reason = ""
        self._lanes: dict[tuple[Path, LaneKind, str], Lane] = {}
        self._turns: dict[Path, TurnStart] = {}
        self._turn_times: dict[Path, float] = {}
        self._resets: dict[Path, float] = {}  # paths whose last event was a reset
        self._call_names: dict[tuple[int, int], str] = {}
        self._retries = 0

    def add(self, at: float, item: object) -> None:
        """Add an item that came `at` seconds after the start."""
        self.last = at = max(at, self.last)
        handler = self._handlers.get(type(item))
        if handler is None:
            self._lane((), LaneKind.ITEMS, "items").add_point(at, str(item)[:_ITEM_TEXT])
        else:
            handler(self, at, item)

    def finish(self, end: End) -> None:
        """Add the end of the run; bars that go on are cut off there."""
        self.last = max(end.at, self.last)
        self.end = end

    @property
    def lanes(self) -> Iterator[Lane]:
        """All lanes, in the order in which they are drawn."""
        yield from self._ordered(())

    def _ordered(self, path: Path) -> Iterator[Lane]:
        """Yield the lanes of an agent; those of a sub-agent come below the tool that it is."""
        own = [lane for lane in self._lanes.values() if lane.path == path]
        below = {
            lane.path[len(path)]: None
            for lane in self._lanes.values()
            if len(lane.path) > len(path) and lane.path[: len(path)] == path
        }
        for name in below:
            if not any(lane.kind is LaneKind.TOOL and lane.name == name for lane in own):
                own.append(Lane(LaneKind.TOOL, name, path))
        for lane in sorted(own, key=lambda lane: _ORDER[lane.kind]):
            yield lane
            if lane.kind is LaneKind.TOOL and lane.name in below:
                yield from self._ordered((*path, lane.name))

    def _lane(self, path: Path, kind: LaneKind, name: str) -> Lane:
        lane = self._lanes.get((path, kind, name))
        if lane is None:
            lane = self._lanes[path, kind, name] = Lane(kind, name, path)
        return lane

    def _tool(self, event: Any) -> Lane:
        return self._lane(event.path, LaneKind.TOOL, event.name)

    def _mark(self, at: float, kind: Any, text: str) -> None:
        self.marks.append(Mark(at, kind, text))

    def _void(self, path: Path, since: float, at: float) -> None:
        for lane in self._lanes.values():
            is_inside = lane.path[: len(path)] == path
            if is_inside and not (lane.path == path and lane.kind is LaneKind.TURNS):
                lane.void_since(since, at)

    def _on_chunk(self, at: float, chunk: StreamChunk) -> None:
        if (reset := chunk.metadata.get("reset")) is not None:
            self._mark(
                at, "reset", f"reset: {convert(reset, ErrorInfo, from_attributes=True).kind}"
            )
            self._void((), 0.0, at)
            return
        failed = len(chunk.metadata.get("failed_attempts", ()))
        if failed > self._retries:
            self._mark(at, "retry", f"after {failed} retr{'y' if failed == 1 else 'ies'}")
        self._retries = failed
        suffix = f" {chunk.choice + 1}" if chunk.choice else ""
        if chunk.reasoning:
            thoughts = self._lane((), LaneKind.THOUGHTS, "thoughts" + suffix)
            thoughts.add_point(at, chunk.reasoning)
        if text := chunk.delta or chunk.refusal:
            self._lane((), LaneKind.TOKENS, "tokens" + suffix).add_point(at, text)
        for call in chunk.tool_calls:
            key = chunk.choice, call.index
            name = self._call_names[key] = call.name or self._call_names.get(key, "tool call")
            self._write_call(self._lane((), LaneKind.TOOL, name), at, f"{key}")
        self.finish_reason = chunk.finish_reason or self.finish_reason

    def _on_token(self, at: float, event: Token) -> None:
        is_thought = event.section == "thought"
        kind = LaneKind.THOUGHTS if is_thought else LaneKind.TOKENS
        self._lane(event.path, kind, kind).add_point(at, event.content)

    def _on_reasoning(self, at: float, event: Reasoning) -> None:
        self._lane(event.path, LaneKind.THOUGHTS, "thoughts").add_point(at, event.content)

    def _on_partial(self, at: float, event: Partial) -> None:
        self._lane(event.path, LaneKind.ITEMS, "partial answers").add_point(at, "")

    def _on_turn_start(self, at: float, event: TurnStart) -> None:
        lane = self._lane(event.path, LaneKind.TURNS, "turns")
        if (reset := self._resets.pop(event.path, None)) is not None and event.number == 1:
            self._void(event.path, 0.0, reset)
            lane.void_since(0.0, reset)
        for bar in lane.bars[-1:]:
            if bar.end is None:
                bar.end, bar.state = at, "cancelled"
        lane.add_bar(Bar(f"{len(lane.bars)}", at, note=f"{event.number}"))
        self._turn_times[event.path] = at

    def _on_turn_end(self, at: float, event: TurnEnd) -> None:
        for bar in self._lane(event.path, LaneKind.TURNS, "turns").bars[-1:]:
            bar.end, bar.state = at, "done"

    def _on_reset(self, at: float, event: Reset) -> None:
        self._mark(at, "reset", f"reset: {event.error.kind}")
        self._void(event.path, self._turn_times.get(event.path, 0.0), at)
        self._resets[event.path] = at

    def _on_tool_arguments(self, at: float, event: ToolArguments) -> None:
        self._write_call(self._tool(event), at, event.call_id)

    def _write_call(self, lane: Lane, at: float, key: str) -> None:
        bar = lane.latest.get(key)
        if bar is None or bar.state != "writing" or bar.is_void:
            bar = lane.add_bar(Bar(key, at, state="writing"))
        bar.end = at

    def _on_approval_request(self, at: float, event: ApprovalRequest) -> None:
        lane = self._lane(event.path, LaneKind.APPROVALS, "approvals")
        lane.add_bar(Bar(event.call_id, at, note=event.name))

    def _on_approval_answer(self, at: float, event: ApprovalAnswer) -> None:
        lane = self._lane(event.path, LaneKind.APPROVALS, "approvals")
        bar = lane.open_bar(event.call_id)
        if bar is None:  # of a run that goes on where another one waited for the decision
            bar = lane.add_bar(Bar(event.call_id, at, note=event.name))
        bar.end, bar.state = at, "done" if event.approved else "failed"

    def _on_tool_start(self, at: float, event: ToolStart) -> None:
        self._tool(event).add_bar(Bar(event.call_id, at))

    def _on_tool_progress(self, at: float, event: ToolProgress) -> None:
        bar = self._tool(event).open_bar(event.call_id)
        if bar is not None:
            bar.ticks.append(at)

    def _on_tool_end(self, at: float, event: ToolEnd) -> None:
        lane = self._tool(event)
        bar = lane.open_bar(event.call_id)
        if bar is None:  # it was refused before it could start
            bar = lane.add_bar(Bar(event.call_id, at))
        bar.end = at
        bar.state = "done" if event.error is None else "failed"
        bar.note = "" if event.error is None else event.error.kind

    def _on_handoff(self, at: float, event: Handoff) -> None:
        self._mark(at, "handoff", f"handoff: {event.name}")

    def _on_message(self, at: float, event: MessageOutcome) -> None:
        self._mark(at, "message", f"message {event.outcome}")

    def _on_complete(self, _: float, event: Complete) -> None:
        if not event.path:
            self.finish_reason = event.finish_reason

    def _on_error(self, at: float, event: ErrorEvent) -> None:
        for lane in self._lanes.values():
            if lane.kind is LaneKind.TURNS and lane.path == event.path:
                for bar in lane.bars[-1:]:
                    if bar.end is None:
                        bar.end, bar.state = at, "failed"

    def _ignore(self, _: float, event: Answer | Thought) -> None:
        """Ignore an event whose text has been drawn before, as tokens."""

    _handlers: ClassVar[dict[type, Callable[[Timeline, float, Any], None]]] = {
        StreamChunk: _on_chunk,
        Token: _on_token,
        Reasoning: _on_reasoning,
        Thought: _ignore,
        Answer: _ignore,
        Partial: _on_partial,
        TurnStart: _on_turn_start,
        TurnEnd: _on_turn_end,
        Reset: _on_reset,
        ToolArguments: _on_tool_arguments,
        ApprovalRequest: _on_approval_request,
        ApprovalAnswer: _on_approval_answer,
        ToolStart: _on_tool_start,
        ToolProgress: _on_tool_progress,
        ToolEnd: _on_tool_end,
        Handoff: _on_handoff,
        MessageOutcome: _on_message,
        Complete: _on_complete,
        ErrorEvent: _on_error,
    }
