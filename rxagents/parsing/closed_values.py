"""Cut values out of a JSON answer at the moment when they close.

Theory of operation. `ClosedValuesParser` is the scanner of `partial_json` with a path: a list of
keys and `ELEMENT`s. `_levels` has, for each open container, how many steps of the path lead to it,
or -1 if it is beside the path. When a value starts whose parent matches all steps but the last, its
start is noted in `_start`; when it ends at the same depth, its text is cut out.

The text is kept in `_pieces` only from the start of the key or value that is being read, and joined
once a value: to join at every piece, or to cut the rest off at every value, would be quadratic.
A number closes with the character after it, since more digits may follow.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import msgspec

from rxagents.core.errors import ConfigurationError
from rxagents.parsing.json_snapshots import PartialJson
from rxagents.parsing.partial_json import PartialJsonParser

ELEMENT: Final = "[]"
ANY_KEY: Final = "*"


def path_steps(path: str) -> tuple[str, ...]:
    """Split a path such as `orders[].lines[]` into its steps.

    Raises:
        ConfigurationError: It is not a path that ends in `[]`.
    """
    if not isinstance(path, str) or not path.endswith(ELEMENT):
        raise ConfigurationError(
            f"path must be the path of a list's elements, such as 'cities[]', not {path!r}."
        )
    steps: list[str] = []
    for number, part in enumerate(path.split(".")):
        key = part.rstrip("[]")
        lists, rest = divmod(len(part) - len(key), len(ELEMENT))
        if rest or part != key + ELEMENT * lists or not (key or (lists and number == 0)):
            raise ConfigurationError(f"path must have keys, '.' and '[]' only, not {path!r}.")
        steps += [key] * bool(key) + [ELEMENT] * lists
    return tuple(steps)


class ClosedValuesParser(PartialJsonParser):
    """Finds the values at a path.

    Args:
        steps: The path: keys and `ELEMENT`s. `ANY_KEY` as the last step matches every key.

    Attributes:
        closed: The values that closed since `take` was called: the key, empty for an element, and
            the JSON text.
        ended: The number of values of any depth that have closed.
    """

    __slots__ = ("_child", "_depth", "_kept", "_key_start", "_last_key", "_levels", "_pieces",
                 "_skipped", "_start", "_steps", "closed", "ended")  # fmt: skip

    def __init__(self, steps: tuple[str, ...]) -> None:
        super().__init__()
        self._step = ClosedValuesParser._begin
        self.closed: list[tuple[str, str]] = []
        self.ended = 0
        self._steps = steps
        self._levels: list[int] = []
        self._child = 0
        self._last_key = ""
        self._start = self._key_start = -1
        self._depth = 0
        self._pieces: list[str] = []
        self._kept = 0  # the position of the first character in `_pieces`
        self._skipped = 0  # the length of the text before the JSON

    def take(self, data: str) -> list[tuple[str, str]]:
        """Read `data`; return the values that it closes."""
        if self.error is not None or self.complete:
            return []
        self._pieces.append(data)
        self.feed(data)
        closed = self.closed
        self._forget(bool(closed))
        self.closed = []
        return closed

    @property
    def length(self) -> int:
        """The length of the JSON text that was read."""
        return self._buffer.end

    def snapshot(self) -> PartialJson:
        """Return the JSON value so far."""
        return self._snapshot()

    def _forget(self, has_closed: bool) -> None:
        """Drop the text that nothing needs: all before the open key or value."""
        begin = self._key_start if self._start < 0 else self._start
        if begin < 0:
            begin = self._skipped + self._buffer.end
        elif not has_closed and begin < self._kept + len(self._pieces[0]):
            return
        text = "".join(self._pieces)
        self._pieces = [text[begin - self._kept :]]
        self._kept = begin

    def _here(self) -> int:
        return self._skipped + self._buffer.end + self._position

    def _text(self, start: int) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0][start - self._kept : self._here() - self._kept]

    def _begin(self) -> bool:
        before = len(self._data)
        opening = min((i for i in map(self._data.find, "{[") if i >= 0), default=before)
        self._skipped += opening
        return super()._begin()

    def _value(self, character: str) -> bool:
        if character and self._start < 0:
            self._child = self._match()
            if self._child == len(self._steps):
                self._start, self._depth = self._here(), len(self._closers)
        return super()._value(character)

    def _match(self) -> int:
        """Return how many steps of the path lead to the value that starts here, or -1."""
        if not self._levels:
            return 0
        matched = self._levels[-1]
        if matched < 0:
            return -1
        step = self._steps[matched]
        if self._closers[0] == "]":
            return matched + 1 if step == ELEMENT else -1
        if step in {self._last_key, ANY_KEY} and step != ELEMENT:
            return matched + 1
        return -1

    def _open(self, closer: str, step: Callable[[Any], bool]) -> bool:
        super()._open(closer, step)
        self._levels.append(-1 if self._start >= 0 else self._child)
        return True

    def _key(self) -> bool:
        starts = self._peek() == '"' and self._start < 0 and self._levels[-1] >= 0
        self._key_start = self._here() if starts else -1
        return super()._key()

    def _end_text(self) -> bool:
        is_key = self._in_key
        super()._end_text()
        if not is_key:
            self._end_value()
        elif self._key_start >= 0:
            self._last_key = msgspec.json.decode(self._text(self._key_start), type=str)
            self._key_start = -1
        return True

    def _scalar(self) -> bool:
        if not super()._scalar():
            return False
        self._end_value()
        return True

    def _close(self) -> bool:
        goes_on = super()._close()
        self._levels.pop()
        self._end_value()
        return goes_on

    def _end_value(self) -> None:
        self.ended += 1
        if self._start >= 0 and len(self._closers) == self._depth:
            key = "" if self._steps[-1] == ELEMENT else self._last_key
            self.closed.append((key, self._text(self._start)))
            self._start = -1
