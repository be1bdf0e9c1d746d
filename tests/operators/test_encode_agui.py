"""`encode_agui`: the events of a run in the order that AG-UI's client enforces."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from agent_runs import Calls
from frames import body_of, check_agui_order, frames_of
from hypothesis import given
from hypothesis import strategies as st
from run_events import run_events

import rxagents
from rxagents import (
    Complete,
    ConfigurationError,
    FunctionAgent,
    ReActAgent,
    ServerError,
    ToolCall,
    Usage,
)
from rxagents import operators as ops
from rxagents.operators._agui import AGUIEncoder
from rxagents.testing import Reply, ScriptedLLM

OSLO = ToolCall("call_1", "weather", '{"city": "Oslo"}')


async def encoded(stream: Any, **options: Any) -> list[Any]:
    frames = frames_of(await body_of(stream.pipe(ops.encode_agui(**options))))
    check_agui_order(frames)
    return frames


def kinds(frames: list[Any]) -> list[str]:
    return [frame["type"] for frame in frames]


async def test_run_with_a_tool() -> None:
    llm = ScriptedLLM(Reply("I look.", tool_calls=[OSLO]), Reply("Cold.", usage=Usage(1, 2, 3)))
    run = FunctionAgent(llm, [Calls().weather()]).run_stream("Oslo?")
    frames = await encoded(run, thread_id="t", run_id="r")
    once = list(dict.fromkeys(kinds(frames)))
    assert once == [
        *("RUN_STARTED", "STEP_STARTED", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT"),
        *("TOOL_CALL_START", "TOOL_CALL_ARGS", "TOOL_CALL_END", "TOOL_CALL_RESULT"),
        *("TEXT_MESSAGE_END", "STEP_FINISHED", "RUN_FINISHED"),
    ]
    assert frames[0] == {
        "type": "RUN_STARTED",
        "threadId": "t",
        "runId": "r",
        "protocolVersion": "1.0",
    }
    arguments = [each["delta"] for each in frames if each["type"] == "TOOL_CALL_ARGS"]
    assert "".join(arguments) == OSLO.arguments
    [result] = [each for each in frames if each["type"] == "TOOL_CALL_RESULT"]
    assert (result["content"], result["toolCallId"]) == ("Oslo is cold", "call_1")
    assert frames[-1]["outcome"] == {"type": "success"}
    assert frames[-1]["usage"][0]["inputTokens"] == 1


async def test_react_thoughts_are_reasoning() -> None:
    llm = ScriptedLLM('Thought: hm\nAction: weather({"city": "Oslo"})', "Answer: Cold.")
    frames = await encoded(ReActAgent(llm, [Calls().weather()]).run_stream("Oslo?"))
    said = [each["delta"] for each in frames if each["type"] == "TEXT_MESSAGE_CONTENT"]
    assert "".join(said) == "Cold."
    thought = [each["delta"] for each in frames if each["type"] == "REASONING_MESSAGE_CONTENT"]
    assert "".join(thought) == "hm"
    assert "TOOL_CALL_ARGS" in kinds(frames)


async def test_sub_agents_have_runs_of_their_own() -> None:
    child = FunctionAgent(ScriptedLLM("Cold.")).as_tool("expert", "Knows it.")
    asks = Reply(tool_calls=[ToolCall("call_e", "expert", '{"task": "Oslo?"}')])
    frames = await encoded(FunctionAgent(ScriptedLLM(asks, "Cold."), [child]).run_stream("Oslo?"))
    [start] = [each for each in frames if each["type"] == "SUBAGENT_STARTED"]
    assert (start["name"], start["parentToolCallId"]) == ("expert", "call_e")
    inner = [each for each in frames if each.get("subagentRunId") == start["subagentRunId"]]
    assert "TEXT_MESSAGE_CONTENT" in kinds(inner)
    assert kinds(inner)[-1] == "SUBAGENT_FINISHED"


async def test_failure_is_the_last_event() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no", status=500)))
    frames = await encoded(FunctionAgent(llm).run_stream("hi"))
    assert frames[-1]["type"] == "RUN_ERROR"
    assert frames[-1]["code"] == "ServerError"
    assert kinds(frames).count("RUN_ERROR") == 1


@pytest.mark.parametrize(
    ("reason", "outcome"), [("stop", "success"), ("cancelled", "cancelled"), ("limit", "success")]
)
async def test_outcome_is_the_finish_reason(reason: str, outcome: str) -> None:
    frames = await encoded(rx.of(Complete("Cold.", None, 1, reason)))
    assert frames[-1]["outcome"]["type"] == outcome
    assert frames[-1]["result"] == "Cold."


async def test_waiting_calls_are_interrupts() -> None:
    request = rxagents.ApprovalRequest("c", "mail", {"to": "ada"})
    complete = Complete("", None, 1, "approval", pending=(ToolCall("c", "mail"),))
    frames = await encoded(rx.of(request, complete))
    [waiting] = frames[-1]["outcome"]["interrupts"]
    assert (waiting["id"], waiting["toolCallId"]) == ("c", "c")


async def test_model_streams_are_runs_too() -> None:
    llm = ScriptedLLM(Reply("Hi.", reasoning="hm", tool_calls=[OSLO], usage=Usage(1, 2, 3)))
    frames = await encoded(llm.chat_stream("hi"))
    assert {"REASONING_MESSAGE_CONTENT", "TEXT_MESSAGE_CONTENT", "TOOL_CALL_END"} <= set(
        kinds(frames)
    )
    assert frames[-1]["usage"][0]["totalTokens"] == 3


async def test_empty_stream_is_an_empty_run() -> None:
    assert kinds(await encoded(rx.empty())) == ["RUN_STARTED", "RUN_FINISHED"]


async def test_other_items_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="encode_agui takes StreamEvents"):
        await body_of(rx.of(1).pipe(ops.encode_agui()))  # type: ignore[arg-type]  # that is tested


@given(st.lists(run_events(), max_size=40))
def test_any_order_of_events_keeps_the_rules(events: list[Any]) -> None:
    encoder = AGUIEncoder("t", "r")
    body = b"".join(map(encoder.event, events)) + encoder.end()
    check_agui_order(frames_of(body))
