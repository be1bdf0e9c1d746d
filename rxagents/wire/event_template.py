"""Reads the texts of events that differ in nothing else, without decoding the events."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from rxagents.core.json_text import JSON_ERRORS

# Theory of operation
#
# Many servers send events that differ in nothing but the text: vLLM, llama-server, DeepSeek,
# gateways. Decoding such an event takes 240 ns, more than half of it to skip ids and names. A
# template is the bytes before and after the text. An event that fits it has the same meaning as the
# one that the template was made of, so only the text is decoded. That takes 160 ns an event,
# splitting included; joining and decoding events takes 320.
#
# Why the result is the same as that of decoding:
# - `learn` puts another text between the two parts, and lets the caller decode this event. So the
#   place is that of the text, even if the same string is in another field too.
# - `read` joins the texts again with the bytes between them, and compares with what it got. So all
#   bytes outside of the texts are those of the template.
# - A text must be the inside of exactly one JSON string. All of them are decoded as one list of
#   strings. A backslash at the end of a text could escape the quote after it: such a read is
#   refused (or the list has no end). So each further quote in a text adds to the number of strings.
#
# OpenAI's own events have a random field against eavesdroppers, and Anthropic's random white space;
# they fit by chance only. `_MOST_MISSES` bounds what such a stream pays: making a template takes as
# long as reading ten events with it.

_MOST_MISSES = 4
_FEWEST_READ = 10
"""A stream gives up after so many templates in a row that have read fewer events than this."""

_PROBE = "Is this the text? \u2603"
"""A text that no template has by chance."""

_LF = 0x0A

_decode_texts = msgspec.json.Decoder(list[str]).decode


class _Template(NamedTuple):
    """The constant bytes of an event.

    Attributes:
        before: Up to the first character of the text.
        after: From the quote that ends the text.
        between: `after` and `before`: what is between the texts of two events.
        text: Where the text is in its line.
        line: The number of this line in the event.
        lines: The number of line feeds in the event.
    """

    before: bytes
    after: bytes
    between: bytes
    text: slice
    line: int
    lines: int


class EventTemplate:
    """Reads texts with the template of one stream, which it learns from the stream's events."""

    __slots__ = ("_misses", "_read", "_template")

    def __init__(self) -> None:
        self._template: _Template | None = None
        self._read = 0  # events that the template has read
        self._misses = 0

    def read(self, events: bytes) -> list[str] | None:
        """Return the texts of whole events; `None` if they have to be decoded."""
        template = self._template
        if template is None:
            return None
        before, after, between, text, line, lines = template
        if not (events.startswith(before) and events.endswith(after)):
            return None
        inside = events[len(before) : -len(after)]
        if _LF in inside:
            bodies = [each[text] for each in events.split(b"\n")[line:-1:lines]]
            if between.join(bodies) != inside:
                return None
            inside = b'","'.join(bodies)
            if b'\\","' in inside:
                return None
        else:
            bodies = [inside]
        try:
            texts = _decode_texts(b'["' + inside + b'"]')
        except JSON_ERRORS:
            return None
        if len(texts) != len(bodies):
            return None
        self._read += len(texts)
        return texts

    def learn(self, events: bytes, text: str, decode: Callable[[bytes], str | None]) -> None:
        """Make a template of the last event of a read that `read` refused.

        Args:
            events: Whole events.
            text: The text of the last one.
            decode: Returns the text of an event that has nothing else; `None` for other events.
        """
        self._template = None
        if self._misses == _MOST_MISSES or not text:
            return
        self._misses = 0 if self._read >= _FEWEST_READ else self._misses + 1
        self._read = 0
        event = events[events.rfind(b"\n\n", 0, -2) + 2 :] if b"\n\n" in events[:-2] else events
        for written in (msgspec.json.encode(text), json.dumps(text).encode()):
            before, string, after = event.partition(written)
            if string:
                before, after = before + b'"', b'"' + after
                if decode(before + _PROBE.encode() + after) == _PROBE:
                    self._template = _template(before, after)
                return


def _template(before: bytes, after: bytes) -> _Template:
    start = len(before) - before.rfind(b"\n") - 1
    stop = -after.index(b"\n")
    line = before.count(b"\n")
    return _Template(
        before, after, after + before, slice(start, stop), line, line + after.count(b"\n")
    )
