r"""Characters that a provider cut in two.

Some providers escape characters outside of the basic plane as surrogate pairs and cut between
the two halves: `"\ud83d"` in one delta, `"\ude00"` in the next. Neither half is text.
"""

from __future__ import annotations

import re
from typing import TypeAlias

_PAIR = re.compile("[\ud800-\udbff][\udc00-\udfff]")
_LONE = re.compile("[\ud800-\udfff]")


Channel: TypeAlias = tuple[int, str]
"""The number of a choice, and which of its texts."""


class SurrogateJoiner:
    """Holds a first half back until its second half comes, separately for each channel."""

    def __init__(self) -> None:
        self._held: dict[Channel, str] = {}

    def join(self, channel: Channel, text: str) -> str:
        """Return the valid text that `text` completes; a half without its other one is U+FFFD."""
        text = self._held.pop(channel, "") + text
        if text and "\ud800" <= text[-1] <= "\udbff":
            self._held[channel] = text[-1]
            text = text[:-1]
        return _LONE.sub("\ufffd", _PAIR.sub(_joined, text))

    def flush(self) -> list[tuple[Channel, str]]:
        """Return U+FFFD for each channel whose second half never came."""
        held, self._held = self._held, {}
        return [(channel, "\ufffd") for channel in held]


def _joined(pair: re.Match[str]) -> str:
    return pair[0].encode("utf-16-le", "surrogatepass").decode("utf-16-le")
