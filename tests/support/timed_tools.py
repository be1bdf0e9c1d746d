"""Tools that take virtual time, and a record of their starts and ends."""

from __future__ import annotations

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents import StreamChunk, Tool, ToolCall, ToolCallDelta, tool


class TimedTools:
    """Makes tools that take the time of the subscriber's scheduler.

    Attributes:
        started: The names of the calls that were started, in order.
        ended: The names of those that ended, or were cancelled.
    """

    def __init__(self) -> None:
        self.started: list[str] = []
        self.ended: list[str] = []

    def taking(self, name: str, seconds: float, *, requires_approval: bool = False) -> Tool:
        """Return a tool that returns its own name after `seconds`."""

        @tool(name=name, requires_approval=requires_approval)
        def wait() -> Observable[str]:
            self.started.append(name)
            return rx.timer(seconds).pipe(
                rx_ops.map(lambda _: name), rx_ops.finally_action(lambda: self.ended.append(name))
            )

        return wait

    def failing(self, name: str, seconds: float) -> Tool:
        """Return a tool that fails after `seconds`."""

        @tool(name=name)
        def fail() -> Observable[str]:
            self.started.append(name)
            return rx.timer(seconds).pipe(rx_ops.flat_map(lambda _: rx.throw(OSError("broken"))))

        return fail

    def counting(self, name: str, seconds: float) -> Tool:
        """Return a tool with the progress 0 and 1 and the result 2, one each `seconds`."""

        @tool(name=name)
        def count() -> Observable[int]:
            return rx.interval(seconds).pipe(rx_ops.take(3))

        return count


def call(name: str, arguments: str = "{}", number: int = 0) -> ToolCall:
    """Return a call of the tool `name`."""
    return ToolCall(f"{name}_{number}" if number else name, name, arguments)


def calling(
    index: int, name: str, arguments: str = "{}", *, sealed: bool = True, choice: int = 0
) -> StreamChunk:
    """Return a chunk with a call, its id the tool's name."""
    delta = ToolCallDelta(index, name, name, arguments, sealed=sealed)
    return StreamChunk(tool_calls=(delta,), choice=choice)
