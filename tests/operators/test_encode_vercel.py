"""`encode_vercel`: the chunks that Vercel's client accepts."""

from __future__ import annotations

from typing import Any

import pytest
import reactivex as rx
from agent_runs import Calls
from frames import body_of, check_vercel_order, frames_of
from hypothesis import given
from hypothesis import strategies as st
from run_events import run_events

import rxagents
from rxagents import (
    Complete,
    ErrorInfo,
    FunctionAgent,
    Reset,
    ServerError,
    Token,
    ToolCall,
    ToolEnd,
    TurnEnd,
    TurnStart,
    Usage,
)
from rxagents import operators as ops
from rxagents.operators._vercel import VercelEncoder
from rxagents.testing import Reply, ScriptedLLM

RUN_RESET = Reset.of(ServerError("It broke off.", status=500), "run")
OSLO = ToolCall("call_1", "weather", '{"city": "Oslo"}')


async def encoded(stream: Any, **options: Any) -> list[Any]:
    frames = frames_of(await body_of(stream.pipe(ops.encode_vercel(**options))))
    check_vercel_order(frames)
    return frames


def kinds(frames: list[Any]) -> list[str]:
    return [frame if isinstance(frame, str) else frame["type"] for frame in frames]


async def test_run_with_a_tool() -> None:
    llm = ScriptedLLM(Reply("I look.", tool_calls=[OSLO]), Reply("Cold.", usage=Usage(1, 2, 3)))
    run = FunctionAgent(llm, [Calls().weather()]).run_stream("Oslo?")
    frames = await encoded(run, message_id="m")
    assert list(dict.fromkeys(kinds(frames))) == [
        *("start", "start-step", "text-start", "text-delta"),
        *("tool-input-start", "tool-input-delta", "tool-input-available"),
        *("tool-output-available", "text-end", "finish-step", "finish", "[DONE]"),
    ]
    assert frames[0] == {"type": "start", "messageId": "m"}
    [given_input] = [each for each in frames[:-1] if each["type"] == "tool-input-available"]
    assert given_input["input"] == {"city": "Oslo"}
    assert given_input["dynamic"] is True
    assert frames[-2]["finishReason"] == "stop"
    assert frames[-2]["messageMetadata"]["usage"]["input_tokens"] == 1


async def test_attempt_after_the_first_turn_drops_the_step() -> None:
    events = [
        TurnStart(1),
        Token("Half"),
        RUN_RESET,
        TurnStart(1),
        Token("Whole."),
        Complete("Whole."),
    ]
    frames = await encoded(rx.from_iterable(events))
    assert [each["delta"] for each in frames[:-1] if each["type"] == "text-delta"] == [
        "Half",
        "Whole.",
    ]
    assert kinds(frames).index("reset-step") == kinds(frames).index("text-delta") + 1


async def test_attempt_after_later_turns_ends_the_message() -> None:
    """Nothing takes back the parts of turns that have ended."""
    events = [TurnStart(1), Token("One."), TurnEnd(1), TurnStart(2), Token("Half"), RUN_RESET]
    events += [TurnStart(1), Token("Whole."), Complete("Whole.")]
    frames = await encoded(rx.from_iterable(events))
    assert kinds(frames)[-2:] == ["error", "[DONE]"]
    assert "Whole." not in str(frames)


async def test_reset_drops_the_step() -> None:
    info = ErrorInfo("ServerError", "broken")
    events = [Token("Half"), Reset(info), Token("Whole."), Complete("Whole.", None, 1, "stop")]
    frames = await encoded(rx.from_iterable(events))
    assert kinds(frames)[:6] == [
        *("start", "text-start", "text-delta", "reset-step", "text-start", "text-delta")
    ]


async def test_denied_call_is_denied() -> None:
    events = [
        rxagents.ApprovalRequest("c", "mail", {"to": "ada"}),
        rxagents.ApprovalAnswer("c", "mail", approved=False, reason="no"),
        ToolEnd("c", "mail", "It was denied.", ErrorInfo("ToolError", "no")),
        Complete("Then not.", None, 2, "stop"),
    ]
    frames = await encoded(rx.from_iterable(events))
    assert kinds(frames)[1:6] == [
        *("tool-input-start", "tool-input-available", "tool-approval-request"),
        *("tool-approval-response", "tool-output-denied"),
    ]


async def test_failure_ends_with_its_message() -> None:
    llm = ScriptedLLM(Reply("Half", error=ServerError("no", status=500)))
    frames = await encoded(FunctionAgent(llm).run_stream("hi"))
    assert kinds(frames)[-2:] == ["error", "[DONE]"]
    assert "no" in frames[-2]["errorText"]


@pytest.mark.parametrize(
    ("reason", "finish"),
    [("length", "length"), ("content_filter", "content-filter"), ("odd", "other"), ("", "other")],
)
async def test_finish_reasons_are_vercels(reason: str, finish: str) -> None:
    frames = await encoded(rx.of(Complete("", None, 1, reason)))
    assert frames[-2]["finishReason"] == finish


async def test_stopped_run_is_aborted() -> None:
    assert (await encoded(rx.of(Complete("", None, 1, "cancelled"))))[-2]["type"] == "abort"


async def test_sub_agents_are_transient_data() -> None:
    frames = await encoded(rx.of(Token("inner", path=("expert",)), Complete("Done.")))
    [inner] = [each for each in frames[:-1] if each["type"] == "data-subagent"]
    assert inner["transient"] is True
    assert inner["data"]["path"] == ["expert"]
    assert [each["delta"] for each in frames[:-1] if each["type"] == "text-delta"] == ["Done."]


@given(st.lists(run_events(), max_size=40))
def test_any_order_of_events_keeps_the_rules(events: list[Any]) -> None:
    encoder = VercelEncoder("m")
    check_vercel_order(frames_of(b"".join(map(encoder.event, events)) + encoder.end()))
