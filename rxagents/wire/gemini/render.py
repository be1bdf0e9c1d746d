"""Renders a conversation as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator
from operator import attrgetter
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.messages import (
    ContentPart,
    FilePart,
    ImagePart,
    Message,
    Part,
    ReasoningPart,
    TextPart,
    ToolCall,
    ToolResult,
)
from rxagents.core.output_type import OutputType
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.base64_data import is_data_url, split_data_url, to_base64
from rxagents.wire.extra_body import with_extra_body, without_idle_tool_settings
from rxagents.wire.foreign_signature import FOREIGN_SIGNATURE, needs_signature
from rxagents.wire.gemini.events import WIRE
from rxagents.wire.original_items import Reference, ResolvedItem, resolve_items
from rxagents.wire.request import ChatRequest
from rxagents.wire.result_parts import Accepts, accepts_text, with_parts_after_results
from rxagents.wire.sent_calls import SentCalls, arguments_of
from rxagents.wire.tool_choice import check_chosen_tool


def render_contents(request: ChatRequest) -> dict[str, Any]:
    """Return the body of `POST {base}/v1beta/models/{model}:streamGenerateContent`.

    Returns:
        The body. `Settings.extra_body` overrides its fields, except that `generationConfig` is
        merged; a `None` there removes the field.

    Raises:
        ConfigurationError: The API does not support a setting.
    """
    settings = request.settings
    if settings.parallel_tool_calls is False:
        raise ConfigurationError(
            "Gemini's API cannot turn parallel_tool_calls off: leave the setting out."
        )
    tools = [{"functionDeclarations": [_tool(tool) for tool in request.tools]}]
    body: dict[str, Any] = {
        "systemInstruction": _system(request.messages),
        "contents": _contents(request),
        "tools": tools if request.tools else None,
        "toolConfig": _tool_config(settings, request.tools),
        "generationConfig": _generation_config(settings) or None,
    }
    body = with_extra_body(body, settings, merged="generationConfig")
    return without_idle_tool_settings(body, settings)


def _system(messages: tuple[Message, ...]) -> dict[str, Any] | None:
    texts = [message.text for message in messages if message.role == "system"]
    parts = [{"text": text} for text in texts if text]
    return {"parts": parts} if parts else None


def _contents(request: ChatRequest) -> list[dict[str, Any]]:
    """Return the turns; the results of parallel calls form one turn.

    A user's message after them is a turn of its own: the API takes all of a turn with results for
    the model's.
    """
    signs_calls = needs_signature(request.model)
    accepts = _is_accepted_in_result if signs_calls else accepts_text  # both since Gemini 3
    messages = with_parts_after_results(request.messages, accepts)
    calls = SentCalls(messages=messages)
    contents: list[dict[str, Any]] = []
    for message in messages:
        if message.role == "system":
            continue
        role = "model" if message.role == "assistant" else "user"
        if role == "model":
            parts = list(_model_parts(message, calls))
            if signs_calls:
                _sign(parts)
        else:
            shown = [part for part in message.parts if not _is_empty(part)]
            parts = [_user_part(part, calls, accepts) for part in shown]
        follows_results = message.role == "user" and contents and _has_results(contents[-1])
        if contents and contents[-1]["role"] == role and not follows_results:
            contents[-1]["parts"] += parts
        elif parts:
            contents.append({"role": role, "parts": parts})
    return contents


def _has_results(content: dict[str, Any]) -> bool:
    return "functionResponse" in content["parts"][-1]


_TYPES_IN_RESULTS = {"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}
"""The media types that Google documents for the parts of a result, since Gemini 3."""


def _is_accepted_in_result(part: ContentPart) -> bool:
    match part:
        case ImagePart(url=url) if is_data_url(url):
            return split_data_url(url)[0] in _TYPES_IN_RESULTS
        case ImagePart() | FilePart():
            return bool(part.data) and part.media_type in _TYPES_IN_RESULTS
    return True


def _user_part(part: Part, calls: SentCalls, accepts: Accepts) -> dict[str, Any]:
    rendered = _part(part, calls)
    if isinstance(part, ToolResult):
        inside = [
            _part(each, calls)
            for each in part.parts
            if accepts(each) and not isinstance(each, TextPart)  # the response has the text
        ]
        if inside:
            rendered["functionResponse"]["parts"] = inside
    return rendered


def _sign(parts: list[dict[str, Any]]) -> None:
    """Sign the first call of a turn that was not made by Gemini."""
    first = next((part for part in parts if "functionCall" in part), {})
    if first:
        first.setdefault("thoughtSignature", FOREIGN_SIGNATURE)


def _part(part: Part, calls: SentCalls) -> dict[str, Any]:
    match part:
        case TextPart():
            return {"text": part.text}
        case ImagePart(url=url) if is_data_url(url):
            kind, data = split_data_url(url)
            return {"inlineData": {"mimeType": kind, "data": data}}
        case ImagePart(url=url) if url:
            media_type = {"mimeType": part.media_type} if part.media_type else {}
            return {"fileData": {"fileUri": url, **media_type}}
        case ImagePart():
            return {"inlineData": _inline(part.media_type, part.data)}
        case FilePart(file_id=file_id) if file_id:
            return {"fileData": {"fileUri": file_id, "mimeType": part.media_type}}
        case FilePart():
            return {"inlineData": _inline(part.media_type, part.data)}
        case ToolResult():
            call_id, name = calls.answered(part)
            if not name:
                raise ConfigurationError(
                    f"Gemini's API requires the tool's name with its result: give the result of "
                    f"call {part.call_id!r} a name, or send the call before it."
                )
            key = "error" if part.is_error else "result"
            response = {"name": _function_name(name), "response": {key: part.content}}
            return {"functionResponse": {"id": call_id, **response}}
        case ToolCall():
            call_id, name = calls.sent(part)
            call = {"id": call_id, "name": _function_name(name), "args": arguments_of(part)}
            signature = part.provider_data.get(WIRE, {})
            return {"functionCall": call, **signature}
        case ReasoningPart():
            return {"text": part.text, "thought": True}


def _function_name(name: str) -> str:
    """Return a name that begins with a letter or an underscore, as the API requires."""
    return name if name[0].isalpha() or name[0] == "_" else f"_{name}"[:64]


def _inline(media_type: str, data: bytes) -> dict[str, str]:
    return {"mimeType": media_type, "data": to_base64(data)}


def _model_parts(message: Message, calls: SentCalls) -> Iterator[dict[str, Any]]:
    """Yield the parts of an assistant's message: the original ones if they are stored with it.

    Thinking is not sent back.
    """
    stored = message.provider_data.get(WIRE, {}).get("parts")
    original = resolve_items(message, stored, _reference_of, attrgetter("name"))
    if original is not None:
        yield from _original_parts(original, calls)
        return
    for part in message.parts:
        is_cut = isinstance(part, ToolCall) and calls.is_cut(part)
        if not _is_empty(part) and not is_cut and not isinstance(part, ReasoningPart):
            yield _part(part, calls)


def _is_empty(part: Part) -> bool:
    return isinstance(part, TextPart) and not part.text


def _reference_of(part: dict[str, Any]) -> Reference:
    match part:
        case {"functionCall": dict(call)}:
            return str(call.get("name"))
        case {"length": int(length)} if not part.get("thought"):
            return length
    return None


def _original_parts(items: list[ResolvedItem], calls: SentCalls) -> Iterator[dict[str, Any]]:
    for original, part in items:
        if original.get("thought"):
            continue
        rest = {name: value for name, value in original.items() if name not in _REFERENCES}
        if isinstance(part, ToolCall):
            if not calls.is_cut(part):
                yield {**_part(part, calls), **rest}
        elif part is None:
            yield original
        elif part or rest:  # an empty text may carry a signature
            yield {"text": part, **rest}


_REFERENCES = {"length", "functionCall"}
"""The fields of a stored part that refer to the message's text or calls."""


def _tool(tool: Tool) -> dict[str, Any]:
    if tool.strict:
        raise ConfigurationError(
            f"Gemini's API cannot enforce the schema of tool {tool.name!r}: leave strict out."
        )
    definition: dict[str, Any] = {"name": tool.name, "description": tool.description}
    if tool.parameters.get("properties"):
        definition["parametersJsonSchema"] = tool.parameters
    return definition


def _tool_config(settings: Settings, tools: tuple[Tool, ...]) -> dict[str, Any] | None:
    choice = settings.tool_choice
    if choice is None:
        return None
    modes = {"auto": "AUTO", "none": "NONE", "required": "ANY"}
    if choice in modes:
        return {"functionCallingConfig": {"mode": modes[choice]}}
    check_chosen_tool(choice, tools)
    return {"functionCallingConfig": {"mode": "ANY", "allowedFunctionNames": [choice]}}


def _generation_config(settings: Settings) -> dict[str, Any]:
    config = {
        "temperature": settings.temperature,
        "topP": settings.top_p,
        "maxOutputTokens": settings.max_tokens,
        "stopSequences": list(settings.stop) if settings.stop else None,
        "seed": settings.seed,
        **_format(settings.response_format),
    }
    return {name: value for name, value in config.items() if value is not None}


def _format(response_format: ResponseFormat | None) -> dict[str, Any]:
    if response_format is None or response_format == "text":
        return {}
    if isinstance(response_format, str):
        if response_format in {"json", "json_object"}:
            return {"responseMimeType": "application/json"}
        raise ConfigurationError(
            f"Gemini's API has no response_format {response_format!r}: use 'json_object', a JSON "
            "schema or a type."
        )
    is_schema = isinstance(response_format, dict)
    schema = response_format if is_schema else OutputType[Any](response_format).schema
    return {"responseMimeType": "application/json", "responseJsonSchema": schema}
