"""A host that refuses the native form of a typed answer is asked in another form."""

from __future__ import annotations

import json
from typing import Any

import pytest
from agent_runs import served
from msgspec import Struct
from wires import SpokenWire, each_wire

from rxagents import BadRequestError, FunctionAgent, ToolCall
from rxagents.testing import Reply, StatusReply

RIGHT = '{"city":"Oslo"}'


class City(Struct):
    city: str


def host(*refused: str) -> Any:
    """Return a script of a host that refuses some forms with a 400."""

    def reply(request: Any) -> Any:
        body = json.dumps(request.json())
        form = "native"
        if "give_answer" in body:
            form = "tool"
        elif "matches this JSON schema" in body:
            form = "prompt"
        if form in refused:
            message = "This response_format is unavailable" if form == "native" else "No."
            return StatusReply(400, {"error": {"message": message, "type": "invalid_request"}})
        call = ToolCall("a1", "give_answer", RIGHT)
        return Reply(tool_calls=[call]) if form == "tool" else Reply(RIGHT)

    return reply


@each_wire
@pytest.mark.parametrize("refused", [["native"], ["native", "tool"]], ids=["tool", "prompt"])
async def test_model_falls_back_once(wire: SpokenWire, refused: list[str]) -> None:
    async with served(wire, host(*refused), strict=False) as (server, llm):
        response = await llm.chat("?", response_format=City)
        count = len(server.requests)
        again = await llm.chat("?", response_format=City)
        assert (count, len(server.requests)) == (len(refused) + 1, len(refused) + 2)
    assert response.parsed == again.parsed == City("Oslo")
    assert llm.structured_output == ("prompt" if "tool" in refused else "tool")


@each_wire
@pytest.mark.parametrize("refused", [["native"], ["native", "tool"]], ids=["tool", "prompt"])
async def test_agent_falls_back_once(wire: SpokenWire, refused: list[str]) -> None:
    async with served(wire, host(*refused), strict=False) as (server, llm):
        agent = FunctionAgent(llm, output_type=City)
        assert (await agent.run("?")).output == City("Oslo")
        assert (await agent.run("?")).output == City("Oslo")
        assert len(server.requests) == len(refused) + 2


@each_wire
async def test_first_refusal_is_raised_if_all_fail(wire: SpokenWire) -> None:
    async with served(wire, host("native", "tool", "prompt"), strict=False) as (server, llm):
        with pytest.raises(BadRequestError, match="response_format is unavailable"):
            await FunctionAgent(llm, output_type=City).run("?")
        with pytest.raises(BadRequestError, match="response_format is unavailable"):
            await llm.chat("?", response_format=City)
        assert len(server.requests) == 6
    assert llm.structured_output == "native"


@each_wire
async def test_other_refusals_are_not_repeated(wire: SpokenWire) -> None:
    refusal = StatusReply(400, {"error": {"message": "max_tokens is too large"}})
    async with served(wire, refusal, strict=False) as (server, llm):
        with pytest.raises(BadRequestError, match="max_tokens"):
            await FunctionAgent(llm, output_type=City).run("?")
        with pytest.raises(BadRequestError, match="max_tokens"):
            await llm.chat("?", response_format=City)
        assert len(server.requests) == 2


@each_wire
async def test_chosen_form_is_not_changed(wire: SpokenWire) -> None:
    async with served(wire, host("tool"), strict=False, structured_output="tool") as (server, llm):
        with pytest.raises(BadRequestError):
            await llm.chat("?", response_format=City)
        assert len(server.requests) == 1
