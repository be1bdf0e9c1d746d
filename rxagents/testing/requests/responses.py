"""Check requests to OpenAI's Responses API."""

from __future__ import annotations

from typing import Any, Literal

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
    check_tool_settings(
        request.tools,
        tool_choice=request.tool_choice,
        parallel_tool_calls=request.parallel_tool_calls,
    )
    for tool in request.tools:
        check_name(tool.name)
    form = (request.text or {}).get("format", {})
    if form.get("type") == "json_schema":
        check_name(str(form.get("name")))
        check_root(form.get("schema"))
    kinds = [item.get("type", "message") for item in request.input]
    for item, kind in zip(request.input, kinds, strict=True):
        missing = _FIELDS.get(kind, set()) - set(item)
        refuse_if(bool(missing), f"a {kind} item lacks {sorted(missing)}")
        unknown = kind == "message" and item["role"] not in _ROLES
        refuse_if(unknown, f"a message has the role {item.get('role')!r}")
        if kind == "function_call":
            check_name(item["name"])
            check_arguments(item["name"], item["arguments"])
        elif kind == "function_call_output":
            _check_result(item["output"])
        elif item.get("role") == "assistant":
            _check_output(item)
    calls = _ids(request.input, "function_call")
    check_ids(calls, r"\S(.{0,62}\S)?")
    check_results(calls, _ids(request.input, "function_call_output"))
    _check_reasoning(request.input)


_ROLES = {"system", "developer", "user", "assistant"}


def _ids(items: list[dict[str, Any]], kind: str) -> list[str]:
    return [item["call_id"] for item in items if item.get("type") == kind]


_IN_RESULTS = {"input_text", "input_image", "input_file"}


def _check_result(output: str | list[dict[str, Any]]) -> None:
    kinds = [] if isinstance(output, str) else [part.get("type") for part in output]
    wrong = [kind for kind in kinds if kind not in _IN_RESULTS]
    refuse_if(bool(wrong), f"the output of a function call must not contain {wrong}")


def _check_output(item: dict[str, Any]) -> None:
    """Refuse an assistant's text in another form than that which all hosts accept."""
    refuse_if(item.get("type") != "message", "an assistant's message lacks type 'message'")
    content = item["content"] if isinstance(item["content"], list) else [{}]
    wrong = any(part.get("type") != "output_text" for part in content)
    refuse_if(wrong, "an assistant's message must have content of the type 'output_text'")


def _check_reasoning(items: list[dict[str, Any]]) -> None:
    """Refuse reasoning without an output item of the model after it."""
    needs_output = False
    for item in [*items, {"role": "user"}]:
        kind = item.get("type", "message")
        if kind == "reasoning":
            needs_output = True
            continue
        is_output = kind != "function_call_output" and item.get("role") in {None, "assistant"}
        lonely = needs_output and not is_output
        refuse_if(lonely, "a reasoning item must be followed by the output item that it led to")
        needs_output = False
