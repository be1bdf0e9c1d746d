"""Marble tests: check what a stream emits, and when, in virtual time.

A marble string draws a stream along time, as in the diagrams of the operators and in RxJS:

| in the string | it means |
|---|---|
| `-` | one frame passes: one second, or `frame` seconds |
| `a` … `z`, `0` … `9` | an item; the value of that name, or else the letter or number itself |
| a bar | the stream completes |
| `#` | the stream fails |
| `(ab)` | these happen at the frame of the bracket; each character takes one frame of room |
| ` 10s ` | time passes: `ms`, `s` or `m`, with a space before and after |
| `^` and `!` | in `subscription`, when to subscribe and to unsubscribe; `^` in `hot`, frame 0 |
| a space | nothing: align as you like |

Each item takes a frame too: in `-a-b` there are two frames between `a` and `b`.

Example:
    >>> from rxagents import operators as ops
    >>> from rxagents.testing import Reply, ScriptedLLM
    >>> from rxagents.testing.marbles import cold, expect
    >>> llm = ScriptedLLM(Reply("Hi there", delay=2, interval=1))
    >>> expect(llm.chat_stream("Hello").pipe(ops.text()), "--ab-|", a="Hi", b=" there")
    >>> expect(cold("-a----b|").pipe(ops.timeout_idle(3)), "-a--#")
"""

from rxagents.testing.marbles.expectation import expect
from rxagents.testing.marbles.short_forms import (
    answer,
    chunk,
    reasoning,
    thought,
    token,
    tool_call,
    tool_end,
    tool_start,
)
from rxagents.testing.marbles.sources import cold, hot

__all__ = [
    "answer",
    "chunk",
    "cold",
    "expect",
    "hot",
    "reasoning",
    "thought",
    "token",
    "tool_call",
    "tool_end",
    "tool_start",
]
