"""A JSON answer, read while it is written.

The scanner looks at each character once, and knows at any time how to close the text: so a
snapshot is made in no time, and decoded when it is read.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import msgspec

from rxagents.core.chunks import TextBuffer
from rxagents.core.errors import LimitExceededError, OutputError
from rxagents.core.limits import DEFAULT_LIMITS
from rxagents.parsing.json_snapshots import PartialJson

_OPENING = re.compile(r"[\[{]")
_SPACE = re.compile(r"[ \t\n\r]*+")
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*+')
_HEX = "[0-9a-fA-F]"
_HIGH = rf"[dD][89abAB]{_HEX}{{2}}"  # the first half of a surrogate pair
_LOW = rf"[dD][c-fC-F]{_HEX}{{2}}"
_ESCAPE = re.compile(rf'\\(?:["\\/bfnrt]|u(?:(?![dD][89a-fA-F]){_HEX}{{4}}|{_HIGH}\\u{_LOW}))')
_HALF_ESCAPE = re.compile(rf"\\(?:u(?:{_HEX}{{0,3}}|{_HIGH}(?:\\(?:u{_HEX}{{0,3}})?)?))?")
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*+")
_LONGEST_SCALAR = 4300
"""Python reads no number with more digits than this."""


class PartialJsonParser:
    """Reads the first object or array in a text; what stands around it is skipped.

    Args:
        max_depth: An answer that is nested more deeply is a `LimitExceededError`.

    Attributes:
        error: What ended the parser, or `None`.
        complete: Whether the whole value has come; what follows it is not looked at.
    """

    __slots__ = ("_buffer", "_changed", "_closers", "_data", "_ends", "_in_key",
                 "_in_text", "_max_depth", "_position", "_step", "complete", "error")  # fmt: skip

    def __init__(self, max_depth: int = DEFAULT_LIMITS.json_depth) -> None:
        self.error: OutputError | LimitExceededError | None = None
        self.complete = False
        self._max_depth = max_depth
        self._buffer = TextBuffer()
        self._data = ""
        self._position = 0
        self._closers = ""
        self._ends = [0]
        self._in_text = False
        self._in_key = False
        self._changed = False
        self._step: Callable[[PartialJsonParser], bool] = PartialJsonParser._begin

    def feed(self, data: str) -> list[PartialJson]:
        """Return a snapshot, if `data` may have changed the value."""
        if (
            self._in_text
            and not self._data
            and data.isprintable()
            and '"' not in data
            and "\\" not in data
        ):  # as most pieces are
            self._buffer.append(data)
            return [self._snapshot()] if data else []
        if self.error is not None or self.complete:
            return []
        self._data += data
        try:
            while self._step(self):
                pass
        except (OutputError, LimitExceededError) as error:
            self.error = error
        return self._take()

    def flush(self) -> list[PartialJson]:
        """Take note of the end of the text: an answer that is not whole is an error."""
        if self.error is None and not self.complete:
            self.error = OutputError(
                "The answer ended before its JSON was whole. Allow more tokens for it, or ask for "
                "less." if self._closers else "The answer holds no JSON object or array. Ask for "
                "JSON alone, and set response_format where the model knows it."
            )  # fmt: skip
        return []

    def _take(self) -> list[PartialJson]:
        """Set what has been read apart from what must wait for more."""
        if self._position:
            self._buffer.append(self._data[: self._position])
            self._data = self._data[self._position :]
            self._position = 0
        if not self._changed:
            return []
        self._changed = False
        return [self._snapshot()]

    def _snapshot(self) -> PartialJson:
        return PartialJson(
            self.complete,
            self._buffer,
            self._buffer.end,
            self._closers,
            tuple(self._ends),
            self._in_text,
        )

    # Each step reads one thing at the position, and tells whether there may be more to read.

    def _begin(self) -> bool:
        opening = _OPENING.search(self._data)
        self._data = self._data[opening.start() :] if opening is not None else ""
        return opening is not None and self._value(self._data[0])

    def _first_item(self) -> bool:
        character = self._peek()
        return self._close() if character == "]" else self._value(character)

    def _item(self) -> bool:
        return self._value(self._peek())

    def _value(self, character: str) -> bool:
        if character == "{":
            return self._open("}", PartialJsonParser._first_key)
        if character == "[":
            return self._open("]", PartialJsonParser._first_item)
        if character == '"':
            self._in_text = self._changed = True
            return self._go_on(PartialJsonParser._characters)
        return self._scalar() if character else False

    def _first_key(self) -> bool:
        return self._close() if self._peek() == "}" else self._key()

    def _key(self) -> bool:
        character = self._peek()
        if character == '"':
            self._in_key = True
            return self._go_on(PartialJsonParser._characters)
        return self._want("a key in double quotes", character)

    def _colon(self) -> bool:
        character = self._peek()
        if character == ":":
            return self._go_on(PartialJsonParser._item)
        return self._want("a colon", character)

    def _separator(self) -> bool:
        character, closer = self._peek(), self._closers[0]
        if character == closer:
            return self._close()
        if character == ",":
            is_object = closer == "}"
            return self._go_on(PartialJsonParser._key if is_object else PartialJsonParser._item)
        return self._want(f"a comma or {closer}", character)

    def _characters(self) -> bool:
        end = _PLAIN.match(self._data, self._position).end()  # type: ignore[union-attr]  # it matches any text
        self._read_text(end)
        character = self._data[end : end + 1]
        if character == '"':
            return self._end_text()
        if character == "\\":
            return self._escape()
        return self._want("an escape for the control character", character)

    def _escape(self) -> bool:
        escape = _ESCAPE.match(self._data, self._position)
        if escape is None:
            if _HALF_ESCAPE.fullmatch(self._data, self._position):
                return False
            return self._want("a valid escape", "\\")
        self._read_text(escape.end())
        return True

    def _read_text(self, end: int) -> None:
        if end > self._position:
            self._position = end
            self._changed = self._changed or self._in_text

    def _end_text(self) -> bool:
        if self._in_key:
            self._in_key = False
            return self._go_on(PartialJsonParser._colon)
        self._in_text = False
        self._go_on(PartialJsonParser._separator)
        self._ends[-1] = self._buffer.end + self._position
        return True

    def _scalar(self) -> bool:
        end = _SCALAR.match(self._data, self._position).end()  # type: ignore[union-attr]  # it matches any text
        scalar = self._data[self._position : end]
        if end == len(self._data) and len(scalar) <= _LONGEST_SCALAR:
            return False
        try:
            msgspec.json.decode(scalar)
        except msgspec.MsgspecError:
            return self._want("a value", self._data[self._position])
        self._position = end
        self._ends[-1] = self._buffer.end + end
        self._changed = True
        self._step = PartialJsonParser._separator
        return True

    def _open(self, closer: str, step: Callable[[PartialJsonParser], bool]) -> bool:
        if len(self._closers) == self._max_depth:
            raise LimitExceededError(
                f"The JSON of the answer is nested more than {self._max_depth} levels deep. Ask "
                "for a flatter one."
            )
        self._go_on(step)
        self._closers = closer + self._closers
        self._ends.append(self._buffer.end + self._position)
        self._changed = True
        return True

    def _close(self) -> bool:
        self._position += 1
        self._closers = self._closers[1:]
        self._ends.pop()
        self._ends[-1] = self._buffer.end + self._position
        self._step = PartialJsonParser._separator
        if not self._closers:
            self.complete = self._changed = True
        return not self.complete

    def _peek(self) -> str:
        """Skip white space; return the next character, `""` if it has not come."""
        character = self._data[self._position : self._position + 1]
        if character and character in " \t\n\r":
            self._position = _SPACE.match(self._data, self._position).end()  # type: ignore[union-attr]  # it matches any text
            character = self._data[self._position : self._position + 1]
        return character

    def _go_on(self, step: Callable[[PartialJsonParser], bool]) -> bool:
        """Read one character."""
        self._position += 1
        self._step = step
        return True

    def _want(self, wanted: str, character: str) -> bool:
        """Wait for the next character, if there is none; it is not what it must be otherwise."""
        if character:
            start = self._position
            raise OutputError(
                f"The answer is not valid JSON: {wanted} should stand where it goes on with "
                f"{self._data[start : start + 40]!r}. Ask for JSON alone, and set "
                "response_format where the model knows it."
            )
        return False
