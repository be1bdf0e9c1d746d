"""Agents for `rxagents batch`, which loads them by their names."""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import reactivex as rx
from reactivex import Observable

from rxagents import FunctionAgent, ServerError, StreamChunk, StreamEvent, Usage
from rxagents.testing import Reply, ScriptedLLM


class Numbers:
    """A model that answers "Question 5" with "Answer 5", and fails for one number in a hundred."""

    def chat_stream(self, messages: Any, tools: Any = None, **_: Any) -> Observable[StreamChunk]:
        number = int(messages[-1].text.rpartition(" ")[2])
        delay = float(os.environ.get("BATCH_DELAY", "0"))
        if number % 100 == int(os.environ.get("BATCH_FAILS", "7")):
            reply = Reply(error=ServerError("down", status=500), delay=delay)
        else:
            reply = Reply(f"Answer {number}", usage=Usage(10, 5, 15), delay=delay)
        return ScriptedLLM(reply).chat_stream(messages, tools)


def make() -> FunctionAgent[str]:
    model: Any = Numbers()
    return FunctionAgent(model)


def fail() -> FunctionAgent[str]:
    raise OSError("no model here")


class Hanging:
    """An agent that blocks the event loop, as a function of a user may."""

    def run_stream(self, task: str) -> Observable[StreamEvent]:
        sys.stdout.write("The run hangs.\n")
        sys.stdout.flush()
        time.sleep(60)
        return rx.empty()


def make_hanging() -> Hanging:
    return Hanging()


def make_none() -> None: ...
