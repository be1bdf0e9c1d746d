"""Check requests to OpenAI's Responses API."""

from __future__ import annotations

from typing import Any, Literal

from rxagents.testing.requests.strict import Strict, check_results, converted, refuse_if


class _Tool(Strict):
    type: Literal["function"]
    name: str
    parameters: dict[str, Any]
    strict: bool
    description: str = ""


class _Request(Strict):
    model: str
    input: list[dict[str, Any]]
    stream: Literal[True]
    store: bool | None = None
    include: tuple[str, ...] = ()
    instructions: str | None = None
    tools: tuple[_Tool, ...] = ()
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    max_output_tokens: int | None = None
    text: dict[str, Any] | None = None
    reasoning: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    service_tier: str | None = None


_FIELDS = {
    "message": {"role", "content"},
    "function_call": {"call_id", "name", "arguments"},
    "function_call_output": {"call_id", "output"},
    "reasoning": {"id", "summary"},
}


def check(body: object) -> None:
    """Refuse a body that the API would refuse.

    Raises:
        ValueError: The API would refuse the body.
    """
    request = converted(body, _Request)
    refuse_if(not request.input, "input must not be empty")
    refuse_if(request.tool_choice is not None and not request.tools, "tool_choice needs tools")
    kinds = [item.get("type", "message") for item in request.input]
    for item, kind in zip(request.input, kinds, strict=True):
        missing = _FIELDS.get(kind, set()) - set(item)
        refuse_if(bool(missing), f"a {kind} item lacks {sorted(missing)}")
        unknown = kind == "message" and item["role"] not in _ROLES
        refuse_if(unknown, f"a message has the role {item.get('role')!r}")
    check_results(_ids(request.input, "function_call"), _ids(request.input, "function_call_output"))
    _check_reasoning(kinds)


_ROLES = {"system", "developer", "user", "assistant"}


def _ids(items: list[dict[str, Any]], kind: str) -> list[str]:
    return [item["call_id"] for item in items if item.get("type") == kind]


def _check_reasoning(kinds: list[str]) -> None:
    """Refuse reasoning without an output item of the model after it."""
    for kind, following in zip(kinds, [*kinds[1:], "nothing"], strict=True):
        lonely = kind == "reasoning" and following in {"nothing", "function_call_output"}
        refuse_if(lonely, "a reasoning item must be followed by the output item that it led to")
