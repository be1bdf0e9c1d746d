"""Check requests to Anthropic's Messages API."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from rxagents.testing.requests.strict import Strict, check_results, converted, refuse_if


class _Turn(Strict):
    role: Literal["user", "assistant"]
    content: list[dict[str, Any]] | str


class _Tool(Strict):
    name: str
    input_schema: dict[str, Any]
    description: str = ""
    strict: bool | None = None
    cache_control: dict[str, Any] | None = None


class _Request(Strict):
    model: str
    max_tokens: int
    messages: list[_Turn]
    stream: Literal[True]
    system: str | list[dict[str, Any]] | None = None
    tools: tuple[_Tool, ...] = ()
    tool_choice: dict[str, Any] | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    stop_sequences: tuple[str, ...] = ()
    output_config: dict[str, Any] | None = None
    thinking: dict[str, Any] | None = None
    metadata: dict[str, Any] | None = None
    service_tier: str | None = None


def check(body: object) -> None:
    """Refuse a body that the API would refuse.

    Raises:
        ValueError: The API would refuse the body.
    """
    request = converted(body, _Request)
    refuse_if(not request.messages, "messages must not be empty")
    refuse_if(request.messages[0].role != "user", "the first message must have the role user")
    refuse_if(request.max_tokens < 1, "max_tokens must be 1 or more")
    refuse_if(request.tool_choice is not None and not request.tools, "tool_choice needs tools")
    roles = [turn.role for turn in request.messages]
    twice = any(one == other for one, other in pairwise(roles))
    refuse_if(twice, "roles must alternate between user and assistant")
    calls: list[str] = []
    for turn in request.messages:
        blocks = turn.content if isinstance(turn.content, list) else []
        for block in blocks:
            _check_block(block, turn.role)
        if turn.role == "user":
            check_results(calls, [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"])
            _check_results_first(blocks)
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
    refuse_if(bool(calls), "the last message has tool calls without results")


_FIELDS = {
    "text": {"text"},
    "image": {"source"},
    "document": {"source"},
    "thinking": {"thinking", "signature"},
    "redacted_thinking": {"data"},
    "tool_use": {"id", "name", "input"},
    "tool_result": {"tool_use_id", "content"},
}


def _check_block(block: dict[str, Any], role: str) -> None:
    kind = block.get("type")
    refuse_if(kind is None, f"a content block has no type: {block}")
    missing = _FIELDS.get(str(kind), set()) - set(block)
    refuse_if(bool(missing), f"a {kind} block lacks {sorted(missing)}")
    refuse_if(kind == "text" and not block["text"], "a text block must not be empty")
    refuse_if(
        kind == "tool_use" and not isinstance(block["input"], dict),
        "the input of a tool_use block must be an object",
    )
    refuse_if(kind == "tool_result" and role != "user", "only a user message may have tool results")
    refuse_if(
        kind in {"thinking", "tool_use"} and role != "assistant",
        f"only an assistant message may have {kind} blocks",
    )


def _check_results_first(blocks: list[dict[str, Any]]) -> None:
    kinds = [block["type"] == "tool_result" for block in blocks]
    refuse_if(kinds != sorted(kinds, reverse=True), "tool results must come first in their turn")
