"""Read frames of server-sent events, and check the order that AG-UI's client enforces."""

from __future__ import annotations

import json
from typing import Any

from reactivex import Observable

from rxagents.runtime.last_value import last_value


async def body_of(stream: Observable[bytes]) -> bytes:
    """Return all bytes of a stream."""
    pieces: list[bytes] = []
    await last_value(stream, pieces.append)
    return b"".join(pieces)


def frames_of(body: bytes) -> list[Any]:
    """Return the JSON data of the events, and `[DONE]` as it is."""
    frames = []
    for event in body.decode().split("\n\n")[:-1]:
        [data] = [line[6:] for line in event.split("\n") if line.startswith("data: ")]
        frames.append(data if data == "[DONE]" else json.loads(data))
    return frames


_OPENS = {
    "TEXT_MESSAGE_START": ("TEXT_MESSAGE", "messageId"),
    "REASONING_START": ("REASONING", "messageId"),
    "REASONING_MESSAGE_START": ("REASONING_MESSAGE", "messageId"),
    "TOOL_CALL_START": ("TOOL_CALL", "toolCallId"),
    "STEP_STARTED": ("STEP", "stepName"),
    "SUBAGENT_STARTED": ("SUBAGENT", "subagentRunId"),
}
_INSIDE = {
    "TEXT_MESSAGE_CONTENT": ("TEXT_MESSAGE", "messageId"),
    "REASONING_MESSAGE_CONTENT": ("REASONING_MESSAGE", "messageId"),
    "TOOL_CALL_ARGS": ("TOOL_CALL", "toolCallId"),
}
_CLOSES = {
    "TEXT_MESSAGE_END": ("TEXT_MESSAGE", "messageId"),
    "REASONING_END": ("REASONING", "messageId"),
    "REASONING_MESSAGE_END": ("REASONING_MESSAGE", "messageId"),
    "TOOL_CALL_END": ("TOOL_CALL", "toolCallId"),
    "STEP_FINISHED": ("STEP", "stepName"),
    "SUBAGENT_FINISHED": ("SUBAGENT", "subagentRunId"),
    "SUBAGENT_ERROR": ("SUBAGENT", "subagentRunId"),
}


def check_agui_order(frames: list[Any]) -> None:
    """Check the rules of `@ag-ui/client` 1.0.0 for the order of events."""
    open_spans: set[tuple[str, str, str]] = set()
    used: set[str] = set()
    is_running = has_failed = False
    for frame in frames:
        kind = frame["type"]
        assert not has_failed, f"{kind} follows RUN_ERROR"
        assert is_running or kind == "RUN_STARTED", f"{kind} stands outside of a run"
        assert None not in frame.values(), frame
        agent = frame.get("subagentRunId", "")
        if kind == "SUBAGENT_STARTED":
            assert agent not in used, frame
            used.add(agent)
            open_spans.add(("SUBAGENT", agent, agent))
        elif kind in _OPENS:
            span, field = _OPENS[kind]
            key = (span, frame[field], agent)
            assert key not in open_spans, f"{kind} opens {key} twice"
            assert not agent or ("SUBAGENT", agent, agent) in open_spans, frame
            open_spans.add(key)
        elif kind in _INSIDE:
            span, field = _INSIDE[kind]
            assert frame["delta"]
            assert (span, frame[field], agent) in open_spans, frame
        elif kind in _CLOSES:
            span, field = _CLOSES[kind]
            assert (span, frame[field], agent) in open_spans, frame
            open_spans.remove((span, frame[field], agent))
        elif kind == "RUN_STARTED":
            assert not is_running
            is_running = True
        elif kind == "RUN_FINISHED":
            assert open_spans == set(), open_spans
            is_running = False
        elif kind == "RUN_ERROR":
            has_failed = True
    assert has_failed or not is_running, "the run has no end"


def check_vercel_order(frames: list[Any]) -> None:
    """Check the errors of `process-ui-message-stream.ts` of `ai` 7.0.173."""
    texts: set[str] = set()
    inputs: set[str] = set()
    assert frames[0]["type"] == "start"
    assert frames[-1] == "[DONE]"
    assert frames[-2]["type"] in {"finish", "abort", "error"}
    for frame in frames[:-1]:
        kind = frame["type"]
        assert None not in frame.values(), frame
        if kind in {"text-start", "reasoning-start"}:
            texts.add(frame["id"])
        elif kind in {"text-delta", "text-end", "reasoning-delta", "reasoning-end"}:
            assert frame["id"] in texts, frame
            if kind.endswith("end"):
                texts.remove(frame["id"])
        elif kind == "reset-step":
            texts.clear()
        elif kind == "tool-input-start":
            inputs.add(frame["toolCallId"])
        elif kind == "tool-input-delta":
            assert frame["toolCallId"] in inputs, frame
    if frames[-2]["type"] == "finish":
        assert texts == set(), texts
