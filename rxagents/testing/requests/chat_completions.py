"""Check requests to OpenAI's chat completions."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from rxagents.testing.requests.strict import (
    Strict,
    check_arguments,
    check_ids,
    check_name,
    check_results,
    check_root,
    check_tool_settings,
    converted,
    refuse_if,
)


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
    name: str | None = None
    tool_calls: tuple[_Call, ...] = ()
    tool_call_id: str = ""
    reasoning_details: tuple[dict[str, Any], ...] = ()


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
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
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
    _check_tools(request)
    calls: list[str] = []
    results: list[str] = []
    for message in request.messages:
        if message.role == "tool":
            results.append(message.tool_call_id)
            _check_result(message.content)
            continue
        check_results(calls, results)
        calls, results = [call.id for call in message.tool_calls], []
        _check_message(message)
        check_ids(calls)
        empty = message.content is None and not message.tool_calls
        refuse_if(empty, f"a message with the role {message.role} has no content")
    check_results(calls, results)


def _check_tools(request: _Request) -> None:
    check_tool_settings(
        request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
    )
    for tool in request.tools:
        check_name(tool.function.name)
    form = request.response_format or {}
    if form.get("type") == "json_schema":
        described = form.get("json_schema") or {}
        check_name(str(described.get("name")))
        check_root(described.get("schema"))


def _check_result(content: str | list[dict[str, Any]] | None) -> None:
    parts = content if isinstance(content, list) else []
    is_text = all(part.get("type") == "text" for part in parts)
    refuse_if(content is None or not is_text, "a message with the role tool takes text only")


def _check_message(message: _Message) -> None:
    if message.name is not None:
        check_name(message.name, r"[^\s<|\\/>]{1,64}")
    for call in message.tool_calls:
        check_name(call.function.name)
        check_arguments(call.function.name, call.function.arguments)
    blocks = [
        (str(detail.get("type")), str(detail["index"]), str(detail.get("id")))
        for detail in message.reasoning_details
        if detail.get("index") is not None and "data" not in detail
    ]
    in_pieces = len(set(blocks)) < len(blocks)
    refuse_if(in_pieces, "a block of reasoning_details is in pieces: its signature is not valid")
