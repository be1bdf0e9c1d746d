"""Streams with what each provider alone has: signatures, ids, names and items of its own."""

from __future__ import annotations

import json
from typing import Any

from wires import SpokenWire

Events = list[dict[str, Any]]


def body_of(wire: SpokenWire, events: Events) -> bytes:
    """Return the events as the bytes of a stream; Anthropic's and Responses' name their type."""
    pieces = [wire.raw(json.dumps(event).encode()) for event in events]
    return b"".join(pieces) + (wire.done() if wire.name == "chat completions" else b"")


def _delta(finish: str | None = None, **delta: Any) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}


def _call(index: int, call_id: str, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": name, "arguments": arguments}
    signature = {"google": {"thought_signature": f"S{index}"}}
    call = {"index": index, "id": call_id, "function": function, "extra_content": signature}
    return _delta(tool_calls=[call])


CHAT: list[Events] = [
    [
        _delta(content="\n\n"),
        _delta(reasoning_details=[{"type": "reasoning.text", "text": "H", "index": 0}]),
        _delta(reasoning_details=[{"type": "reasoning.text", "text": "m", "index": 0}]),
        _delta(reasoning_details=[{"type": "reasoning.text", "signature": "S", "index": 0}]),
        _call(0, "functions.weather:0", "weather", '{"city": "Oslo"}'),
        _call(1, "call with spaces and more than sixty-four characters " * 2, "weather.now", "{}"),
        _call(2, "weather:2", "weather", '{"city": '),
        _delta("tool_calls"),
    ],
    [_delta(content="Cold. \n"), _delta("stop")],
]


def _block(index: int, start: dict[str, Any], *deltas: dict[str, Any]) -> Events:
    return [
        {"type": "content_block_start", "index": index, "content_block": start},
        *({"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas),
        {"type": "content_block_stop", "index": index},
    ]


def _anthropic(reason: str, *blocks: Events) -> Events:
    message = {"id": "m", "type": "message", "role": "assistant", "content": [], "model": "c"}
    return [
        {"type": "message_start", "message": message},
        *(event for block in blocks for event in block),
        {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": {}},
        {"type": "message_stop"},
    ]


_THOUGHT = {"type": "thinking", "thinking": ""}
_HM = {"type": "thinking_delta", "thinking": "Hm"}
_SIGNATURE = {"type": "signature_delta", "signature": "S"}
_SEARCH = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {}}

ANTHROPIC: list[Events] = [
    _anthropic(
        "tool_use",
        _block(0, _THOUGHT, _HM, _SIGNATURE),
        _block(1, {"type": "text", "text": ""}, {"type": "text_delta", "text": "\n\n"}),
        _block(2, _SEARCH),
        _block(3, {"type": "tool_use", "id": "toolu_1", "name": "weather", "input": {}},
               {"type": "input_json_delta", "partial_json": '{"city": "Oslo"}'}),
        _block(4, {"type": "tool_use", "id": "toolu_1", "name": "get weather", "input": {}},
               {"type": "input_json_delta", "partial_json": "[1"}),
    ),
    _anthropic("max_tokens", _block(0, _THOUGHT, _HM)),
    _anthropic(
        "end_turn",
        _block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Cold."}),
        _block(1, _THOUGHT, _HM, _SIGNATURE),
    ),
]  # fmt: skip


def _gemini(*parts: dict[str, Any], finish: str = "STOP") -> Events:
    content = {"role": "model", "parts": list(parts)}
    return [{"candidates": [{"index": 0, "content": content, "finishReason": finish}]}]


def _function(name: str, **fields: Any) -> dict[str, Any]:
    return {"functionCall": {"name": name, "args": {"city": "Oslo"}}, **fields}


GEMINI: list[Events] = [
    _gemini(
        {"text": "Hm", "thought": True},
        {"text": " ", "thoughtSignature": "S0"},
        _function("weather", thoughtSignature="S1"),
        _function("weather"),
        _function("default_api:weather"),
    ),
    _gemini({"text": "Cold."}, {"text": "", "thoughtSignature": "S2"}, finish="MAX_TOKENS"),
]


def _item(index: int, **item: Any) -> dict[str, Any]:
    return {"type": "response.output_item.done", "output_index": index, "item": item}


def _response(status: str, *items: dict[str, Any], reason: str = "") -> Events:
    details = {"reason": reason} if reason else None
    response: dict[str, Any] = {
        "id": "r",
        "status": status,
        "incomplete_details": details,
        "output": [],
    }
    return [*items, {"type": f"response.{status}", "response": response}]


_REASONING = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "E"}

RESPONSES: list[Events] = [
    _response(
        "completed",
        _item(0, **_REASONING),
        _item(1, type="message", id="msg_1", role="assistant",
              content=[{"type": "output_text", "text": " "}]),
        _item(2, type="function_call", id="fc_1", call_id="call|" + "x" * 80, name="weather",
              arguments='{"city": "Oslo"}'),
        _item(3, type="function_call", id="fc_2", call_id="call_2", name="weather/now",
              arguments="Oslo"),
    ),
    _response("incomplete", _item(0, **_REASONING), reason="max_output_tokens"),
    _response(
        "completed",
        _item(0, type="message", id="msg_2", role="assistant",
              content=[{"type": "output_text", "text": "Cold."}]),
        _item(1, **_REASONING),
    ),
]  # fmt: skip


def _line(done: str = "", **message: Any) -> dict[str, Any]:
    end = {"done": True, "done_reason": done} if done else {"done": False}
    return {"model": "m", "message": {"role": "assistant", **message}, **end}


OLLAMA: list[Events] = [
    [
        _line(content="", thinking="Hm"),
        _line(content="\n", tool_calls=[
            {"function": {"name": "weather", "arguments": {"city": "Oslo"}}},
            {"function": {"name": "weather in", "arguments": {}}},
            {"function": {"name": "weather", "arguments": {"city": "Rome"}}},
        ]),
        _line("stop", content=""),
    ],
    [_line(content="Cold."), _line("stop", content="")],
]  # fmt: skip

STREAMS = {
    "chat completions": CHAT,
    "anthropic": ANTHROPIC,
    "gemini": GEMINI,
    "openai responses": RESPONSES,
    "ollama": OLLAMA,
}
