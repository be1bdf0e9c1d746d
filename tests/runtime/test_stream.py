"""Our own streams, used in a loop as if they were lists."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import reactivex as rx
from observing import letters
from reactivex import Observable
from reactivex import operators as rx_ops

import rxagents
from rxagents import ConfigurationError, FunctionAgent, from_aiter
from rxagents import operators as ops
from rxagents.runtime.stream import as_stream
from rxagents.testing import ScriptedLLM

LLM = ScriptedLLM("Hello you")


def chat(*operators: Callable[[Any], Any]) -> Observable[Any]:
    return LLM.chat_stream("Hi").pipe(*operators)


STREAMS = {
    "model": chat(),
    "provider": rxagents.OpenAI("any", api_key="any").chat_stream("Hi"),
    "completion": LLM.complete_stream("Hi"),
    "agent": FunctionAgent(LLM).run_stream("Hi"),
    "conversation": rxagents.ConversationalAgent(LLM).run_stream("Hi"),
    "from_aiter": from_aiter(letters),
    "from_recording": rxagents.from_recording(Path("any"), str),
    "our operator": chat(ops.text()),
    "our operators in time": chat(ops.timeout_idle(1), ops.text()),
    "shared": chat(ops.share_bounded()),
    "reactivex's operator": chat(rx_ops.map(str)),
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_plain_loop_names_the_ways_to_read(stream: Observable[Any]) -> None:
    for way in ("to_aiter", "to_iter", "run"):
        with pytest.raises(ConfigurationError, match=way):
            list(stream)  # type: ignore[call-overload]  # what the test is about


async def test_events_of_started_run_are_such_a_stream() -> None:
    run = FunctionAgent(LLM).start("Hi")
    with pytest.raises(ConfigurationError, match="to_iter"):
        list(run.events)  # type: ignore[call-overload]  # what the test is about
    await run.result


async def test_async_loop_names_to_aiter() -> None:
    with pytest.raises(ConfigurationError, match="to_aiter"):
        async for _ in chat():  # type: ignore[attr-defined]  # what the test is about
            pass


async def test_stream_still_takes_reactivexs_operators() -> None:
    assert await chat(ops.text(), rx_ops.map(str.upper), rx_ops.reduce(str.__add__)) == "HELLO YOU"
    assert await chat(ops.text())[1] == " you"


def test_pipe_changes_no_other_observable() -> None:
    connectable = chat(rx_ops.publish())
    assert hasattr(connectable, "connect")
    subject: rx.subject.Subject[int] = rx.subject.Subject()
    assert as_stream(subject) is subject


def test_stream_is_no_list_of_messages() -> None:
    with pytest.raises(ConfigurationError, match="Messages must be"):
        LLM.chat_stream(chat())  # type: ignore[arg-type]  # what the test is about
