"""Explain a request that a cassette has no answer for."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from os import PathLike

import msgspec

from rxagents.core.errors import ConfigurationError
from rxagents.core.json_text import encode_json
from rxagents.testing.cassettes.exchange import RecordedRequest

_MOST_LINES = 60
"""Lines of a difference that are shown."""


class CassetteMissError(ConfigurationError):
    """A cassette has no answer for a request; the message shows the nearest one that it has."""


def miss_error(
    path: PathLike[str], asked: RecordedRequest, known: Sequence[RecordedRequest], count: int
) -> CassetteMissError:
    """Return the error of a request without an answer.

    Args:
        path: The cassette's file.
        asked: The request.
        known: The requests that were recorded.
        count: How many of them are the same as this one; all are played by now.
    """
    name = f"{asked.method} {asked.url}"
    advice = "Record the cassette again with mode='record', or check what changed."
    if count:
        times = f"{count} time" + "s" * (count > 1)
        return CassetteMissError(
            f"The cassette {path} has this request {times}, and it was sent once more: {name}. "
            f"{advice}"
        )
    if not known:
        return CassetteMissError(
            f"The cassette {path} is empty, and was asked for {name}. {advice}"
        )
    lines = _lines(asked)
    matcher = difflib.SequenceMatcher(b=lines, autojunk=False)

    def likeness(number: int) -> float:
        matcher.set_seq1(_lines(known[number]))
        return matcher.ratio()

    nearest = max(range(len(known)), key=likeness)
    difference = list(
        difflib.unified_diff(
            _lines(known[nearest]), lines, f"request {nearest + 1} of the cassette",
            "this request", lineterm="",
        )
    )  # fmt: skip
    more = len(difference) - _MOST_LINES
    shown = difference[:_MOST_LINES] + ([f"… and {more} more lines"] if more > 0 else [])
    return CassetteMissError(
        f"The cassette {path} has no answer for this request: {name}. {advice} The nearest of its "
        f"{len(known)} requests differs in:\n" + "\n".join(shown)
    )


def _lines(request: RecordedRequest) -> list[str]:
    body = msgspec.json.format(encode_json(request.body, order="sorted"), indent=2)
    return [f"{request.method} {request.url}", *body.splitlines()]
