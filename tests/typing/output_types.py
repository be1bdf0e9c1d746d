"""Types of runs with an `output_type`, as mypy and pyright see them; nothing here runs."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass
from typing import TypedDict, assert_type

from msgspec import Struct
from reactivex import Observable

from rxagents import (
    AgentResult,
    AgentRun,
    Conversation,
    ConversationalAgent,
    FunctionAgent,
    ParsedResponse,
    ReActAgent,
    Response,
    StreamEvent,
)
from rxagents.providers.base_llm import BaseLLM


class Weather(Struct):
    city: str
    degrees: int


@dataclass
class Point:
    x: int


class Options(TypedDict):
    depth: int


class OwnAgent:
    def run_stream(self, task: object, /) -> Observable[StreamEvent]:
        raise NotImplementedError


async def outputs_have_the_type(llm: BaseLLM) -> None:
    function = FunctionAgent(llm, output_type=Weather)
    assert_type(function, FunctionAgent[Weather])
    assert_type(await function.run("?"), AgentResult[Weather])
    assert_type((await function.run("?")).output.degrees, int)
    assert_type(function.start("?"), AgentRun[Weather])
    assert_type(function.start("?").result, Awaitable[AgentResult[Weather]])
    assert_type((await ReActAgent(llm, output_type=Point).run("?")).output, Point)
    assert_type((await ConversationalAgent(llm, output_type=Options).run("?")).output, Options)
    assert_type(
        (await FunctionAgent(llm, output_type=list[Weather]).run("?")).output, list[Weather]
    )
    assert_type((await Conversation(function).run("?", "id")).output, Weather)


async def outputs_are_text_by_default(llm: BaseLLM, agent: FunctionAgent) -> None:
    assert_type((await FunctionAgent(llm, temperature=0).run("?")).output, str)
    assert_type((await ReActAgent(llm).run("?")).output, str)
    assert_type((await ConversationalAgent(llm).run("?")).output, str)
    assert_type((await Conversation(FunctionAgent(llm)).run("?")).output, str)
    assert_type((await Conversation(OwnAgent()).run("?")).output, str)
    assert_type((await agent.run("?")).output, str)
    result: AgentResult = await agent.run("?")
    assert_type(result.output, str)


async def runs_have_types_of_their_own(llm: BaseLLM) -> None:
    agent = FunctionAgent(llm)
    assert_type(await agent.run("?", output_type=Weather, context=1), AgentResult[Weather])
    assert_type(agent.start("?", output_type=list[Point]), AgentRun[list[Point]])
    assert_type(await agent.resume([], {}, output_type=Point), AgentResult[Point])
    assert_type(await agent.run("?", context=1), AgentResult[str])
    chat = Conversation(FunctionAgent(llm, output_type=Weather))
    assert_type(await chat.run("?", "id", output_type=Point), AgentResult[Point])
    assert_type(chat.start("?", output_type=Point), AgentRun[Point])
    assert_type(await chat.resume({}, output_type=Point), AgentResult[Point])
    assert_type(await chat.resume({}), AgentResult[Weather])


async def answers_of_models_have_the_type(llm: BaseLLM) -> None:
    assert_type(await llm.chat("?", response_format=Weather), ParsedResponse[Weather])
    assert_type((await llm.chat("?", response_format=list[Weather])).parsed, list[Weather])
    assert_type(await llm.chat("?"), Response)
