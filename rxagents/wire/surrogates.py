r"""Joins characters that a provider cut in two.

Some providers escape characters outside of the basic plane as surrogate pairs and cut between
the halves: `"\ud83d"` in one delta, `"\ude00"` in the next. A half alone is not valid text.
"""

from __future__ import annotations

import re
from typing import TypeAlias

_PAIR = "[\ud800-\udbff][\udc00-\udfff]"
_LONE = "[\ud800-\udfff]"
"""Compiled at first use: few streams need them."""


Channel: TypeAlias = tuple[int, str | int]
"""The number of a choice, and the name of one of its texts, or the number of one of its calls."""


class SurrogateJoiner:
    """Holds a first half back until its second half comes, for each channel separately."""

    def __init__(self) -> None:
        self._held: dict[Channel, str] = {}

    def join(self, channel: Channel, text: str) -> str:
        """Return the valid text that `text` completes; a half without the other becomes U+FFFD."""
        text = self._held.pop(channel, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[channel] = text[-1]
            text = text[:-1]
        return re.sub(_LONE, "\ufffd", re.sub(_PAIR, _join, text))

    def end(self, channel: Channel) -> str:
        """Return U+FFFD if a channel that ends still holds a first half."""
        return "\ufffd" if self._held.pop(channel, "") else ""

    def flush(self) -> list[tuple[Channel, str]]:
        """Return U+FFFD for each channel that still holds a first half."""
        held, self._held = self._held, {}
        return [(channel, "\ufffd") for channel in held]


def _join(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
