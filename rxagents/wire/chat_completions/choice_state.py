"""Keeps the state of one choice of a stream of chat completions."""

from __future__ import annotations

from typing import Any

from rxagents.wire.chat_completions.tool_fragments import ToolFragments


class ChoiceState:
    """The state of one choice.

    Attributes:
        tools: Its open tool calls; `None` until there is one, as in nearly all streams.
        finished: It has a finish reason.
        call: The number of the tool call that the last fragment belonged to.
        signed: The `extra_content` of calls that no chunk has yet, to be sent back with the calls.
    """

    __slots__ = ("call", "finished", "signed", "tools")

    def __init__(self) -> None:
        self.tools: ToolFragments | None = None
        self.finished = False
        self.call = 0
        self.signed: tuple[dict[str, Any], ...] = ()
