"""The plain path: decodes events that have text and nothing else, a whole read at a time."""

from __future__ import annotations

import functools
from typing import Literal, TypeAlias

import msgspec
from msgspec import Struct

from rxagents.wire.chat_completions.events import Event

# Theory of operation
#
# Nearly every event has one choice with text and nothing else. The cost of such an event is the
# cost of the library, so it has a path of its own: `ChatCompletionsParser._parse_plain`, this
# module, and `ChunkAssembler.add_plain`.
#
# - A burst is decoded in one call (`wire/bursts.py`), or not at all where its events differ only in
#   their text (`wire/event_template.py`).
# - The decoder is the test. The fields of `PlainEvent` other than the text and the index admit only
#   empty values and the usual `object`, so an event with anything else fails to decode, and the
#   whole burst is decoded as `Event`s. That replaces a dozen comparisons in Python for each event.
# - The parser tries the plain decoder only after an event that was plain (`is_plain`): a failed try
#   costs a decoding of the burst up to the event that fails.
# - `id`, `model` and `service_tier` are in every event, but are read once. `plain_decoder(unknown)`
#   refuses an event that has a value for a name that is not known yet; known names are skipped, not
#   decoded.
#
# What must not change:
# - A field added to `Delta`, `Choice` or `Event` must be added to its plain struct, with a type
#   that admits only empty values. Else the plain path loses it silently. A test compares them.
# - Add no call, check or allocation for an event here: every chunk pays for it.
# - Each field of a plain struct costs every event some 3 ns: it is set to its default, and in
#   `PlainEvent` compared with each name that is skipped. Fields that hosts hardly ever send in the
#   middle of a text are refused all the same: else the cut of the network decides whether they
#   are read.
# - Nesting is not measured here: fields that a plain struct does not have are skipped, not decoded.
#   `Event` has fields of type `Any`, so on the other path it is measured before decoding.

Empty: TypeAlias = Literal["", None]
"""The values that some hosts send for a field without content."""


class PlainDelta(Struct, gc=False):
    """A delta with text and nothing else: all other fields are empty."""

    content: str = ""
    reasoning_content: Empty = None
    reasoning: Empty = None
    reasoning_text: Empty = None
    refusal: Empty = None
    tool_calls: tuple[()] | None = None
    function_call: None = None
    reasoning_details: tuple[()] | None = None
    images: tuple[()] | None = None
    annotations: tuple[()] | None = None
    audio: None = None


class PlainChoice(Struct, gc=False):
    """A choice with a plain delta and no finish reason."""

    delta: PlainDelta
    message: None = None
    index: int = 0
    finish_reason: Empty = None
    logprobs: None = None
    usage: None = None
    error: None = None


class PlainEvent(Struct, gc=False):
    """An event with one plain choice and nothing else."""

    choices: tuple[PlainChoice]
    usage: None = None
    error: None = None
    message: None = None
    citations: tuple[()] | None = None
    search_results: tuple[()] | None = None
    timings: None = None


@functools.cache
def plain_decoder(unknown: frozenset[str]) -> msgspec.json.Decoder[PlainEvent]:
    """Return a decoder of plain events that have no value for the names in `unknown`."""
    fields = [(name, Empty, None) for name in sorted(unknown)]
    kind = msgspec.defstruct("PlainEvent", fields, bases=(PlainEvent,), gc=False)
    return msgspec.json.Decoder(kind)


def is_plain(event: Event) -> bool:
    """Return whether the events after this one are likely to be plain."""
    if event.usage is not None or event.choices is None or len(event.choices) != 1:
        return False
    # Hosts send these in every event of a stream, or in its last one.
    if event.timings or event.search_results or event.citations:
        return False
    choice = event.choices[0]
    delta = None if choice is None else choice.delta
    return (
        delta is not None
        and isinstance(delta.content, str)
        and not (delta.reasoning_content or delta.reasoning or delta.reasoning_details)
        and not (delta.tool_calls or delta.function_call or delta.refusal)
    )
