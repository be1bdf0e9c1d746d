"""Test a pipe with marbles, a recorded answer and every fault, without a key or a network."""

from __future__ import annotations

import operator
from contextlib import suppress
from pathlib import Path
from typing import Any

import reactivex as rx
from reactivex import operators as rx_ops

import rxagents
from rxagents import operators as ops
from rxagents.testing import Cassette, every_fault
from rxagents.testing.marbles import cold, expect

RECORDED = Path(__file__).parent / "oslo.jsonl"


@rxagents.tool
def weather(city: str) -> str:
    """Return the weather of tomorrow."""
    return f"{city}: rain"


def answer(session: Any) -> rx.Observable[Any]:
    """Return the pipe to test: an agent's words, which must not pause for more than 60 s."""
    llm = rxagents.OpenAI(
        "gpt-5-mini", api_key="any", base_url="https://api.openai.com/v1", session=session
    )
    agent = rxagents.FunctionAgent(llm, tools=[weather])
    events = agent.run_stream("Do I need a coat in Oslo?")
    return events.pipe(ops.of_type(rxagents.Token), ops.timeout_idle(60))


def test_pause_fails() -> None:
    """A pause of 61 s fails the pipe; the test takes no time."""
    expect(cold("-a-b 61s c|").pipe(ops.timeout_idle(60)), "-a-b 59s #")


def test_recorded_answer() -> None:
    """The recorded answer arrives whole, and at once: a cassette does not wait by default."""
    words = rx_ops.map(operator.attrgetter("content"))
    text = answer(Cassette(RECORDED)).pipe(words, rx_ops.reduce(operator.add))
    expect(text, "(a|)", a="Yes, take a coat: it rains in Oslo.")


def test_every_fault() -> None:
    """The pipe keeps the rules of every stream, whatever breaks."""
    faults = every_fault(Cassette(RECORDED), answer)
    print(f"The pipe survived {len(faults)} faults.")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        test_pause_fails()
        test_recorded_answer()
        test_every_fault()
