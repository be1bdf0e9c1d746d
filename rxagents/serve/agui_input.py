"""Read the messages of an AG-UI client, and its answers to interrupts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final, Literal

from msgspec import Struct

from rxagents.core.approval import Approve, Decision, Deny
from rxagents.serve.failures import RequestError

_NOT_SENT: Final = frozenset({"reasoning", "activity"})
"""Roles of the page's messages that are not of the conversation."""

_FIELDS: Final = {
    "role": "role",
    "content": "content",
    "name": "name",
    "toolCallId": "tool_call_id",
    "toolCalls": "tool_calls",
}


class ResumeEntry(Struct, rename="camel"):
    """The user's answer to one interrupt.

    Attributes:
        interrupt_id: The id of the interrupt, which is that of the call.
        status: Whether the user has answered, or has left the question.
        payload: The answer.
    """

    interrupt_id: str
    status: Literal["resolved", "cancelled"]
    payload: Any = None


def role_dicts(message: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a message of the client as a role/content dict; nothing for thinking and activities."""
    if message.get("role") in _NOT_SENT:
        return
    read = {name: message[field] for field, name in _FIELDS.items() if field in message}
    if isinstance(read.get("content"), list):
        read["content"] = [_part(part) for part in read["content"]]
    yield read


def decisions_of(entries: list[ResumeEntry]) -> dict[str, Decision]:
    """Return the decisions about the calls that wait, by call id.

    Raises:
        RequestError: A payload is not the one that the interrupt asks for.
    """
    return {entry.interrupt_id: _decision(entry) for entry in entries}


def _decision(entry: ResumeEntry) -> Decision:
    if entry.status == "cancelled":
        return Deny("the user cancelled the request for approval")
    match entry.payload:
        case {"approved": False, **rest}:
            return Deny(str(rest.get("reason") or ""))
        case {"approved": True, "editedArgs": dict(arguments)}:
            return Approve(arguments)
        case {"approved": True, **rest} if rest.get("editedArgs") is None:
            return Approve()
    raise RequestError(
        400,
        f"The payload of the interrupt {entry.interrupt_id!r:.80} must be "
        '{"approved": true or false}, with "editedArgs" (an object) or "reason" if you like.',
    )


def _part(part: Any) -> Any:
    """Return a part of a message in the form of chat completions; another one as it is."""
    match part:
        case {"type": "image", "source": {"type": "url", "value": str(url)}}:
            return {"type": "image_url", "image_url": {"url": url}}
        case {"type": "image", "source": {"type": "data", "value": str(data), "mimeType": kind}}:
            return {"type": "image_url", "image_url": {"url": f"data:{kind};base64,{data}"}}
    return part
