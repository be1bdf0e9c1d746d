"""Ids, names and arguments of calls that fit a wire, the same in a call and in its result."""

from __future__ import annotations

import json
import re
import time

import pytest

from rxagents import Message, ToolCall, ToolResult
from rxagents.wire.sent_calls import ANY_ID, IdRule, SentCalls, arguments_text_of, fitting_name

WORDS = IdRule(r"[a-zA-Z0-9_-]{1,20}", digits=10)


def test_fitting_ids_stay() -> None:
    calls = SentCalls(WORDS)
    assert calls.sent(ToolCall("call_1", "f")) == ("call_1", "f")
    assert calls.answered(ToolResult("call_1", "r")) == ("call_1", "f")


@pytest.mark.parametrize("rule", [WORDS, IdRule("[a-zA-Z0-9]{9}", "", 9)])
@pytest.mark.parametrize("call_id", ["", " ", "f:0", "é", "x" * 99, "a\n", "\ud83d", "a\0"])
def test_other_ids_are_replaced(call_id: str, rule: IdRule) -> None:
    calls = SentCalls(rule)
    sent, _ = calls.sent(ToolCall(call_id, "f"))
    assert re.fullmatch(rule.pattern, sent, re.ASCII)
    assert calls.answered(ToolResult(call_id, "r")) == (sent, "f")
    assert SentCalls(rule).sent(ToolCall(call_id, "f")) == (sent, "f")


@pytest.mark.parametrize("call_id", ["", "a\n", "\ud83d", "\0"])
def test_no_host_gets_blank_or_unencodable_ids(call_id: str) -> None:
    sent, _ = SentCalls(ANY_ID).sent(ToolCall(call_id, "f"))
    assert re.fullmatch("call_[0-9a-f]{24}", sent)


def test_repeated_ids_stay_with_their_results() -> None:
    calls = SentCalls()
    sent = []
    for turn in range(3):
        pairs = [calls.sent(ToolCall("c", f"f{turn}{number}")) for number in range(2)]
        assert [calls.answered(ToolResult("c", "r")) for _ in pairs] == pairs
        sent += pairs
    assert len({call_id for call_id, _ in sent}) == 6
    assert sent[0] == ("c", "f00")


def test_results_may_come_in_another_order() -> None:
    calls = SentCalls(WORDS)
    sent = {call_id: calls.sent(ToolCall(call_id, "f")) for call_id in ("a:1", "b:1", "c1")}
    for call_id in ("c1", "a:1", "b:1"):
        assert calls.answered(ToolResult(call_id, "r")) == sent[call_id]


def test_late_result_finds_its_call() -> None:
    calls = SentCalls(WORDS)
    first = calls.sent(ToolCall("a:1", "f"))
    second = calls.sent(ToolCall("b:1", "g"))
    assert calls.answered(ToolResult("b:1", "r")) == second
    calls.sent(ToolCall("c:1", "h"))
    assert calls.answered(ToolResult("a:1", "r")) == first


def test_result_without_call_keeps_its_name() -> None:
    calls = SentCalls(WORDS)
    assert calls.answered(ToolResult("c1", "r", "f.g")) == ("c1", "f_g")
    assert calls.answered(ToolResult("c:1", "r"))[1] == ""


def test_repeated_ids_take_linear_time() -> None:
    def seconds(count: int) -> float:
        calls, start = SentCalls(), time.process_time()
        for _ in range(count):
            calls.sent(ToolCall("call_0", "f"))
        return time.process_time() - start

    assert min(seconds(8_000) for _ in range(3)) < 8 * 4 * min(seconds(1_000) for _ in range(3))


def cut(*messages: Message) -> list[str]:
    calls = SentCalls(messages=messages)
    return [call.arguments for each in messages for call in each.tool_calls if calls.is_cut(call)]


def test_calls_that_were_cut_are_found() -> None:
    whole, half, empty = (ToolCall(text, "f", text) for text in ('{"a":1}', '{"a', ""))
    answer, go_on = Message.assistant(whole, half, empty), Message.user("go on")
    results = [Message.tool(call.id, "r") for call in (whole, half, empty)]
    assert cut(answer, go_on) == ['{"a', ""]
    assert cut(answer, *results, go_on) == []
    again = Message.assistant(*(ToolCall(call.id, "f", call.arguments) for call in (half, empty)))
    assert cut(answer, *results[:1], again, *results) == ['{"a', ""]
    assert cut(Message.user("hi"), answer) == []


@pytest.mark.parametrize(
    ("name", "fitting"),
    [("get_weather-2", "get_weather-2"), ("a.b c/é", "a_b_c__"), ("", "unknown_tool"),
     ("x" * 65, "x" * 64), ("\ud83d", "_")],
)  # fmt: skip
def test_names_are_made_to_fit(name: str, fitting: str) -> None:
    assert fitting_name(name) == fitting


@pytest.mark.parametrize("arguments", ['{"a": 1.50}', '{"b":{},"a":"\\u00e9"}'])
def test_json_objects_stay_unchanged(arguments: str) -> None:
    assert arguments_text_of(ToolCall("c", "f", f" {arguments}\n")) == arguments


@pytest.mark.parametrize("arguments", ['{"a', "[1]", "null", '{"a": NaN}', "{}{}", "\ud83d", "x"])
def test_other_arguments_become_an_object(arguments: str) -> None:
    sent = arguments_text_of(ToolCall("c", "f", arguments))
    written = arguments.encode("utf-8", "replace").decode()
    assert json.loads(sent) == {"invalid_json": written}


def test_no_arguments_are_an_empty_object() -> None:
    assert [arguments_text_of(ToolCall("c", "f", text)) for text in ("", " ")] == ["{}", "{}"]
