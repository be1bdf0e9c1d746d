"""Parses a stream of chat-completion chunks.

`plain.py` explains the path that most events take.
"""

from __future__ import annotations

from rxagents.core.json_depth import is_any_line_deeper, is_deeper
from rxagents.parsing.sse import EventFields
from rxagents.wire.bursts import decode_all, split_values
from rxagents.wire.chat_completions.assemble import ChunkAssembler
from rxagents.wire.chat_completions.events import Event, decoder
from rxagents.wire.chat_completions.plain import is_plain, plain_decoder
from rxagents.wire.event_template import EventTemplate
from rxagents.wire.parser import StreamInfo
from rxagents.wire.sse_parser import SSEParser


class ChatCompletionsParser(SSEParser):
    """Parses one stream of chat-completion chunks.

    Args:
        info: Describes the response.
    """

    __slots__ = ("_assembler", "_error_field", "_plain", "_template")

    def __init__(self, info: StreamInfo) -> None:
        self._assembler = ChunkAssembler(info.first_metadata(), info.think_tags)
        super().__init__(info, self._assembler)
        self._plain = plain_decoder(self._assembler.unknown)
        self._template = EventTemplate("obfuscation")
        self._error_field = b""

    @property
    def complete(self) -> bool:
        """Whether `[DONE]` came, or every choice has a finish reason.

        102 streams end without `[DONE]`. `[DONE]` where no choice ever came is no response.
        """
        return (self.done and self._assembler.started) or self._assembler.finished

    def _on_end(self) -> None:
        self._assembler.end(done=self.done)
        if self._error_field and not self.complete:
            self._set_provider_error(self._error_field)

    def _parse_plain(self, frames: bytes) -> bool:
        if self._assembler.joiner is not None:
            return False
        texts = self._template.read(frames)
        if texts is not None:
            self.events += len(texts)
            self._assembler.emit_texts(texts)
            return True
        values = split_values(frames, _opening(frames))
        plain = decode_all(self._plain, values) if values is not None else None
        if plain is None:
            return False
        self.events += len(plain)
        self._assembler.add_plain(plain)
        self._template.learn(frames, plain[-1].choices[0].delta.content, self._text_of)
        return True

    def _parse_each(self, frames: bytes) -> None:
        if self._assembler.joiner is not None or not self._parse_burst(frames):
            super()._parse_each(frames)

    def _parse_burst(self, events: bytes) -> bool:
        """Decode all events of a read in one step; return whether that was possible."""
        values = split_values(events, _opening(events))
        if values is None:
            return False
        if is_any_line_deeper(events, self._info.limits.json_depth):
            return False
        decoded = decode_all(decoder, values)
        if decoded is None:
            return False
        for event in decoded:
            self.events += 1
            self._add_event(event)
            if self.error is not None:
                break
        self._is_plain = is_plain(decoded[-1])
        if self._is_plain:
            self._plain = plain_decoder(self._assembler.unknown)
        return True

    def _text_of(self, event: bytes) -> str | None:
        """Return the text of an event of the first choice that has nothing else."""
        values = split_values(event, _opening(event))
        plain = decode_all(self._plain, values) if values is not None else None
        choice = plain[0].choices[0] if plain else None
        return choice.delta.content if choice is not None and choice.index == 0 else None

    def _on_event(self, fields: EventFields, payload: bytes) -> None:
        self._error_field = fields.error or self._error_field
        if not payload or self._add_deep(payload):
            return
        event = self._decode(decoder, payload)
        if event is not None:
            self._add_event(event)

    def _add_deep(self, payload: bytes) -> bool:
        """Add an event with text that is nested too deeply in fields that are not read.

        `_parse_burst` adds it without measuring, so this does too: how the network splits the body
        must not matter.

        Returns:
            Whether it was added.
        """
        if self._builder.joiner is not None or not is_deeper(payload, self._info.limits.json_depth):
            return False
        plain = decode_all(plain_decoder(self._assembler.unknown), [payload])
        if plain is None:
            return False
        self._assembler.add_plain(plain)
        return True

    def _add_event(self, event: Event) -> None:
        error = event.find_error()
        if error:
            self._set_provider_error(error)
        else:
            self._assembler.add(event)


def _opening(events: bytes) -> bytes:
    return b"data: {" if events.startswith(b"data: {") else b"data:{"
