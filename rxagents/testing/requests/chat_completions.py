"""Check requests to OpenAI's chat completions."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rxagents.testing.requests.strict import Strict, check_results, converted, refuse_if


class _Function(Strict):
    name: str
    arguments: str


class _Call(Strict):
    id: str
    type: Literal["function"]
    function: _Function
    extra_content: dict[str, Any] | None = None


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
    """Refuse a body that the API would refuse, except for unknown fields, which hosts add.

    Raises:
        ValueError: The API would refuse the body.
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
        check_results(calls, results)
        calls, results = [call.id for call in message.tool_calls], []
        empty = message.content is None and not message.tool_calls
        refuse_if(empty, f"a message with the role {message.role} has no content")
    check_results(calls, results)
