"""Read the messages of a page that uses Vercel's `useChat`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import Struct

from rxagents.core.approval import Approve, Decision, Deny


class UIMessage(Struct):
    """A message of the page.

    Attributes:
        id: Its id.
        role: `user`, `assistant` or `system`.
        parts: Its parts; a `step-start` stands before those of each turn.
    """

    role: str
    parts: list[dict[str, Any]] = []
    id: str = ""


def role_dicts(message: UIMessage) -> Iterator[dict[str, Any]]:
    """Yield a page's message as role/content dicts: for each turn its text and calls, and results.

    Thinking, and calls without a result, are left out: no provider takes them.
    """
    turn: list[dict[str, Any]] = []
    for part in (*message.parts, {"type": "step-start"}):
        if part.get("type") != "step-start":
            turn.append(part)
            continue
        yield from _turn(message.role, turn)
        turn = []


def decisions_of(message: UIMessage) -> dict[str, Decision]:
    """Return the user's decisions about calls that waited, by call id; empty for none."""
    decisions: dict[str, Decision] = {}
    for part in message.parts:
        match part:
            case {
                "state": "approval-responded",
                "toolCallId": str(call_id),
                "approval": {"approved": bool(approved), **rest},
            }:
                reason = str(rest.get("reason") or "")
                decisions[call_id] = Approve() if approved else Deny(reason)
    return decisions


def _turn(role: str, parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    texts = [str(part.get("text", "")) for part in parts if part.get("type") == "text"]
    results: list[dict[str, Any]] = []
    calls: list[dict[str, Any]] = []
    for part in parts:
        result = _result(part)
        if result is not None:
            call_id, name = str(part.get("toolCallId")), _tool_name(part)
            calls.append({"id": call_id, "function": {"name": name, "arguments": _arguments(part)}})
            results.append({"role": "tool", "tool_call_id": call_id, "content": result})
    if calls:
        yield {"role": role, "content": "".join(texts), "tool_calls": calls}
        yield from results
    elif texts:
        yield {"role": role, "content": "".join(texts)}


def _tool_name(part: dict[str, Any]) -> str:
    return str(part.get("toolName") or str(part["type"]).removeprefix("tool-"))


def _arguments(part: dict[str, Any]) -> str:
    return msgspec.json.encode(part.get("input") or {}).decode()


def _result(part: dict[str, Any]) -> str | None:
    """Return the result of a call; `None` for another part, and for a call without a result."""
    if part.get("type") != "dynamic-tool" and not str(part.get("type")).startswith("tool-"):
        return None
    match part:
        case {"state": "output-available", "output": str(output)} if not part.get("preliminary"):
            return output
        case {"state": "output-available", "output": output} if not part.get("preliminary"):
            return msgspec.json.encode(output).decode()
        case {"state": "output-error", "errorText": error}:
            return str(error)
        case {"state": "output-denied"}:
            return "The user did not approve this call."
    return None
