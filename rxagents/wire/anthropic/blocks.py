"""The blocks of an answer, and what the next turn has to send back of them."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import TextBuffer
from rxagents.core.json_text import is_json

_OURS = {"text", "tool_use"}
"""The types of blocks that a message holds as parts of its own."""

_TEXT = {"text": "text", "thinking": "thinking"}
"""The field in which a block of a type has its text."""


class Block:
    """A block of the answer, while it grows.

    Args:
        content: The block as it starts.

    Attributes:
        type: Its type.
        buffer: Its text, or its input as JSON text.
        signature: What proves that the model thought this.
        citations: What its text refers to.
        call: Which of the answer's tool calls it is; `None` for no call.
        stopped: Nothing more is added to it.
        sealed: It is a call that has been told to be whole.
    """

    __slots__ = (
        "_content",
        "buffer",
        "call",
        "citations",
        "sealed",
        "signature",
        "stopped",
        "type",
    )

    def __init__(self, content: dict[str, Any]) -> None:
        self.type = str(content.get("type") or "")
        self.signature = str(content.get("signature") or "")
        self.citations: list[Any] = []
        self.call: int | None = None
        self.stopped = False
        self.sealed = False
        self._content = content
        text = content.get(_TEXT.get(self.type, ""))
        self.buffer = TextBuffer()
        if isinstance(text, str):
            self.buffer.append(text)

    @property
    def name(self) -> str:
        """The tool's name."""
        return str(self._content.get("name") or "")

    @property
    def text(self) -> str:
        """What has been added to it."""
        return self.buffer.upto(self.buffer.end)

    @property
    def goes_back(self) -> bool:
        """Whether the next turn has to send back more than a message's own parts hold."""
        return self.type not in _OURS or bool(self.citations)

    def is_whole(self) -> bool:
        """Whether the input is JSON: the limit of tokens may have cut it."""
        return is_json(self.text or "{}")

    def late_arguments(self) -> str:
        """Return the arguments that came with the start and not in pieces."""
        given = self._content.get("input")
        return "" if self.buffer.end or not given else msgspec.json.encode(given).decode()

    def memory(self) -> dict[str, Any]:
        """Return what is needed to send the block back.

        Text and calls are in the message anyway, and are only referred to.
        """
        if self.type == "tool_use":
            return {"type": "tool_use", "id": self._content.get("id")}
        if self.type == "text":
            reference: dict[str, Any] = {"type": "text", "length": self.buffer.end}
            return {**reference, "citations": self.citations} if self.citations else reference
        whole = dict(self._content)
        if self.type == "thinking":
            whole |= {"thinking": self.text, "signature": self.signature}
        elif self.buffer.end and self.is_whole():
            whole["input"] = msgspec.json.decode(self.text)
        return whole
