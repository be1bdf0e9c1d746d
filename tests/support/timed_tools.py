"""Tools whose time is the subscriber's scheduler's, and what they were through."""

from __future__ import annotations

import reactivex as rx
from reactivex import Observable
from reactivex import operators as rx_ops

from rxagents import StreamChunk, Tool, ToolCall, ToolCallDelta, tool


class TimedTools:
    """Makes tools that take virtual time.

    Attributes:
        began: The names of the calls that were started, in order.
        left: The names of those that ended, or were cancelled.
    """

    def __init__(self) -> None:
        self.began: list[str] = []
        self.left: list[str] = []

    def taking(self, name: str, seconds: float, *, requires_approval: bool = False) -> Tool:
        """Return a tool that gives its own name after `seconds`."""

        @tool(name=name, requires_approval=requires_approval)
        def wait() -> Observable[str]:
            self.began.append(name)
            return rx.timer(seconds).pipe(
                rx_ops.map(lambda _: name), rx_ops.finally_action(lambda: self.left.append(name))
            )

        return wait

    def failing(self, name: str, seconds: float) -> Tool:
        """Return a tool that fails after `seconds`."""

        @tool(name=name)
        def fail() -> Observable[str]:
            self.began.append(name)
            return rx.timer(seconds).pipe(rx_ops.flat_map(lambda _: rx.throw(OSError("broken"))))

        return fail

    def counting(self, name: str, seconds: float) -> Tool:
        """Return a tool that tells 0 and 1, and gives 2, one each `seconds`."""

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
