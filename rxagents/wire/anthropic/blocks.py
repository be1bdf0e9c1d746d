"""The content blocks of a response, and the form in which they are stored to be sent back."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.chunks import TextBuffer
from rxagents.core.json_text import encode_json, is_json
from rxagents.core.tool_calls import new_call_id

# Theory of operation
#
# A response is a sequence of blocks: text, thinking, tool_use, and types of hosted tools. Each has
# a `content_block_start`, deltas and a `content_block_stop`, all with the block's index; blocks may
# be open at the same time.
#
# - The next request must hold thinking blocks with their signatures, citations and the blocks of
#   hosted tools, unchanged and in order, or the API refuses it. `Message` has no parts for these.
#   So at the end of the response `stored()` of every block goes into the message's `provider_data`.
# - Text and tool calls are in the message already, so they are stored as references: a length, an
#   id. `wire/original_items.py` resolves them, and thereby notices a message that was edited.
# - A tool_use block is sealed by its stop, if its input is JSON then. The token limit cuts an input
#   and still sends the stop, so a stop alone proves nothing: an input that is empty may have been
#   cut before its first character. llama-server sends all stops at the end, so the start of the
#   next block seals too.
# - `message_delta` with a stop reason that cuts nothing seals the rest, including input that is not
#   JSON: then the model made a mistake, and gets an error result for it.

_PARTS = {"text", "tool_use"}
"""The types of blocks that are parts of a message."""

_TEXT = {"text": "text", "thinking": "thinking"}
"""The field that holds a block's text, by the block's type."""


class Block:
    """A content block while it is streamed.

    Args:
        content: The block in its `content_block_start`.

    Attributes:
        type: Its type.
        buffer: Its text, or its input as JSON text.
        signature: The provider's signature of its thinking.
        citations: The citations of its text.
        call: The number of its tool call in the response; `None` if it is no call.
        stopped: Its `content_block_stop` came.
        sealed: It is a call, and its seal was emitted.
    """

    __slots__ = (
        "_content",
        "_held",
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
        self._held = ""
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
        """Its text, or its input as JSON text, so far."""
        return self.buffer.upto(self.buffer.end)

    @property
    def exceeds_parts(self) -> bool:
        """Whether it holds more than a message's parts can."""
        return self.type not in _PARTS or bool(self.citations)

    def add_input(self, partial: str) -> str:
        """Add a piece of the input; return what to emit.

        `{}` at the start is held back: on some hosts the real input follows.
        """
        if not self.buffer.end:
            if not self._held and partial.strip() == "{}":
                self._held = partial
                return ""
            if self._held and not partial.strip():
                return ""
            partial = partial if partial.lstrip().startswith("{") else self._held + partial
            self._held = ""
        self.buffer.append(partial)
        return partial

    @property
    def has_input(self) -> bool:
        """Whether the input of a call has come."""
        return self.call is not None and bool(
            self.buffer.end or self._held or self._content.get("input")
        )

    def take_id(self) -> str:
        """Return the call's id; a missing one is made up."""
        given = self._content.get("id")
        is_number = isinstance(given, int) and not isinstance(given, bool)
        call_id = given if isinstance(given, str) else str(given) if is_number else ""
        self._content["id"] = call_id.strip() or new_call_id()
        return str(self._content["id"])

    def is_complete(self) -> bool:
        """Return whether the input is JSON: the token limit may have cut it."""
        return is_json(self.text or "{}")

    def late_arguments(self) -> str:
        """Return the arguments as JSON text, if they came with the start and not in deltas."""
        given = self._content.get("input")
        if self.buffer.end:
            return ""
        return encode_json(given) if given else self._held

    def stored(self) -> dict[str, Any]:
        """Return the block to store in `provider_data`; text and calls as references."""
        if self.type == "tool_use":
            return {"type": "tool_use", "id": self._content.get("id")}
        if self.type == "text":
            reference: dict[str, Any] = {"type": "text", "length": self.buffer.end}
            return {**reference, "citations": self.citations} if self.citations else reference
        whole = dict(self._content)
        if self.type == "thinking":
            whole |= {"thinking": self.text, "signature": self.signature}
        elif self.buffer.end and self.is_complete():
            whole["input"] = msgspec.json.decode(self.text)
        return whole
