"""OpenAI's chat completions, so that every client of OpenAI can talk to an agent.

The tools are the agent's own, and run here: a client sees the text, the thinking as
`reasoning_content`, and the token counts of all turns. It does not see the calls: a call in a chat
completion is one that the client has to run. The form has no way to take text back: where a turn
starts again after text, the stream ends with the error `stream_reset`; thinking may come twice.
Source of the form: openai-python 3.57, with each event left out in turn.
"""

from __future__ import annotations

import time
import uuid
from typing import Any

import msgspec
from aiohttp import web
from msgspec import Struct
from reactivex import Observable

from rxagents.core.events import (
    Answer,
    Complete,
    Reasoning,
    Reset,
    StreamEvent,
    Token,
    TurnStart,
)
from rxagents.core.usage import Usage
from rxagents.operators._encoding import is_plain_text
from rxagents.runtime.last_value import last_value
from rxagents.serve.encoding import around_text, encoded, json_frame
from rxagents.serve.failures import RequestError, VoidTextError, json_response, message_of
from rxagents.serve.limits import ServeLimits
from rxagents.serve.openai_requests import check_tools, role_dict
from rxagents.serve.requests import read_body
from rxagents.serve.runs import Runs
from rxagents.serve.sending import send_stream

_DONE = b"data: [DONE]\n\n"


class StreamOptions(Struct):
    """The client's options of its stream."""

    include_usage: bool | None = None


class ChatRequest(Struct):
    """The fields of a request that are read; settings of the model are the agent's own."""

    messages: list[dict[str, Any]]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    tools: list[Any] | None = None
    functions: list[Any] | None = None
    tool_choice: Any = None
    n: int | None = None


class ChatRoutes:
    """The handlers of `/v1/chat/completions` and `/v1/models`.

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
        return [
            web.post("/v1/chat/completions", self.complete),
            web.get("/v1/models", self.models),
            web.get("/v1/models/{name}", self.model),
        ]

    async def models(self, _: web.Request) -> web.Response:
        """List the agent as the only model."""
        return json_response({"object": "list", "data": [self._model()]})

    async def model(self, request: web.Request) -> web.Response:
        """Describe the agent as a model."""
        name = request.match_info["name"]
        if name != self._name:
            raise RequestError(404, f"There is no model {name!r:.80} here, only {self._name!r}.")
        return json_response(self._model())

    def _model(self) -> dict[str, Any]:
        return {"id": self._name, "object": "model", "created": 0, "owned_by": "rxagents"}

    async def complete(self, request: web.Request) -> web.StreamResponse:
        """Run the agent for the conversation that the client sends."""
        body = await read_body(request, ChatRequest)
        check_tools([*(body.tools or ()), *(body.functions or ())], body.tool_choice)
        if body.n not in {None, 1}:
            raise RequestError(400, f"n is {body.n}, but an agent gives one answer: leave out n.")
        events = self._runs.events([role_dict(each) for each in body.messages])
        head: dict[str, Any] = {
            "id": f"chatcmpl-{uuid.uuid4().hex}",
            "created": int(time.time()),
            "model": body.model or self._name,
        }
        if not body.stream:
            return json_response(await _whole(events, head))
        options = body.stream_options or StreamOptions()
        chunks = events.pipe(encoded(lambda: ChatEncoder(head, bool(options.include_usage))))
        return await send_stream(request, chunks, self._limits)


async def _whole(events: Observable[StreamEvent], head: dict[str, Any]) -> dict[str, Any]:
    complete = await last_value(events)
    if not isinstance(complete, Complete):
        raise RequestError(500, "The agent ended without a result.")
    message = {"role": "assistant", "content": complete.content, "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "finish_reason": finish_reason_of(complete),
        "logprobs": None,
    }
    return {
        **head,
        "object": "chat.completion",
        "choices": [choice],
        "usage": usage_of(complete.usage),
    }


class ChatEncoder:
    """Encodes the events of one run as the chunks of a chat completion.

    Args:
        head: The fields that all chunks have: `id`, `created`, `model`.
        include_usage: Whether a chunk with the token counts comes last.
    """

    def __init__(self, head: dict[str, Any], include_usage: bool) -> None:
        self._head = {**head, "object": "chat.completion.chunk"}
        self._include_usage = include_usage
        self._has_begun = self._has_text = False
        self._before, self._after = around_text(self._text_frame)
        self._encode = msgspec.json.Encoder().encode

    def begin(self) -> bytes:
        """Return nothing: the first chunk has the first text."""
        return b""

    def fail(self, error: Exception) -> bytes:
        """Encode the failure of the run."""
        code = "stream_reset" if isinstance(error, VoidTextError) else None
        failure = {"message": message_of(error), "type": type(error).__name__, "code": code}
        return json_frame({"error": failure}) + _DONE

    def end(self) -> bytes:
        """Encode the end of the stream."""
        return _DONE

    def event(self, event: StreamEvent) -> bytes:
        """Encode an event; empty for those that a chat completion does not have."""
        if self._has_begun and is_plain_text(event):  # nearly all events of a run
            self._has_text = True
            return self._before + self._encode(event.content) + self._after
        if event.path:
            return b""
        match event:
            case Token(section="action"):
                return b""
            case Token(section="thought") | Reasoning():
                return self._delta({"reasoning_content": event.content})
            case Token():
                self._has_text = True
                return self._delta({"content": event.content})
            case Answer() if not self._has_text:
                self._has_text = True
                return self._delta({"content": event.content})
            case Reset() if self._has_text:
                raise VoidTextError
            case TurnStart():
                self._has_text = False
            case Complete():
                return self._last(event)
        return b""

    def _last(self, complete: Complete) -> bytes:
        last = self._delta({}, finish_reason_of(complete))
        if not self._include_usage:
            return last
        usage = {**self._head, "choices": [], "usage": usage_of(complete.usage)}
        return last + json_frame(usage)

    def _delta(self, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
        if not self._has_begun:
            self._has_begun = True
            delta = {"role": "assistant", "content": "", **delta}
        return self._frame(delta, finish_reason)

    def _text_frame(self, text: str) -> bytes:
        return self._frame({"content": text}, None)

    def _frame(self, delta: dict[str, Any], finish_reason: str | None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return json_frame({**self._head, "choices": [choice]})


def finish_reason_of(complete: Complete) -> str:
    """Return OpenAI's finish reason: `stop` where it has none."""
    known = {"length", "content_filter"}
    return complete.finish_reason if complete.finish_reason in known else "stop"


def usage_of(usage: Usage | None) -> dict[str, Any]:
    """Return the token counts in OpenAI's form; a count that is not known is 0 there."""
    counts = usage or Usage()
    prompt, completion = counts.input_tokens or 0, counts.output_tokens or 0
    total = counts.total_tokens or prompt + completion
    return {
        "prompt_tokens": prompt,
        "prompt_tokens_details": {"cached_tokens": counts.cached_tokens or 0},
        "completion_tokens": completion,
        "completion_tokens_details": {"reasoning_tokens": counts.reasoning_tokens or 0},
        "total_tokens": total,
    }
