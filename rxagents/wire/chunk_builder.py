"""Builds the chunks of one stream: numbers them and sets their `content`."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import force_setattr

from rxagents.core.chunks import StreamChunk, TextBuffer, TextBurst, ToolCallDelta, set_content
from rxagents.core.surrogates import replace_all_surrogates, replace_surrogates
from rxagents.core.usage import Usage
from rxagents.wire.surrogates import SurrogateJoiner
from rxagents.wire.think_tags import ThinkSplitter, ThinkTags


class ChunkBuilder:
    """Builds the chunks of one stream.

    Args:
        metadata: The metadata of the first chunk.
        think_tags: The tags around thinking at the beginning of the text; `None` for none.

    Attributes:
        chunks: The chunks that `drain` has not returned yet.
        now: When the bytes being parsed arrived, in seconds since the epoch.
        usage: The token counts received so far.
        metadata: The metadata of all following chunks. They share the dict, so assign a new dict
            to change it.
        index: The number of the next chunk.
        makes_bursts: Whether a `TextBurst` may stand for several chunks.
        joiner: Joins characters that are cut in two; `None` until an event was read leniently, and
            so in nearly all streams.
        splitter: Splits thinking between tags from text, for choices whose answer has no text yet;
            `None` without tags.
    """

    __slots__ = ("_texts", "chunks", "index", "joiner", "makes_bursts", "metadata", "now",
                 "splitter", "usage")  # fmt: skip

    def __init__(self, metadata: dict[str, Any], think_tags: ThinkTags | None = None) -> None:
        self.chunks: list[StreamChunk] = []
        self.now = 0.0
        self.usage: Usage | None = None
        self.metadata = metadata
        self.index = 0
        self.makes_bursts = False
        self.joiner: SurrogateJoiner | None = None
        self.splitter = None if think_tags is None else ThinkSplitter(think_tags)
        self._texts: dict[int, TextBuffer] = {}

    def text(self, choice: int) -> TextBuffer:
        """Return the text buffer that the chunks of a choice share."""
        buffer = self._texts.get(choice)
        if buffer is None:
            buffer = self._texts[choice] = TextBuffer()
        return buffer

    def received_length(self, choice: int) -> int:
        """Return the length of all text received of a choice, also of thinking between tags."""
        hidden = 0 if self.splitter is None else self.splitter.hidden(choice)[1]
        return hidden + self.text(choice).end

    def received_text(self, choice: int) -> str:
        """Return all text received of a choice, also thinking between tags."""
        buffer = self.text(choice)
        text = buffer.upto(buffer.end)
        if self.splitter is None:
            return text
        before, hidden = self.splitter.hidden(choice)
        return before.upto(hidden) + text

    def emit(
        self,
        text: str = "",
        *,
        choice: int = 0,
        finish_reason: str = "",
        reasoning: str = "",
        refusal: str = "",
        tool_calls: tuple[ToolCallDelta, ...] = (),
        metadata: dict[str, Any] | None = None,
    ) -> None:
        """Add a chunk; `metadata` is added to the stream's, for this chunk only."""
        buffer = self.text(choice)
        # Once the answer has text, nothing is split any more.
        if self.splitter is not None and not buffer.end and (text or finish_reason):
            is_last = bool(finish_reason)
            thinking, text = self.splitter.split(choice, text, is_last=is_last)
            reasoning += thinking
            if not (text or reasoning or refusal or tool_calls or finish_reason or metadata):
                return  # all of it is held back
        if self.joiner is not None:
            held = self.joiner
            had_text = bool(text or reasoning or refusal or tool_calls)
            text = held.join((choice, "text"), text)
            reasoning = held.join((choice, "reasoning"), reasoning)
            refusal = held.join((choice, "refusal"), refusal)
            tool_calls = tuple(_joined(held, choice, call) for call in tool_calls)
            finish_reason = replace_surrogates(finish_reason)
            metadata = replace_all_surrogates(metadata)
            has_text = text or reasoning or refusal or any(_carries(call) for call in tool_calls)
            if had_text and not (has_text or finish_reason or metadata):
                return  # all of it is held back
        chunk = StreamChunk(
            text,
            self.index,
            choice,
            finish_reason,
            reasoning,
            refusal,
            tool_calls,
            self.usage,
            {**self.metadata, **metadata} if metadata else self.metadata,
            self.now,
        )
        set_content(chunk, (buffer, buffer.append(text)))
        self.index += 1
        self.chunks.append(chunk)

    def emit_texts(self, texts: list[str]) -> None:
        """Add a chunk of the first choice for each text that is not empty.

        `emit` does the same for one chunk. This loop saves its call and reads the attributes and
        sets the buffer's length once for all texts.
        """
        buffer = self.text(0)
        if self.joiner is not None or (self.splitter is not None and not buffer.end):
            for text in texts:
                if text:
                    self.emit(text)
            return
        if self.makes_bursts and len(texts) > 1:
            self.emit_burst(texts, 0)
            return
        append, now = self.chunks.append, self.now
        usage, metadata, index = self.usage, self.metadata, self.index
        buffer.pieces += texts  # an empty one does no harm
        end = buffer.end
        for text in texts:
            if not text:
                continue
            chunk = StreamChunk(text, index, 0, "", "", "", (), usage, metadata, now)
            end += len(text)
            force_setattr(chunk, "_text", (buffer, end))  # `set_content` takes 10 ns more
            index += 1
            append(chunk)
        self.index = index
        buffer.set_end(end)

    def emit_burst(self, texts: list[str], choice: int) -> None:
        """Add one chunk for all texts that are not empty.

        The choice must have text already if there is a splitter.
        """
        text = "".join(texts)
        if not text:
            return
        if "" in texts:
            texts = [text for text in texts if text]
        buffer = self.text(choice)
        usage, metadata = self.usage, self.metadata
        burst = TextBurst(
            text, self.index, choice, "", "", "", (), usage, metadata, self.now, texts
        )
        set_content(burst, (buffer, buffer.append(text)))
        self.index += len(texts)
        self.chunks.append(burst)

    def start_joining(self) -> None:
        """Join surrogates from now on."""
        if self.joiner is None:
            self.joiner = SurrogateJoiner()

    def emit_held(self) -> None:
        """Emit what the splitter and the joiner hold back: the stream has ended."""
        for choice, thinking, text in self.splitter.flush() if self.splitter else ():
            if thinking or text:
                self.emit(text, choice=choice, reasoning=thinking)
        for (choice, channel), half in self.joiner.flush() if self.joiner else ():
            match channel:
                case "text":
                    self.emit(half, choice=choice)
                case "reasoning":
                    self.emit(choice=choice, reasoning=half)
                case "refusal":
                    self.emit(choice=choice, refusal=half)

    def add_metadata(self, **fields: object) -> None:
        """Add fields to the metadata of all following chunks; empty values are left out."""
        old = self.metadata
        new = {key: value for key, value in fields.items() if value and value != old.get(key)}
        if new:
            self.metadata = {**self.metadata, **new}

    def drain(self) -> list[StreamChunk]:
        """Return the chunks since the last `drain`."""
        chunks, self.chunks = self.chunks, []
        return chunks


def _joined(joiner: SurrogateJoiner, choice: int, call: ToolCallDelta) -> ToolCallDelta:
    arguments = joiner.join((choice, call.index), call.arguments)
    if call.sealed:
        arguments += joiner.end((choice, call.index))
    return msgspec.structs.replace(
        call,
        id=replace_surrogates(call.id),
        name=replace_surrogates(call.name),
        arguments=arguments,
    )


def _carries(call: ToolCallDelta) -> bool:
    return bool(call.id or call.name or call.arguments or call.sealed)
