"""Test marble strings, the streams made of them, and what `expect` accepts and prints."""

from __future__ import annotations

import asyncio
import re
import threading
from typing import Any

import pytest
import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import ConfigurationError, FunctionAgent, IdleTimeoutError, StreamChunk, Token
from rxagents import operators as ops
from rxagents.runtime.daemon_thread import DaemonThread
from rxagents.testing import Reply, ScriptedLLM, run_in_virtual_time
from rxagents.testing.marbles import (
    answer,
    chunk,
    cold,
    expect,
    hot,
    reasoning,
    thought,
    token,
    tool_call,
    tool_end,
    tool_start,
)
from rxagents.testing.virtual_time import virtual_loop


@rxagents.tool
def weather(city: str) -> str:
    """Return the weather."""
    return f"{city}: rain"


def _message(stream: Observable[Any], marbles: str, **arguments: Any) -> str:
    with pytest.raises(AssertionError) as failed:
        expect(stream, marbles, **arguments)
    return str(failed.value)


@pytest.mark.parametrize(
    "marbles",
    ["|", "-a-b|", "--#", "(ab|)", "(ab)-c|", "-a 10s b|", "(a|)", "-1-2|", "a 1.5s b|"],
)
def test_stream_of_marbles_matches_itself(marbles: str) -> None:
    expect(cold(marbles), marbles)
    expect(hot(marbles), marbles)


@pytest.mark.parametrize(
    ("marbles", "same"),
    [
        ("-a 10s b|", "-a----------b|"),
        ("-a 2000ms b|", "-a--b|"),
        ("a 1m b|", "a 60s b|"),
        ("- a - b |", "-a-b|"),
        ("(ab)-c|", "(ab) 1s c|"),
    ],
    ids=["seconds", "milliseconds", "minutes", "spaces", "group"],
)
def test_marbles_draw_the_same_time(marbles: str, same: str) -> None:
    expect(cold(marbles), same)


def test_time_depends_on_frame() -> None:
    expect(cold("a 1s b|"), "a----------b|", frame=0.1)
    expect(rx.timer(0.3), "---(0|)", frame=0.1)


@pytest.mark.parametrize(
    ("marbles", "why"),
    [
        ("a|b", "position 2: nothing can follow the end"),
        ("(a", "position 0: the bracket is not closed"),
        ("a)", "position 1: no bracket is open"),
        ("(a-b)", "position 2: no time passes inside of brackets"),
        ("((a))", "position 1: brackets cannot stand inside of brackets"),
        ("( 1s )", "position 2: a time cannot stand"),
        ("a!", "position 1: '!' has no meaning here"),
        ("-^-", r"position 1: '\^' has no meaning here"),
    ],
)
def test_invalid_marbles_are_refused(marbles: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why):
        cold(marbles)


def test_value_without_its_item_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="has no item 'b'"):
        cold("-a|", b=1)
    with pytest.raises(ConfigurationError, match="'error' is no argument"):
        expect(rx.empty(), "|", error=OSError)
    with pytest.raises(ConfigurationError, match="frame must be"):
        expect(rx.empty(), "|", frame=0)
    with pytest.raises(ConfigurationError, match="takes an Observable, not list"):
        expect([1], "|")  # type: ignore[arg-type]  # that is the point


def test_letters_and_digits_are_their_own_values() -> None:
    seen: list[Any] = []
    expect(cold("-a-1-x|", {"1": "one"}, x=None).pipe(rx_ops.do_action(seen.append)), "-a-o-x|",
           o="one", x=None)  # fmt: skip
    expect(cold("7|").pipe(rx_ops.map((1).__add__)), "8|")
    assert seen == ["a", "one", None]


def test_hot_stream_runs_without_subscriber() -> None:
    expect(hot("-a-b-c|"), "-----c|", subscription="----^")
    expect(hot("a-^-b|"), "--b|")
    expect(hot("-a-b-c|"), "-a-", subscription="^--!")


def test_cold_stream_starts_with_subscription() -> None:
    expect(cold("-a|"), "---a|", subscription="--^")


def test_reactivex_time_operators_run_in_virtual_time() -> None:
    expect(cold("-a-b-(c|)").pipe(rx_ops.delay(2)), "---a-b-(c|)")
    expect(cold("-ab---c|").pipe(rx_ops.debounce(2)), "----b--(c|)")
    expect(rx.interval(2), "--0-1-2", subscription="^ 7s !")


def test_operator_of_ours_fails_in_virtual_time() -> None:
    stalled = cold("-a 1m b|").pipe(ops.timeout_idle(5))
    expect(stalled, "-a----#")
    expect(stalled, "-a----#", errors=IdleTimeoutError)
    expect(stalled, "-a----#", errors="within 5 s")


def test_error_is_compared_by_type_and_message() -> None:
    expect(cold("#", errors=OSError("cut")), "#", errors=OSError("cut"))
    assert "OSError('cut')" in _message(cold("#", errors=OSError("cut")), "#", errors=OSError("x"))
    assert "expected # = any KeyError" in _message(cold("#"), "#", errors=KeyError)
    assert "seen # = RuntimeError" in _message(cold("#"), "#", errors="other words")


def test_scripted_model_in_virtual_time() -> None:
    llm = ScriptedLLM(Reply("Hi there", delay=2, interval=1))
    expect(llm.chat_stream("Hello"), "--abc|", a="Hi", b=chunk(" there"), c=chunk(finish="stop"))
    expect(llm.chat_stream("Hello"), "--aac|", a=StreamChunk, c=StreamChunk)


def test_whole_agent_in_virtual_time() -> None:
    call = tool_call("weather", {"city": "Oslo"}, id="call_1")
    llm = ScriptedLLM(Reply(tool_calls=[call], delay=1), Reply("Take a coat.", interval=1))
    agent = FunctionAgent(llm, tools=[weather])
    kept = agent.run_stream("Oslo?").pipe(
        ops.of_type(rxagents.ToolStart, rxagents.ToolEnd, rxagents.Token, rxagents.Answer)
    )
    expect(
        kept,
        " 1s (set) 500ms b 900ms c 1900ms (a|)",
        s=tool_start("weather", {"city": "Oslo"}),
        e=tool_end("weather", "Oslo: rain"),
        t=token("Take"),
        b=token(" a"),
        c=token(" coat."),
        a=answer("Take a coat."),
        frame=0.1,
    )


@pytest.mark.parametrize(
    ("expected", "item", "is_same"),
    [
        ("Hi", Token("Hi"), True),
        (token("Hi"), Token("Hi", "answer", 5.0), True),
        (token("Hi", "thought"), Token("Hi", "answer"), False),
        (thought("Hi"), Token("Hi"), False),
        (chunk("Hi"), StreamChunk("Hi", index=3, metadata={"id": "x"}), True),
        (chunk("Hi"), StreamChunk("Hi", reasoning="Hm"), False),
        (chunk(finish="stop"), StreamChunk(finish_reason="stop"), True),
        (chunk(finish="stop"), StreamChunk("more", finish_reason="stop"), False),
        (tool_call("f"), rxagents.ToolCall("1", "f", "{}"), True),
        (tool_call("f", {"a": 1}), rxagents.ToolCall("1", "f", '{ "a": 1 }'), True),
        (tool_call("f", {"a": 1}), rxagents.ToolCall("1", "f", '{"a": 2}'), False),
        (tool_call("f", id="2"), rxagents.ToolCall("1", "f"), False),
        (tool_start("f"), rxagents.ToolStart("1", "f", {"a": 1}), True),
        (tool_start("f", {"a": 2}), rxagents.ToolStart("1", "f", {"a": 1}), False),
        (tool_end("f", "r"), rxagents.ToolEnd("1", "f", "r", duration=2), True),
        ([token("a")], [Token("a", "thought")], True),
        (reasoning("Hm"), rxagents.Reasoning("Hm"), True),
        (answer("42"), rxagents.Answer("43"), False),
        (rxagents.Complete, rxagents.Complete("x"), True),
        ({"a": 1}, {"a": 2}, False),
    ],
)
def test_expected_value_stands_for_items(expected: Any, item: Any, is_same: bool) -> None:
    if is_same:
        expect(rx.of(item), "(a|)", a=expected)
    else:
        assert "differs from its marbles at frame 0" in _message(rx.of(item), "(a|)", a=expected)


def test_failure_draws_expected_and_seen_aligned() -> None:
    message = _message(cold("-a-b--(c|)", c=Token("Hello")), "-a-x--(c|)", x=1, c="Hello")
    assert message.splitlines() == [
        "The stream differs from its marbles at frame 3 (3 s): expected x at frame 3 (3 s), "
        "seen b at frame 3 (3 s).",
        "",
        "  expected  -a-x--(c|)",
        "  seen      -a-b--(c|)",
        "               ^",
        "  x = 1",
        "  c = 'Hello'",
    ]


def test_failure_cuts_long_values() -> None:
    message = _message(rx.of("x" * 5000), "(a|)")
    assert "xxx… and 4502 more characters" in message
    assert len(message) < 1000


def test_failure_names_items_that_no_marble_has() -> None:
    message = _message(cold("-a-b|", a=Token("Hi"), b=Token("Hi")), "-a-b|", a="Ho", b="Ho")
    assert "  seen      -A-A|" in message
    assert "A = Token('Hi')" in message


@pytest.mark.parametrize(
    ("seen", "expected", "lines"),
    [
        ("-a 40s b|", "-a 42s b|", ("-a 40s --b|", "-a 40s b|--")),
        ("-ab|", "-a|", ("-a|-", "-ab|")),
        ("-a|", "-a-b|", ("-a-b|", "-a|--")),
        ("(ab|)", "(a|)", ("(a|)-", "(ab|)")),
        ("-a-b", "-a|", ("-a|-", "-a-b")),
    ],
)
def test_failure_aligns_times(seen: str, expected: str, lines: tuple[str, str]) -> None:
    drawn = re.findall(r"^  (?:expected|seen) +(.*)$", _message(cold(seen), expected), re.MULTILINE)
    assert drawn == list(lines)


def test_item_after_the_string_is_seen() -> None:
    assert "seen b at frame 50" in _message(cold("-a 48s b|"), "-a-")


def test_reported_exception_fails() -> None:
    def fail(_: object) -> None:
        asyncio.get_running_loop().call_exception_handler({"message": "lost"})

    stream = cold("-a|").pipe(rx_ops.do_action(fail))
    assert "The stream is as expected.\n\nAn exception" in _message(stream, "-a|")


def test_raising_callback_is_shown() -> None:
    def fail(_: object) -> None:
        raise LookupError("the screen is gone")

    message = _message(cold("-a|").pipe(rx_ops.map(fail)), "-a|")
    assert "LookupError('the screen is gone')" in message


async def test_running_loop_is_explained() -> None:
    with pytest.raises(ConfigurationError, match="Call expect in a plain test: `def`"):
        expect(rx.empty(), "|")
    with pytest.raises(ConfigurationError, match="run_in_virtual_time in a plain test"):
        run_in_virtual_time(asyncio.sleep(1))


async def test_streams_of_marbles_work_on_any_loop() -> None:
    source = hot("-a-b|")
    first = [item async for item in _iterate(source)]
    late = [item async for item in _iterate(cold("-a-b|", frame=0.1))]
    assert first == late == ["a", "b"]
    assert asyncio.get_running_loop().time() == pytest.approx(4.4)


async def _iterate(source: Observable[Any]) -> Any:
    async with rxagents.to_aiter(source) as items:
        async for item in items:
            yield item


async def test_cold_stream_waits_for_slow_reader() -> None:
    made: list[Any] = []
    source = cold("(abcdef|)").pipe(rx_ops.do_action(made.append))
    async with rxagents.to_aiter(source, capacity=1) as items:
        first = await anext(items)
        await asyncio.sleep(5)
        assert (first, len(made)) == ("a", 2)
        rest = [item async for item in items]
    assert rest == list("bcdef")


def test_virtual_time_of_a_coroutine() -> None:
    async def wait() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    assert run_in_virtual_time(wait()) == 3600


async def test_idle_thread_does_not_hold_virtual_time() -> None:
    """The thread of a tool whose reader pauses lives on, and does nothing."""
    thread = DaemonThread("rxagents tool")
    release = threading.Event()
    working = thread.run(release.wait)
    assert virtual_loop()._virtual._threads_work()
    release.set()
    await working
    while virtual_loop()._virtual._threads_work():  # noqa: ASYNC110  # it counts after it woke us
        await asyncio.sleep(0)
    thread.close()
