"""A call of `functions.add`, over HTTP: it runs the tool `add`, and the model sees its result."""

from __future__ import annotations

from agent_runs import seen_to_end, served
from wires import SpokenWire, any_wire

from rxagents import FunctionAgent, ToolCall, ToolEnd, ToolStart, tool
from rxagents.testing import Reply


@tool
async def add(a: int, b: int) -> int:
    """Add."""
    return a + b


@any_wire
async def test_call_with_namespace_runs_the_tool(wire: SpokenWire) -> None:
    turn = Reply(tool_calls=[ToolCall("call_1", "functions.add", '{"a": 40, "b": "2"}')])
    async with served(wire, turn, Reply("It is 42.")) as (server, llm):
        seen = await seen_to_end(FunctionAgent(llm, [add]).run_stream("hi"))
        assert seen.completed
        (start,), (end,) = seen.all(ToolStart), seen.all(ToolEnd)
        assert (start.name, end.name, end.result) == ("add", "add", "42")
        assert '"42"' in server.requests[1].body.decode()
