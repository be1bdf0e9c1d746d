"""The faults of the Go original in its agents, memory and tools, one test each.

The list is the first chapter of the design; many of these are tested in depth elsewhere.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import reactivex as rx
from agent_runs import Calls, HeldTool, RunSeen, seen_to_end, served
from remembering import done
from wires import SpokenWire, any_wire

import rxagents
from rxagents import (
    ConversationalAgent,
    FunctionAgent,
    Memory,
    ReActAgent,
    StreamChunk,
    Token,
    ToolCall,
    ToolContext,
    ToolEnd,
    ToolStart,
    tool,
)
from rxagents import operators as ops
from rxagents.testing import Ending, Reply, ScriptedLLM, ScriptedServer, StatusReply
from rxagents.tools import file_tools, http_request

OSLO = ToolCall("call_1", "weather", '{"city":"Oslo"}')


# The function agent.


@any_wire
async def test_function_agent_streams(wire: SpokenWire) -> None:
    endless = Reply("a b c", interval=0.001, ending=Ending.ENDLESS)
    async with served(wire, endless) as (_, llm):
        seen = RunSeen(FunctionAgent(llm).run_stream("hi"))
        await seen.saw(Token, 2)  # while the model still writes
        seen.dispose()


@any_wire
async def test_function_agent_uses_given_model(wire: SpokenWire) -> None:
    async with served(wire, Reply(tool_calls=[OSLO]), "Cold.") as (server, llm):
        await FunctionAgent(llm, [Calls().weather()]).run("hi")
        for request in server.requests:
            assert request.json().get("model") == "m" or "/models/m:" in request.path


async def test_tool_starts_before_the_next_call() -> None:
    held = HeldTool()
    calls = [ToolCall("call_1", "held", "{}"), ToolCall("call_2", "held", "{}")]
    llm = ScriptedLLM(Reply(tool_calls=calls, interval=0.01))
    seen = RunSeen(FunctionAgent(llm, [held.tool]).run_stream("hi"))
    await held.running.wait()
    assert len(seen.all(ToolStart)) == 1
    seen.dispose()


# The ReAct agent.


def test_react_token_cost_does_not_grow() -> None:
    def seconds(count: int) -> float:
        text = ["word "] * count
        chunks = rx.of(StreamChunk("Thought: "), *map(StreamChunk, text))
        start = time.process_time()
        chunks.pipe(ops.scan_steps()).subscribe()
        return time.process_time() - start

    few, many = (min(seconds(count) for _ in range(3)) for count in (4_000, 40_000))
    assert many < few * 40  # scanning all the text again at each token makes it 100


async def test_react_emits_no_thinking_literal() -> None:
    llm = ScriptedLLM('Action: weather("Oslo")', "Answer: Cold.")
    seen = await seen_to_end(ReActAgent(llm, [Calls().weather()]).run_stream("hi"))
    assert not [event for event in seen.events if "Thinking" in event.content]


async def test_react_rejects_made_up_observation() -> None:
    llm = ScriptedLLM('Action: weather("Oslo")\nObservation: warm\nAnswer: Warm.', "Answer: No.")
    result = await ReActAgent(llm, [Calls().weather()]).run("hi")
    assert result.output == "No."
    assert "warm" not in "".join(message.text for message in result.messages).lower()


async def test_react_keeps_lines_and_quoted_commas() -> None:
    calls = Calls()
    llm = ScriptedLLM(
        'Thought: One,\ntwo.\nAction: weather(city="Paris, France", days=3)',
        "Answer: First.\n\nSecond.",
    )
    result = await ReActAgent(llm, [calls.weather()]).run("hi")
    assert result.trace[0].thought == "One,\ntwo."
    assert calls.made == [("weather", {"city": "Paris, France", "days": 3})]
    assert result.output == "First.\n\nSecond."


async def test_react_arguments_keep_types() -> None:
    @tool
    async def take(count: int, is_it: bool, items: list[float]) -> str:
        return repr((count, is_it, items))

    llm = ScriptedLLM("Action: take(count=3, is_it=true, items=[1.5, 2])", "Answer: ok")
    seen = await seen_to_end(ReActAgent(llm, [take]).run_stream("hi"))
    assert seen.all(ToolEnd)[0].result == "(3, True, [1.5, 2.0])"


async def test_react_without_iterations_fails() -> None:
    agent = ReActAgent(ScriptedLLM("Hm."), max_iterations=2)
    seen = await seen_to_end(agent.run_stream("hi"))
    assert isinstance(seen.error, rxagents.MaxIterationsError)
    assert not seen.all(rxagents.Complete)


# Memory.


async def test_smallest_limit_keeps_newest_message() -> None:
    llm = ScriptedLLM("one", "two", "three")
    agent = ConversationalAgent(llm, memory=Memory("window", max_messages=1))
    for text in ("first", "second", "third"):
        await agent.run(text)
        assert llm.requests[-1].messages[-1].text == text


@pytest.mark.parametrize("how", ["fails", "is disposed"])
async def test_failed_run_leaves_no_half_turn(how: str) -> None:
    broken = Reply("Hm", error=rxagents.BadRequestError("no", status=400), interval=0.001)
    llm = ScriptedLLM("Hello Ada.", broken, "You are Ada.")
    agent = ConversationalAgent(llm)
    await agent.run("I am Ada.")
    before = done(agent.memory.export("default"))
    seen = RunSeen(agent.run_stream("What is lost?"))
    if how == "fails":
        await seen.over.wait()
        assert seen.error is not None
    else:
        await seen.saw(Token)
        seen.dispose()
    assert done(agent.memory.export("default")) == before
    await agent.run("Who am I?")
    assert "lost" not in "".join(message.text for message in llm.requests[-1].messages)


# Tools.


async def test_file_tools_follow_no_outside_link(tmp_path: Path) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text("the secret")
    (inside / "link.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "up").symlink_to(tmp_path)
    paths = ("link.txt", "up/secret.txt", "../secret.txt", str(tmp_path / "secret.txt"))
    calls = [ToolCall(f"call_{n}", "read_file", _json(path)) for n, path in enumerate(paths)]
    llm = ScriptedLLM(Reply(tool_calls=calls), "Done.")
    seen = await seen_to_end(FunctionAgent(llm, file_tools(inside)).run_stream("hi"))
    ends = seen.all(ToolEnd)
    assert len(ends) == 4
    for end in ends:
        assert end.error is not None
        assert "the secret" not in end.result


def _json(path: str) -> str:
    return f'{{"path": "{path}"}}'


async def test_http_tool_guards_addresses() -> None:
    async with ScriptedServer(StatusReply(200, "inside")) as server:
        for name in ("127.0.0.1", "localhost", "[::1]", "2130706433", "0x7f.1"):
            url = f"http://{name}:{server.port}/"
            with pytest.raises(rxagents.ToolError):
                await http_request.bind({"url": url}, ToolContext("1", "http_request"))()
        assert server.requests == []
