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


class _Response(Strict):
    name: str
    response: dict[str, Any]
    id: str | None = None


class _Part(Strict):
    text: str | None = None
    thought: bool | None = None
    thoughtSignature: str | None = None  # noqa: N815 - the names of the wire
    functionCall: _Call | None = None  # noqa: N815
    functionResponse: _Response | None = None  # noqa: N815
    inlineData: dict[str, str] | None = None  # noqa: N815
    fileData: dict[str, str] | None = None  # noqa: N815
    executableCode: dict[str, Any] | None = None  # noqa: N815
    codeExecutionResult: dict[str, Any] | None = None  # noqa: N815


class _Content(Strict):
    role: Literal["user", "model"]
    parts: list[_Part]


class _Instruction(Strict):
    parts: list[_Part]


class _Request(Strict):
    contents: list[_Content]
    systemInstruction: _Instruction | None = None  # noqa: N815
    tools: tuple[dict[str, Any], ...] = ()
    toolConfig: dict[str, Any] | None = None  # noqa: N815
    generationConfig: dict[str, Any] | None = None  # noqa: N815
    safetySettings: tuple[dict[str, Any], ...] = ()  # noqa: N815
    cachedContent: str | None = None  # noqa: N815


def check(body: object) -> None:
    """Refuse a body that the API would refuse.

    Raises:
        ValueError: The API would refuse the body.
    """
    request = converted(body, _Request)
    refuse_if(not request.contents, "contents must not be empty")
    refuse_if(request.contents[0].role != "user", "the first content must have the role user")
    check_tool_settings(request.tools, toolConfig=request.toolConfig)
    _check_names(request)
    calls: list[str] = []
    for content in request.contents:
        refuse_if(not content.parts, "a content must have parts")
        refuse_if(any(map(_is_empty, content.parts)), "a part must not be empty")
        results = [part.functionResponse.name for part in content.parts if part.functionResponse]
        matches = sorted(results) == sorted(calls)
        refuse_if(not matches, f"the results {results} do not match the calls {calls} before them")
        calls = [part.functionCall.name for part in content.parts if part.functionCall]
        refuse_if(
            bool(calls) and content.role != "model", "only the role model may have function calls"
        )
    refuse_if(bool(calls), "the last content has function calls without results")


def _check_names(request: _Request) -> None:
    declared = [each for tool in request.tools for each in tool.get("functionDeclarations", ())]
    parts = [part for content in request.contents for part in content.parts]
    uses = [use for part in parts for use in (part.functionCall, part.functionResponse) if use]
    for name in [*(str(each.get("name")) for each in declared), *(use.name for use in uses)]:
        check_name(name, r"[a-zA-Z_][a-zA-Z0-9_.:-]{0,63}")


def _is_empty(part: _Part) -> bool:
    """Return whether a part has neither text nor anything else; a signature may stand alone."""
    return not any(getattr(part, field) for field in _Part.__struct_fields__)
