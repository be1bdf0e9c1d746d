"""Check requests to Gemini's streamGenerateContent."""

from __future__ import annotations

from typing import Any, Literal

from rxagents.testing.requests.strict import (
    Strict,
    check_name,
    check_tool_settings,
    converted,
    refuse_if,
)


class _Call(Strict):
    name: str
    args: dict[str, Any] | None = None
    id: str | None = None


class _ResponsePart(Strict, rename="camel"):
    inline_data: dict[str, str]


class _Response(Strict):
    name: str
    response: dict[str, Any]
    id: str | None = None
    parts: tuple[_ResponsePart, ...] = ()


class _Part(Strict, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    thought_signature: str | None = None
    function_call: _Call | None = None
    function_response: _Response | None = None
    inline_data: dict[str, str] | None = None
    file_data: dict[str, str] | None = None
    executable_code: dict[str, Any] | None = None
    code_execution_result: dict[str, Any] | None = None


class _Content(Strict):
    role: Literal["user", "model"]
    parts: list[_Part]


class _Instruction(Strict):
    parts: list[_Part]


class _Request(Strict, rename="camel"):
    contents: list[_Content]
    system_instruction: _Instruction | None = None
    tools: tuple[dict[str, Any], ...] = ()
    tool_config: dict[str, Any] | None = None
    generation_config: dict[str, Any] | None = None
    safety_settings: tuple[dict[str, Any], ...] = ()
    cached_content: str | None = None


def check(body: object) -> None:
    """Refuse a body that the API would refuse.

    Raises:
        ValueError: The API would refuse the body.
    """
    request = converted(body, _Request)
    refuse_if(not request.contents, "contents must not be empty")
    refuse_if(request.contents[0].role != "user", "the first content must have the role user")
    check_tool_settings(request.tools, toolConfig=request.tool_config)
    _check_names(request)
    calls: list[str] = []
    for content in request.contents:
        refuse_if(not content.parts, "a content must have parts")
        refuse_if(any(map(_is_empty, content.parts)), "a part must not be empty")
        results = [part.function_response.name for part in content.parts if part.function_response]
        matches = sorted(results) == sorted(calls)
        refuse_if(not matches, f"the results {results} do not match the calls {calls} before them")
        calls = [part.function_call.name for part in content.parts if part.function_call]
        refuse_if(
            bool(calls) and content.role != "model", "only the role model may have function calls"
        )
    refuse_if(bool(calls), "the last content has function calls without results")


def _check_names(request: _Request) -> None:
    declared = [each for tool in request.tools for each in tool.get("functionDeclarations", ())]
    parts = [part for content in request.contents for part in content.parts]
    uses = [use for part in parts for use in (part.function_call, part.function_response) if use]
    for name in [*(str(each.get("name")) for each in declared), *(use.name for use in uses)]:
        check_name(name, r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")


def _is_empty(part: _Part) -> bool:
    """Return whether a part has neither text nor anything else; a signature may stand alone."""
    return not any(getattr(part, field) for field in _Part.__struct_fields__)
