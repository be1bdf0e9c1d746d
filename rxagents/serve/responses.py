"""OpenAI's Responses API, so that every client of OpenAI can talk to an agent.

The server stores no responses: a client sends the whole conversation each time, as it does with
`store=False`. The tools are the agent's own, and run here: their calls are items of the type
`mcp_call`, which is the one for tools that do not run at the client.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

from aiohttp import web
from msgspec import Struct

from rxagents.runtime.last_value import last_value
from rxagents.serve.encoding import encoded
from rxagents.serve.failures import RequestError, json_response
from rxagents.serve.limits import ServeLimits
from rxagents.serve.openai_requests import check_tools
from rxagents.serve.requests import read_body
from rxagents.serve.responses_encoder import ResponsesEncoder
from rxagents.serve.runs import Runs
from rxagents.serve.sending import send_stream


class ResponsesRequest(Struct):
    """The fields of a request that are read; settings of the model are the agent's own."""

    input: str | list[dict[str, Any]]
    model: str | None = None
    stream: bool | None = None
    instructions: str | None = None
    tools: list[Any] | None = None
    tool_choice: Any = None
    previous_response_id: str | None = None
    conversation: Any = None
    background: bool | None = None


class ResponsesRoutes:
    """The handler of `/v1/responses`.

    Args:
        runs: The server's runs.
        limits: The bounds of the server.
        name: The name of the agent, which stands for a model's.
    """

    def __init__(self, runs: Runs, limits: ServeLimits, name: str) -> None:
        self._runs = runs
        self._limits = limits
        self._name = name

    def routes(self) -> list[web.RouteDef]:
        """Return the routes."""
        return [web.post("/v1/responses", self.respond)]

    async def respond(self, request: web.Request) -> web.StreamResponse:
        """Run the agent for the conversation that the client sends."""
        body = await read_body(request, ResponsesRequest)
        _check(body)
        events = self._runs.events(_messages(body))
        encoder = ResponsesEncoder(
            {
                "id": f"resp_{uuid.uuid4().hex}",
                "object": "response",
                "created_at": int(time.time()),
                "model": body.model or self._name,
                "instructions": body.instructions,
            },
            self._name,
        )
        if body.stream:
            frames = events.pipe(encoded(lambda: encoder))
            return await send_stream(request, frames, self._limits)
        await last_value(events, encoder.event)
        if encoder.is_running:
            raise RequestError(500, "The agent ended without a result.")
        return json_response(encoder.response())


def _check(body: ResponsesRequest) -> None:
    check_tools(body.tools, body.tool_choice)
    if body.previous_response_id or body.conversation:
        raise RequestError(
            400,
            "This server stores no responses: send the whole conversation as input, without "
            "previous_response_id and conversation.",
        )
    if body.background:
        raise RequestError(
            400, "A response ends with its connection: send no background, or use POST /runs."
        )


def _messages(body: ResponsesRequest) -> list[dict[str, Any]]:
    """Return the conversation as role/content dicts."""
    messages: list[dict[str, Any]] = []
    if body.instructions:
        messages.append({"role": "system", "content": body.instructions})
    if isinstance(body.input, str):
        messages.append({"role": "user", "content": body.input})
        return messages
    for item in body.input:
        _add(messages, item)
    return messages


def _add(messages: list[dict[str, Any]], item: dict[str, Any]) -> None:
    """Add an item of the input to the messages."""
    match item:
        case {"role": str(role), "content": str(content)}:
            messages.append({"role": role, "content": content})
        case {"role": str(role), "content": list(parts)}:
            messages.append({"role": role, "content": [_part(part) for part in parts]})
        case {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments}:
            _add_call(messages, call_id, name, arguments)
        case {"type": "function_call_output", "call_id": call_id, "output": output}:
            result = [_part(part) for part in output] if isinstance(output, list) else output
            messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        case {"type": "mcp_call", "id": call_id, "name": name, "arguments": arguments}:
            if (result := _result_of(item)) is not None:
                _add_call(messages, call_id, name, arguments)
                messages.append({"role": "tool", "tool_call_id": call_id, "content": result})
        case {"type": "reasoning"}:
            pass  # the thinking of this server's responses is a text without a signature
        case _:
            raise RequestError(
                400,
                f"The input contains an item ({str(item.get('type'))!r:.50}) that cannot be read: "
                "use messages, function_call, function_call_output and mcp_call.",
            )


def _add_call(messages: list[dict[str, Any]], call_id: Any, name: Any, arguments: Any) -> None:
    call = {"id": call_id, "function": {"name": name, "arguments": arguments}}
    if not messages or messages[-1]["role"] != "assistant":
        messages.append({"role": "assistant", "content": None})
    messages[-1].setdefault("tool_calls", []).append(call)


def _result_of(item: dict[str, Any]) -> str | None:
    """Return the result of one of the agent's calls; `None` for a call that was cut off."""
    match item:
        case {"output": str(output)}:
            return output
        case {"error": {"content": [{"text": str(text)}]}}:
            return text
    return None


def _part(part: Any) -> Any:
    """Return a part of a message in the form of chat completions; another one as it is."""
    match part:
        case {"type": "input_text" | "output_text", "text": text}:
            return {"type": "text", "text": text}
        case {"type": "refusal", "refusal": text}:
            return {"type": "text", "text": text}
        case {"type": "input_image", "image_url": str(url), **rest}:
            return {"type": "image_url", "image_url": {"url": url, "detail": rest.get("detail")}}
    return part
