"""Renders a conversation as the body of a request."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rxagents.core.errors import ConfigurationError
from rxagents.core.output_type import OutputType
from rxagents.core.settings import ResponseFormat, Settings
from rxagents.core.tools import Tool
from rxagents.wire.anthropic.schemas import accepted_schema
from rxagents.wire.anthropic.turns import render_system, render_turns
from rxagents.wire.extra_body import with_extra_body, without_idle_tool_settings
from rxagents.wire.request import ChatRequest
from rxagents.wire.tool_choice import check_chosen_tool

CURRENT_VERSION = "2026-10-21"
OLDER_VERSION = "2023-06-01"
DEFAULT_MAX_TOKENS = 4096
"""The API requires a limit and has no default."""

_SAMPLING = ("temperature", "top_p", "top_k")


def render_messages(request: ChatRequest, version: str = CURRENT_VERSION) -> dict[str, Any]:
    """Return the body of `POST {base}/v1/messages`.

    Args:
        request: The request.
        version: The version of the API; the current one refuses `temperature`, `top_p` and
            `top_k`.

    Returns:
        The body. `Settings.extra_body` overrides its fields; a `None` there removes the field.

    Raises:
        ConfigurationError: The API, or this version of it, does not support a setting.
    """
    settings = request.settings
    if settings.seed is not None:
        raise ConfigurationError("Anthropic's API has no seed: leave the setting out.")
    body: dict[str, Any] = {
        "model": request.model,
        "max_tokens": settings.max_tokens or DEFAULT_MAX_TOKENS,
        "stream": True,
        "system": render_system(request.messages) or None,
        "messages": render_turns(request.messages),
        "tools": [_tool(tool) for tool in request.tools] or None,
        "tool_choice": _tool_choice(settings, request.tools),
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "stop_sequences": list(settings.stop) if settings.stop else None,
        "output_config": _output_config(settings.response_format),
    }
    body = without_idle_tool_settings(with_extra_body(body, settings), settings)
    refused = [name for name in _SAMPLING if name in body]
    if any("citations" in block for block in _user_texts(body["messages"])):
        refused.append("citations on the user's text")
    if refused and version == CURRENT_VERSION:
        raise ConfigurationError(
            f"Version {version} of Anthropic's API refuses {' and '.join(refused)}: leave them "
            f'out, or use Anthropic(api_version="{OLDER_VERSION}").'
        )
    return body


def _user_texts(turns: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for turn in turns:
        if turn["role"] == "user" and isinstance(turn["content"], list):
            yield from (block for block in turn["content"] if block.get("type") == "text")


def _tool(tool: Tool) -> dict[str, Any]:
    schema = accepted_schema(tool.parameters) if tool.strict else tool.parameters
    definition: dict[str, Any] = {"name": tool.name, "input_schema": schema}
    if tool.description:
        definition["description"] = tool.description
    if tool.strict is not None:
        definition["strict"] = tool.strict
    return definition


def _tool_choice(settings: Settings, tools: tuple[Tool, ...]) -> dict[str, Any] | None:
    one_by_one = settings.parallel_tool_calls is False and bool(tools)
    alone = {"disable_parallel_tool_use": True} if one_by_one else {}
    match settings.tool_choice:
        case None:
            return {"type": "auto", **alone} if alone else None
        case "none":
            return {"type": "none"}
        case "auto":
            return {"type": "auto", **alone}
        case "required":
            return {"type": "any", **alone}
        case name:
            check_chosen_tool(name, tools)
            return {"type": "tool", "name": name, **alone}


def _output_config(response_format: ResponseFormat | None) -> dict[str, Any] | None:
    if response_format is None or response_format == "text":
        return None
    if isinstance(response_format, str):
        raise ConfigurationError(
            f"Anthropic's API has no response_format {response_format!r}: give a type or a JSON "
            'schema as {"type": "json_schema", "schema": …}.'
        )
    if not isinstance(response_format, dict):
        schema = OutputType[Any](response_format).schema
        response_format = {"type": "json_schema", "schema": schema}
    if "schema" not in response_format:
        return {"format": response_format}
    return {"format": {**response_format, "schema": accepted_schema(response_format["schema"])}}
