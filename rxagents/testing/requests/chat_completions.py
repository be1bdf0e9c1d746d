"""What OpenAI's chat completions accept."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rxagents.testing.requests.strict import Strict, check_answered, converted, refuse_if


class _Function(Strict):
    name: str
    arguments: str


class _Call(Strict):
    id: str
    type: Literal["function"]
    function: _Function


class _Message(Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[dict[str, Any]] | None = None
    tool_calls: tuple[_Call, ...] = ()
    tool_call_id: str = ""


class _Definition(Strict):
    name: str
    parameters: dict[str, Any]
    description: str = ""
    strict: bool | None = None


class _Tool(Strict):
    type: Literal["function"]
    function: _Definition


class _Request(Struct):
    model: str
    messages: list[_Message]
    stream: Literal[True]
    tools: tuple[_Tool, ...] = ()
    tool_choice: str | dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    stop: str | list[str] | None = None
    seed: int | None = None


def check(body: object) -> None:
    """Refuse what the API would refuse; compatible hosts add fields of their own.

    Raises:
        ValueError: It is no request.
    """
    request = converted(body, _Request)
    refuse_if(not request.messages, "messages must not be empty")
    refuse_if(request.tool_choice is not None and not request.tools, "tool_choice needs tools")
    calls: list[str] = []
    results: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            results.append(message.tool_call_id)
            continue
        check_answered(calls, results)
        calls, results = [call.id for call in message.tool_calls], []
        empty = message.content is None and not message.tool_calls
        refuse_if(empty, f"a message of the role {message.role} has no content")
    check_answered(calls, results)
