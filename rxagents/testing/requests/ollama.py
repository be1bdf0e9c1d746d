"""Check requests to Ollama's own API."""

from __future__ import annotations

from typing import Any, Literal

from rxagents.testing.requests.strict import Strict, converted, refuse_if


class _Function(Strict):
    name: str
    arguments: dict[str, Any]


class _Call(Strict):
    function: _Function


class _Message(Strict):
    role: Literal["system", "user", "assistant", "tool"]
    content: str
    thinking: str = ""
    images: tuple[str, ...] = ()
    tool_calls: tuple[_Call, ...] = ()
    tool_name: str = ""


class _Definition(Strict):
    name: str
    parameters: dict[str, Any]
    description: str = ""


class _Tool(Strict):
    type: Literal["function"]
    function: _Definition


class _Chat(Strict):
    model: str
    messages: list[_Message]
    stream: Literal[True]
    tools: tuple[_Tool, ...] = ()
    options: dict[str, Any] | None = None
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: str | int | None = None


class _Generate(Strict):
    model: str
    prompt: str
    stream: Literal[True]
    options: dict[str, Any] | None = None
    format: str | dict[str, Any] | None = None
    think: bool | str | None = None
    keep_alive: str | int | None = None
    system: str | None = None
    images: tuple[str, ...] = ()
    raw: bool | None = None


def check(body: object) -> None:
    """Refuse a body that the API would refuse or would partly ignore.

    Raises:
        ValueError: The API would refuse the body.
    """
    if isinstance(body, dict) and "prompt" in body:
        converted(body, _Generate)
        return
    request = converted(body, _Chat)
    refuse_if(not request.messages, "messages must not be empty")
    open_calls: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            known = message.tool_name in open_calls
            refuse_if(not known, f"the result of {message.tool_name!r} belongs to no call")
            open_calls.remove(message.tool_name)
            refuse_if(bool(message.images), "images in the result of a tool may be ignored")
        elif message.tool_calls:
            open_calls = [call.function.name for call in message.tool_calls]
