"""Answers of a type: `chat(response_format=…)` over HTTP and in process."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypedDict, assert_type

import pytest
from msgspec import Struct

from rxagents import (
    Anthropic,
    BaseLLM,
    ConfigurationError,
    Gemini,
    Message,
    Ollama,
    OpenAI,
    OpenAIResponses,
    OutputError,
    ParsedResponse,
    Response,
    ToolCall,
    Usage,
)
from rxagents.testing import Reply, ScriptedLLM, ScriptedServer

PROVIDERS: list[Any] = [OpenAI, OpenAIResponses, Anthropic, Gemini, Ollama]


class City(Struct):
    name: str
    size: int


@dataclass
class Point:
    x: int
    y: int


class Options(TypedDict):
    depth: int


class Model:
    """Stands for a pydantic model, by its two methods."""

    schema: ClassVar[dict[str, Any]] = {
        "$ref": "#/$defs/Model",
        "$defs": {"Model": {"type": "object", "properties": {"n": {"type": "integer"}}}},
    }

    def __init__(self, n: int) -> None:
        self.n = n

    @classmethod
    def model_json_schema(cls) -> dict[str, Any]:
        return cls.schema

    @classmethod
    def model_validate_json(cls, data: bytes) -> Self:
        n = json.loads(data)["n"]
        if not isinstance(n, int):
            raise ValueError("n: Input should be a valid integer")  # noqa: TRY004 - as pydantic
        return cls(n)


class RootModel(Model):
    """Stands for a pydantic `RootModel[int]`, whose JSON is a number."""

    schema: ClassVar[dict[str, Any]] = {"type": "integer"}

    @classmethod
    def model_validate_json(cls, data: bytes) -> Self:
        return cls(int(data))


def provider(kind: Any, server: ScriptedServer, **options: Any) -> Any:
    url = f"http://127.0.0.1:{server.port}"
    return kind("m", api_key="k" * 20, base_url=url, max_retries=0, **options)


@pytest.mark.parametrize("kind", PROVIDERS)
async def test_wrong_answer_is_corrected_over_http(kind: Any) -> None:
    usage = Usage(input_tokens=3, output_tokens=4, total_tokens=7)
    replies = [
        Reply('{"name": "Rome", "size": "big"}', usage=usage),
        Reply('{"name": "Rome", "size": 3}', usage=usage),
    ]
    async with ScriptedServer(*replies) as server, provider(kind, server) as llm:
        response = await llm.chat("Which city?", response_format=City)
        first, second = [request.json() for request in server.requests]
    assert response.parsed == City("Rome", 3)
    assert response.usage.input_tokens == 6
    assert "inhabitants" not in json.dumps(first)
    assert '"size"' in json.dumps(first)
    assert "Expected `int`, got `str` - at `$.size`" in json.dumps(second)


@pytest.mark.parametrize("kind", PROVIDERS)
@pytest.mark.parametrize("mode", ["tool", "prompt"])
async def test_other_modes_over_http(kind: Any, mode: str) -> None:
    text = '{"value": [{"name": "Rome", "size": 3}]}'
    as_tool = Reply(tool_calls=[ToolCall("c1", "give_answer", text)])
    reply = as_tool if mode == "tool" else Reply(f"Here it is:\n```json\n{text}\n```")
    async with ScriptedServer(reply) as server:
        async with provider(kind, server, structured_output=mode) as llm:
            response = await llm.chat("Which cities?", response_format=list[City])
            body = json.dumps(server.requests[0].json())
    assert response.parsed == [City("Rome", 3)]
    assert "json_schema" not in body
    assert ("give_answer" in body) == (mode == "tool")
    assert ("matches this JSON schema" in body) == (mode == "prompt")


async def test_wrong_tool_answer_gets_error_result() -> None:
    calls = [
        Reply(tool_calls=[ToolCall("c1", "give_answer", '{"name": 5, "size": 3}')]),
        Reply(tool_calls=[ToolCall("c2", "give_answer", '{"name": "Rome", "size": 3}')]),
    ]
    llm = ScriptedLLM(*calls)
    llm.structured_output = "tool"
    response = await llm.chat("Which city?", response_format=City)
    assert response.parsed == City("Rome", 3)
    last = llm.requests[1].messages[-1]
    assert last.role == "tool"
    assert "at `$.name`" in last.parts[0].content  # type: ignore[union-attr]  # a tool result
    assert llm.requests[0].settings.tool_choice == "give_answer"


async def test_calls_beside_a_wrong_answer_get_results() -> None:
    answer = ToolCall("c1", "give_answer", '{"name": 5, "size": 3}')
    right = ToolCall("c3", "give_answer", '{"name": "Rome", "size": 3}')
    llm = ScriptedLLM(
        Reply(tool_calls=[answer, ToolCall("c2", "look", "{}")]), Reply(tool_calls=[right])
    )
    llm.structured_output = "tool"
    response = await llm.chat("Which city?", [{"name": "look"}], response_format=City)
    assert response.parsed == City("Rome", 3)
    results = [m.parts[0] for m in llm.requests[1].messages if m.role == "tool"]
    assert [getattr(part, "call_id", "") for part in results] == ["c1", "c2"]


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (Options, '{"depth": 1}', {"depth": 1}),
        (dict[str, int], '{"a": 1}', {"a": 1}),
        (int, '{"value": 5}', 5),
        (int | None, '{"value": null}', None),
        (list[City], '{"value": []}', []),
        (City, 'Sure! {"name": "{}", "size": "7"} Bye.', City("{}", 7)),
    ],
)
async def test_answer_becomes_value(kind: Any, text: str, expected: Any) -> None:
    response = await ScriptedLLM(text).chat("?", response_format=kind)
    assert response.parsed == expected


async def test_pydantic_models_are_recognized_by_methods() -> None:
    llm = ScriptedLLM('{"n": "x"}', '{"n": 4}')
    assert (await llm.chat("?", response_format=Model)).parsed.n == 4
    assert "n: Input should be" in llm.requests[1].messages[-1].text
    assert (await ScriptedLLM('{"value": 4}').chat("?", response_format=RootModel)).parsed.n == 4


async def test_corrections_are_bounded() -> None:
    llm = ScriptedLLM("no JSON")
    with pytest.raises(OutputError, match="contains no JSON object"):
        await llm.chat("?", response_format=City, corrections=3)
    assert len(llm.requests) == 4
    with pytest.raises(ConfigurationError, match="corrections"):
        await llm.chat("?", response_format=City, corrections=-1)


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        (Reply('{"name": "Ro', finish_reason="length"), "Raise max_tokens"),
        (Reply(refusal="I cannot."), "refused to answer: I cannot"),
    ],
)
async def test_cut_and_refused_answers_are_not_corrected(reply: Reply, message: str) -> None:
    llm = ScriptedLLM(reply)
    with pytest.raises(OutputError, match=message):
        await llm.chat("?", response_format=City)
    assert len(llm.requests) == 1


async def test_tool_call_instead_of_answer_has_no_value() -> None:
    def look() -> str:
        """Look."""
        return ""

    llm = ScriptedLLM(Reply(tool_calls=[ToolCall("c1", "look", "{}")]))
    response = await llm.chat("?", [look], response_format=City)
    assert response.tool_calls[0].name == "look"
    with pytest.raises(OutputError, match="the model called look"):
        _ = response.parsed


async def test_format_of_constructor_is_parsed() -> None:
    async with ScriptedServer(Reply('{"name": "Rome", "size": 3}')) as server:
        async with provider(OpenAI, server, response_format=City) as llm:
            response = await llm.chat("?")
    assert isinstance(response, ParsedResponse)
    assert response.parsed == City("Rome", 3)


def test_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'native', 'tool' or 'prompt', not 'x'"):
        OpenAI("m", api_key="k", structured_output="x")  # type: ignore[arg-type]  # refused


async def test_prompt_mode_keeps_system_prompt() -> None:
    llm = ScriptedLLM('{"name": "Rome", "size": 3}')
    llm.structured_output = "prompt"
    await llm.chat([Message.system("Be kind."), "?"], response_format=City)
    system, user = llm.requests[0].messages
    assert system.text.startswith("Be kind.\n\nGive your final answer")
    assert user.text == "?"


async def type_checker_knows_value(llm: BaseLLM) -> None:
    assert_type(await llm.chat("?", response_format=City), ParsedResponse[City])
    assert_type((await llm.chat("?", response_format=list[City])).parsed, list[City])
    assert_type((await llm.chat("?", temperature=0, response_format=Model)).parsed, Model)
    assert_type(await llm.chat("?"), Response)
    assert_type(await llm.chat("?", response_format="json_object"), Response)
