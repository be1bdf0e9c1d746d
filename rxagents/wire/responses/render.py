"""Renders a conversation as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    FilePart,
    ImagePart,
    Message,
    Part,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.output_type import OutputType
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.base64_data import to_data_url
from rxagents.wire.extra_body import with_extra_body, without_idle_tool_settings
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items
from rxagents.wire.request import ChatRequest
from rxagents.wire.responses.events import WIRE
from rxagents.wire.sent_calls import IdRule, SentCalls, arguments_text_of, fitting_name
from rxagents.wire.tool_choice import check_chosen_tool


def render_response(request: ChatRequest) -> dict[str, Any]:
    """Return the body of `POST {base}/responses`.

    The provider stores nothing: each request has the whole conversation, and reasoning comes
    encrypted so that it can be sent back. System messages keep their place in the conversation;
    `instructions` would move them to its beginning.

    Returns:
        The body. `Settings.extra_body` overrides its fields; a `None` there removes the field.

    Raises:
        ConfigurationError: The API does not support a setting.
    """
    settings, calls = request.settings, SentCalls(_CALL_IDS, request.messages)
    for name in ("stop", "seed"):
        if getattr(settings, name) is not None:
            raise ConfigurationError(
                f"The Responses API has no {name}: leave the setting out, or use the chat "
                "completions of OpenAI(…)."
            )
    body: dict[str, Any] = {
        "model": request.model,
        "input": [item for message in request.messages for item in _items(message, calls)],
        "stream": True,
        "store": False,
        "include": ["reasoning.encrypted_content"],
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(settings, request.tools),
        "parallel_tool_calls": settings.parallel_tool_calls,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "max_output_tokens": settings.max_tokens,
        "text": _text_format(settings.response_format),
    }
    return without_idle_tool_settings(with_extra_body(body, settings), settings)


_CALL_IDS = IdRule(r"\S(.{0,62}\S)?")
"""The API refuses longer ids ("string too long. Expected a string with maximum length 64")."""


def _items(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    match message.role:
        case "system":
            yield {"role": "system", "content": message.text}
        case "user":
            yield {"role": "user", "content": [_input(part) for part in message.parts]}
        case "assistant":
            yield from _without_lone_reasoning(list(_assistant(message, calls)))
        case "tool":
            for part in message.parts:
                if isinstance(part, ToolResult):
                    call_id, _ = calls.answered(part)
                    output = [_input(each) for each in part.parts] or part.content
                    yield {"type": "function_call_output", "call_id": call_id, "output": output}


def _input(part: Part) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"type": "input_text", "text": part.text}
        case ImagePart():
            url = part.url or to_data_url(part.media_type, part.data)
            detail = {"detail": part.detail} if part.detail else {}
            return {"type": "input_image", "image_url": url, **detail}
        case FilePart(file_id=file_id) if file_id:
            return {"type": "input_file", "file_id": file_id}
        case FilePart():
            data = to_data_url(part.media_type, part.data)
            return {"type": "input_file", "filename": part.filename, "file_data": data}
    raise ConfigurationError(f"Neither a user nor a result can send a {type(part).__name__}.")


def _assistant(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    """Yield the items of an assistant's message: the original ones if they are stored with it.

    Else only text and calls are sent: other providers' thinking means nothing to this API.
    """
    stored = message.provider_data.get(WIRE, {}).get("items")
    original = resolve_items(message, stored, _reference_of, attrgetter("id"))
    if original is not None:
        yield from _original_items(original, calls)
        return
    if message.text:
        yield _output(message.text)
    for call in message.tool_calls:
        if not calls.is_cut(call):
            yield _call(call, calls)


def _output(text: str) -> dict[str, Any]:
    """Return an assistant's text; llama-server refuses it without type or in another form."""
    content = [{"type": "output_text", "text": text}]
    return {"type": "message", "role": "assistant", "content": content}


def _without_lone_reasoning(items: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Leave out reasoning that no output of the model follows, which the API refuses.

    Such reasoning comes from a response that was cut while the model was thinking.
    """
    kinds = [item.get("type") for item in items]
    while kinds and kinds[-1] == "reasoning":
        kinds.pop()
    yield from items[: len(kinds)]


def _reference_of(item: dict[str, Any]) -> Reference:
    match item:
        case {"type": "message", "length": int(length)}:
            return length
        case {"type": "function_call"}:
            return item.get("call_id") or ""
    return None


def _original_items(items: list[ResolvedItem], calls: SentCalls) -> Iterator[dict[str, Any]]:
    for item, part in items:
        if isinstance(part, ToolCall):
            if not calls.is_cut(part):
                yield _call(part, calls)
        elif part is not None:
            if part:
                yield _output(part)
        elif isinstance(item.get("type"), str) and _is_readable(item):
            # Of other reasoning only the id is known, and the provider stored nothing under it.
            yield item


def _is_readable(item: dict[str, Any]) -> bool:
    return item["type"] != "reasoning" or bool(item.get("encrypted_content") or item.get("content"))


def _call(call: ToolCall, calls: SentCalls) -> dict[str, Any]:
    call_id, name = calls.sent(call)
    arguments = arguments_text_of(call)
    return {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}


def _tool(tool: Tool) -> dict[str, Any]:
    """Return a tool; `strict` is always sent, since without it this API enforces every schema."""
    definition = {"type": "function", "name": tool.name, "parameters": tool.parameters}
    described = {"description": tool.description} if tool.description else {}
    return {**definition, **described, "strict": bool(tool.strict)}


def _tool_choice(settings: Settings, tools: tuple[Tool, ...]) -> str | dict[str, Any] | None:
    choice = settings.tool_choice
    if choice is None or choice in {"auto", "none", "required"}:
        return choice
    check_chosen_tool(choice, tools)
    return {"type": "function", "name": choice}


def _text_format(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None or response_format == "text":
        return None
    if isinstance(response_format, dict):
        return {"format": response_format}
    if isinstance(response_format, str):
        return {"format": {"type": response_format}}
    output = OutputType[Any](response_format)
    name = fitting_name(output.name)
    return {"format": {"type": "json_schema", "name": name, "schema": output.schema}}
