"""Check requests to Anthropic's Messages API."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, Literal

from rxagents.testing.requests.strict import (
    Strict,
    check_ids,
    check_name,
    check_results,
    check_tool_settings,
    converted,
    objects_in,
    refuse_if,
)


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
    check_tool_settings(request.tools, tool_choice=request.tool_choice)
    _check_schemas(request)
    roles = [turn.role for turn in request.messages]
    twice = any(one == other for one, other in pairwise(roles))
    refuse_if(twice, "roles must alternate between user and assistant")
    calls: list[str] = []
    all_calls: list[str] = []
    system = request.system if isinstance(request.system, list) else []
    for block in system:
        _check_block(block, "user")
    for turn in request.messages:
        blocks = _blocks(turn)
        for block in blocks:
            _check_block(block, turn.role)
        if turn.role == "user":
            check_results(calls, [b["tool_use_id"] for b in blocks if b["type"] == "tool_result"])
            _check_results_first(blocks)
        else:
            _check_answer(blocks, is_last=turn is request.messages[-1])
        calls = [block["id"] for block in blocks if block["type"] == "tool_use"]
        all_calls += calls
    check_ids(all_calls, r"[a-zA-Z0-9_-]+")
    refuse_if(bool(calls), "the last message has tool calls without results")


def _blocks(turn: _Turn) -> list[dict[str, Any]]:
    if isinstance(turn.content, list):
        return turn.content
    return [{"type": "text", "text": turn.content}]


def _check_schemas(request: _Request) -> None:
    form = (request.output_config or {}).get("format", {})
    strict = [tool.input_schema for tool in request.tools if tool.strict]
    for schema in [form.get("schema"), *strict]:
        is_open = any(each.get("additionalProperties") is not False for each in objects_in(schema))
        refuse_if(is_open, "every object of a schema needs additionalProperties: false")


def _check_answer(blocks: list[dict[str, Any]], *, is_last: bool) -> None:
    """Refuse blocks that an assistant's turn must not have, or not at its end."""
    refuse_if(not blocks, "an assistant's message must have content")
    last = blocks[-1]
    is_thought = last["type"] in {"thinking", "redacted_thinking"}
    refuse_if(is_thought, "the last block of an assistant's message must not be thinking")
    trails = is_last and last["type"] == "text" and last["text"] != last["text"].rstrip()
    refuse_if(trails, "the last assistant's message must not end with white space")
    hosted = {
        str(block.get("id"))
        for block in blocks
        if block["type"].endswith("tool_use") and block["type"] != "tool_use"
    }
    results = {block["tool_use_id"] for block in blocks if "tool_use_id" in block}
    open_calls = set() if is_last else hosted - results
    refuse_if(bool(open_calls), f"the hosted tools {sorted(open_calls)} have no results")
    unknown = results - hosted
    refuse_if(bool(unknown), f"the results {sorted(unknown)} belong to no hosted tool")


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
    blank = kind == "text" and not block["text"].strip()
    refuse_if(blank, "a text block must have more than white space")
    unsigned = kind == "thinking" and not block["signature"]
    refuse_if(unsigned, "a thinking block has no signature")
    if kind == "tool_use":
        check_name(block["name"], r"[a-zA-Z0-9_-]{1,128}")
    refuse_if(
        kind == "tool_use" and not isinstance(block["input"], dict),
        "the input of a tool_use block must be an object",
    )
    if kind == "tool_result":
        _check_result(block["content"], is_error=bool(block.get("is_error")))
    refuse_if(kind == "tool_result" and role != "user", "only a user message may have tool results")
    refuse_if(
        kind in {"thinking", "tool_use"} and role != "assistant",
        f"only an assistant message may have {kind} blocks",
    )


_IN_RESULTS = {"text", "image", "document", "search_result"}


def _check_result(content: str | list[dict[str, Any]], *, is_error: bool) -> None:
    refuse_if(is_error and not content, "content cannot be empty if is_error is true")
    for block in content if isinstance(content, list) else ():
        _check_block(block, "user")
        kind = block["type"]
        refuse_if(kind not in _IN_RESULTS, f"a tool result must not contain a {kind} block")
        refuse_if(is_error and kind != "text", "all content must be text if is_error is true")


def _check_results_first(blocks: list[dict[str, Any]]) -> None:
    kinds = [block["type"] == "tool_result" for block in blocks]
    refuse_if(kinds != sorted(kinds, reverse=True), "tool results must come first in their turn")
