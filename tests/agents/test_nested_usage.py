"""The tokens of sub-agents in runs that are stopped, steered or that fail."""

from __future__ import annotations

from typing import Any

import reactivex as rx
from agent_runs import HeldTool
from msgspec import Struct
from observing import Seen
from reactivex import Observable

from rxagents import (
    Complete,
    Conversation,
    FunctionAgent,
    ServerError,
    StreamEvent,
    ToolCall,
    ToolEnd,
    TurnEnd,
    Usage,
    tool,
)
from rxagents.testing import Reply, ScriptedLLM

FIVE = Usage(input_tokens=3, output_tokens=2, total_tokens=5)
ASKS = Reply(tool_calls=[ToolCall("call_e", "expert", '{"task":"?"}')], usage=FIVE)
HOLDS = Reply(tool_calls=[ToolCall("call_h", "held", '{"note":"x"}')], usage=FIVE)
QUICK = Reply(tool_calls=[ToolCall("call_q", "quick", "{}")], usage=FIVE)
QUICK_TOOL = tool(lambda: "quick result", name="quick")


class Answered(Struct):
    number: int


WRONG = Reply(['{"number": "no"', ', "more": 1}'])


def outer(child: FunctionAgent[Any], *replies: Any, **options: Any) -> FunctionAgent[str]:
    made = child.as_tool("expert", "Knows.")
    return FunctionAgent(ScriptedLLM(ASKS, *replies), [made], **options)


async def test_ended_turns_of_a_cancelled_child_count() -> None:
    held = HeldTool()
    child = FunctionAgent(ScriptedLLM(QUICK, HOLDS), [QUICK_TOOL, held.tool])
    run = outer(child).start("go")
    seen = Seen(run.events)
    await held.running.wait()
    assert run.usage == Usage(6, 4, 10)  # its own turn, and the first one of the child
    run.stop()
    result = await run.result
    assert result.usage == Usage(6, 4, 10)
    assert seen.all(Complete)[-1].usage == result.usage


async def test_steered_run_counts_a_cancelled_child_once() -> None:
    held = HeldTool()
    child = FunctionAgent(ScriptedLLM(QUICK, HOLDS), [QUICK_TOOL, held.tool])
    run = outer(child, Reply("Done.", usage=FIVE), max_total_tokens=11).start("go")
    await held.running.wait()
    assert run.steer("Leave it.", now=True)
    assert (await run.result).usage == Usage(9, 6, 15)


async def test_ended_child_is_not_counted_twice() -> None:
    held = HeldTool()
    child = FunctionAgent(ScriptedLLM(QUICK, Reply("I know.", usage=FIVE)), [QUICK_TOOL])
    calls = [*ASKS.tool_calls, *HOLDS.tool_calls]
    llm = ScriptedLLM(Reply(tool_calls=calls, usage=FIVE))
    run = FunctionAgent(llm, [child.as_tool("expert", "Knows."), held.tool]).start("go")
    seen = Seen(run.events)
    await seen.saw(ToolEnd, 2)
    await held.running.wait()
    run.stop()
    assert (await run.result).usage == Usage(9, 6, 15)


async def test_estimates_of_a_child_stay_apart() -> None:
    good = Reply('{"number": 1}', usage=FIVE)
    child = FunctionAgent(ScriptedLLM(WRONG, good), output_type=Answered)
    run = outer(child, Reply("One.", usage=FIVE)).start("go")
    seen = Seen(run.events)
    result = await run.result
    assert result.usage == Usage(9, 6, 15)
    [estimate] = [end.usage for end in seen.all(TurnEnd) if end.usage and end.usage.estimated]
    assert result.estimated_usage == estimate


async def test_estimates_of_a_child_that_fails_stay_apart() -> None:
    bad = Reply("", error=ServerError("It broke.", status=500))
    child = FunctionAgent(ScriptedLLM(WRONG, bad), output_type=Answered)
    run = outer(child, Reply("None.", usage=FIVE)).start("go")
    seen = Seen(run.events)
    result = await run.result
    assert result.usage == Usage(6, 4, 10)
    assert result.estimated_usage is not None
    assert result.estimated_usage.estimated
    [end] = [end for end in seen.all(ToolEnd) if not end.path]
    assert (end.usage, end.estimated_usage) == (None, result.estimated_usage)


class Emitting:
    """A user's own agent that emits one `Complete`."""

    def run_stream(self, _: Any, /) -> Observable[StreamEvent]:
        estimate = Usage(1, 1, 2, estimated=True)
        return rx.of(Complete("Yes.", FIVE, 1, "stop", estimated_usage=estimate))


async def test_estimates_of_own_agent_are_in_the_result() -> None:
    result = await Conversation(Emitting()).run("hi")
    assert result.usage == FIVE
    assert result.estimated_usage == Usage(1, 1, 2, estimated=True)
