"""The chunks of a stream, folded into one response."""

from __future__ import annotations

from typing import Any

from rxagents.core.chunks import StreamChunk, TextBuffer, ToolCallDelta
from rxagents.core.joined_metadata import LISTS, join_lists, merge_provider_data
from rxagents.core.messages import Message, Part, ReasoningPart, TextPart, ToolCall
from rxagents.core.tool_calls import ToolCallAssembler
from rxagents.core.usage import Usage


class Response:
    """One choice of a stream: all of it, or what has arrived so far.

    A response stores where each text ended when it was created; text and tool calls are joined
    when they are first read. So a snapshot for every chunk costs the same at any length.

    Attributes:
        finish_reason: As in `StreamChunk`; `""` until the choice ends.
        usage: Token counts; `None` until known.
    """

    __slots__ = ("_content", "_fragments", "_lists", "_metadata", "_reasoning", "_refusal",
                 "_stored", "_tool_calls", "finish_reason", "usage")  # fmt: skip

    def __init__(self, builder: ResponseBuilder) -> None:
        self._content = builder.content, builder.content.end
        self._reasoning = builder.reasoning, builder.reasoning.end
        self._refusal = builder.refusal, builder.refusal.end
        self._fragments = builder.fragments, len(builder.fragments)
        self._tool_calls: tuple[ToolCall, ...] | None = None if builder.fragments else ()
        self._metadata = builder.metadata
        self._lists = builder.lists, len(builder.lists)
        self._stored = builder.stored, len(builder.stored)
        self.finish_reason = builder.finish_reason
        self.usage: Usage | None = builder.usage

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata of all chunks, merged; citations, log probabilities and the like joined."""
        lists, count = self._lists
        if count:
            self._metadata = {**self._metadata, **join_lists(lists[:count])}
            self._lists = [], 0
        return self._metadata

    @property
    def content(self) -> str:
        """The text."""
        buffer, end = self._content
        return buffer.upto(end)

    @property
    def reasoning(self) -> str:
        """The thinking text."""
        buffer, end = self._reasoning
        return buffer.upto(end)

    @property
    def refusal(self) -> str:
        """The text of a refusal."""
        buffer, end = self._refusal
        return buffer.upto(end)

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        """The tool calls in the order in which they started, with the arguments received."""
        if self._tool_calls is None:
            fragments, count = self._fragments
            assembler = ToolCallAssembler()
            for fragment in fragments[:count]:
                assembler.add(fragment)
            self._tool_calls = assembler.calls()
        return self._tool_calls

    @property
    def message(self) -> Message:
        """The response as a message to append to the conversation."""
        parts: list[Part] = []
        if self.reasoning:
            parts.append(ReasoningPart(self.reasoning))
        text = self.content or self.refusal
        if text:
            parts.append(TextPart(text))
        parts += self.tool_calls
        stored, count = self._stored
        data = merge_provider_data(stored[:count])
        return Message("assistant", tuple(parts), provider_data=data)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Response):
            return NotImplemented
        return self._fields() == other._fields()

    __hash__ = None  # type: ignore[assignment]  # compared by value, and values include dicts

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._fields().items() if value)
        return f"Response({fields})"

    def _fields(self) -> dict[str, object]:
        return {
            "content": self.content,
            "reasoning": self.reasoning,
            "refusal": self.refusal,
            "tool_calls": self.tool_calls,
            "finish_reason": self.finish_reason,
            "usage": self.usage,
            "metadata": self.metadata,
        }


class ResponseBuilder:
    """Folds the chunks of one choice.

    `response()` may be called at any time. It takes constant time, and later chunks do not change
    what it returned. A reset chunk of any choice voids everything before it.

    Args:
        choice: The number of the choice to fold.
    """

    def __init__(self, choice: int = 0) -> None:
        self._choice = choice
        self._clear()

    def _clear(self) -> None:
        self.content = TextBuffer()
        self.reasoning = TextBuffer()
        self.refusal = TextBuffer()
        self.fragments: list[ToolCallDelta] = []
        self.finish_reason = ""
        self.usage: Usage | None = None
        self.metadata: dict[str, Any] = {}
        self.lists: list[tuple[str, Any]] = []
        self.stored: list[dict[str, Any]] = []
        self._last_metadata: dict[str, Any] = {}

    def add(self, chunk: StreamChunk) -> bool:
        """Add a chunk. Usage is the whole request's; other choices' chunks add only usage.

        Returns:
            Whether the chunk has a `delta` and nothing else that is new, which is the case of
            nearly every chunk.
        """
        if (
            chunk.delta
            and chunk.metadata is self._last_metadata
            and chunk.usage is None
            and chunk.choice == self._choice
            and not chunk.finish_reason
            and not chunk.reasoning
            and not chunk.refusal
            and not chunk.tool_calls
        ):
            self.content.append(chunk.delta)
            return True
        self._add_all(chunk)
        return False

    def _add_all(self, chunk: StreamChunk) -> None:
        if chunk.usage is not None:
            self.usage = chunk.usage
        if chunk.choice != self._choice:
            if "reset" in chunk.metadata:
                self._clear()
            return
        if chunk.delta:
            self.content.append(chunk.delta)
        if chunk.reasoning:
            self.reasoning.append(chunk.reasoning)
        if chunk.refusal:
            self.refusal.append(chunk.refusal)
        if chunk.tool_calls:
            self.fragments += chunk.tool_calls
        if chunk.finish_reason:
            self.finish_reason = chunk.finish_reason
        if chunk.metadata is not self._last_metadata:
            self._add_metadata(chunk.metadata)

    def response(self) -> Response:
        """Return the response so far."""
        return Response(self)

    def _add_metadata(self, metadata: dict[str, Any]) -> None:
        if "reset" in metadata:
            self._clear()
            return
        self._last_metadata = metadata
        self.metadata = {**self.metadata, **metadata}
        if not LISTS.isdisjoint(metadata):
            self.lists += [(name, metadata[name]) for name in LISTS if name in metadata]
        stored = metadata.get("provider_data")
        if stored and not (self.stored and stored is self.stored[-1]):
            self.stored.append(stored)
