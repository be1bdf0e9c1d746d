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
# splitting included; joining and decoding events takes 320. OpenAI's own events have a random
# string after the text, against eavesdroppers. For them a template has two places and three parts:
# 330 ns an event, and 450 to decode it. Each of the two is split off for some 100.
#
# Why the result is the same as that of decoding:
# - `learn` puts other strings in the places, and lets the caller decode this event. So they are
#   those of the text and of a field that is not read, even if other fields have the same strings.
# - `read` joins what is in the places with the bytes between them again, and compares with what it
#   got. So all bytes outside of the places are those of the template.
# - What is in a place must be the inside of exactly one JSON string. All of them are decoded as one
#   list of strings, with a control character after each comma. No JSON string contains one raw. So
#   each of these commas is outside of the strings, and each place begins and ends a string; a quote
#   that a backslash escapes does not end it, and the comma is inside. A further quote in a place
#   then adds a string, and the number of strings is compared.
# - With two places in an event, the number of splits and the sequence of the control characters
#   show that each event has both.
#
# Anthropic's events have random white space; they fit by chance only. `_MOST_MISSES` bounds what
# such a stream pays: making a template takes as long as reading ten events with it.

_MOST_MISSES = 4
_FEWEST_READ = 10
"""A stream gives up after so many templates in a row that have read fewer events than this."""

_PROBE = "Is this the text?"
"""A text that no template has by chance."""

_LF = 0x0A

_OTHERS = bytes(range(0x20, 0x100))
"""All bytes but the control characters."""

_decode_strings = msgspec.json.Decoder(list[str]).decode


class _Template(NamedTuple):
    """The constant bytes of an event.

    Attributes:
        before: Up to the first character of the first place.
        middle: What is between two places; empty if there is one.
        after: From the quote that ends the last place.
        between: `after` and `before`: what is between the places of two events.
        places: The number of places; the text is in the first one.
        inside: Where the places are in their line.
        line: The number of this line in the event.
        lines: The number of line feeds in the event.
    """

    before: bytes
    middle: bytes
    after: bytes
    between: bytes
    places: int
    inside: slice
    line: int
    lines: int


class EventTemplate:
    """Reads texts with the template of one stream, which it learns from the stream's events.

    Args:
        random: A field after the text that is not read, and whose value, a string, may differ in
            each event; empty for none.
    """

    __slots__ = ("_misses", "_random", "_read", "_template")

    def __init__(self, random: str = "") -> None:
        self._template: _Template | None = None
        self._random = f'"{random}":"'.encode() if random else b""
        self._read = 0  # events that the template has read
        self._misses = 0

    def read(self, events: bytes) -> list[str] | None:
        """Return the texts of whole events; `None` if they have to be decoded."""
        template = self._template
        if template is None:
            return None
        before, middle, after, between, places, inside, line, lines = template
        if not (events.startswith(before) and events.endswith(after)):
            return None
        joined = events[len(before) : -len(after)]
        count = 1
        if _LF in joined:
            each = [one[inside] for one in events.split(b"\n")[line:-1:lines]]
            if between.join(each) != joined:
                return None
            joined = b'",\t"'.join(each)
            count = len(each)
        elif len(events) < len(before) + len(after):  # one quote is the end of both
            return None
        if middle:
            split = joined.split(middle)
            joined = b'",\r"'.join(split)
            if len(split) != count + 1:
                return None
            # It takes 0.2 us: not for one event, as most reads of a live stream have.
            if count > 1 and joined.translate(None, _OTHERS) != b"\r" + b"\t\r" * (count - 1):
                return None
        try:
            strings = _decode_strings(b'["' + joined + b'"]')
        except JSON_ERRORS:
            return None
        if len(strings) != places * count:
            return None
        self._read += count
        return strings[::places]

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
                template = _template(before + b'"', b'"' + after, self._random)
                probe = template.before + _PROBE.encode() + template.middle + template.after
                if decode(probe) == _PROBE:
                    self._template = template
                return


def _template(before: bytes, after: bytes, random: bytes) -> _Template:
    """Return the template of an event, without the value that comes after `random`."""
    middle, places = b"", 1
    if random and random in after:
        start = after.find(random) + len(random)
        middle, after = after[:start], after[after.find(b'"', start) :]
        places = 2
    inside = slice(len(before) - before.rfind(b"\n") - 1, -after.index(b"\n"))
    line = before.count(b"\n")
    lines = line + after.count(b"\n")
    return _Template(before, middle, after, after + before, places, inside, line, lines)
