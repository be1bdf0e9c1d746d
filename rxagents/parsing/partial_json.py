"""Parse a JSON answer while it is being written.

Theory of operation. `PartialJsonParser` is a scanner that reads each character once. It knows at
any time which characters close the text so far (`_closers`, innermost first) and where, at each
level, the last complete member ends (`_ends`). A snapshot only copies this state; msgspec decodes
the closed text when the snapshot's value is read. To decode at every chunk would be quadratic.

`_step` is the state: the method that reads the next character or token. A step returns `False`
when it needs more text, or when the value is complete. `ClosedValuesParser` overrides the
methods that the steps call. Only an incomplete token waits in `_data`:
a scalar (at most 4,300 characters) or an escape. Text inside a string is complete at once, since
half a string counts as a value; half a number, literal or key does not. The scanner must accept
exactly what msgspec accepts: a more lenient one would make snapshots that cannot be decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

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
_LOW = rf"[dD][c-fC-F]{_HEX}{{2}}"  # the second half
_ESCAPE = re.compile(rf'\\(?:["\\/bfnrt]|u(?:(?![dD][89a-fA-F]){_HEX}{{4}}|{_HIGH}\\u{_LOW}))')
_HALF_ESCAPE = re.compile(rf"\\(?:u(?:{_HEX}{{0,3}}|{_HIGH}(?:\\(?:u{_HEX}{{0,3}})?)?))?")
_SCALAR = re.compile(r"[-+.0-9A-Za-z]*+")
_LONGEST_SCALAR = 4300
"""Python parses no integer with more digits (`sys.get_int_max_str_digits`)."""

_INCOMPLETE = (
    "The answer ended before its JSON was complete. Raise max_tokens, or ask for a shorter answer."
)
_NO_JSON = (
    "The answer contains no JSON object or array. Ask for JSON only, and set response_format if "
    "the model supports it."
)


class PartialJsonParser:
    """Parses the first object or array in a text; text around it is skipped.

    Args:
        max_depth: The largest number of nested levels; more are a `LimitExceededError`.

    Attributes:
        error: The error that ended the parser, or `None`.
        complete: Whether the value is complete; text after it is ignored.
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
        self._step: Callable[[Any], bool] = PartialJsonParser._begin

    def feed(self, data: str) -> list[PartialJson]:
        """Return a list with one snapshot if `data` may have changed the value, else empty."""
        if (
            self._in_text
            and not self._data
            and data.isprintable()
            and '"' not in data
            and "\\" not in data
        ):  # the fast path inside a string: most chunks take it
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
        return self._consume()

    def flush(self) -> list[PartialJson]:
        """End the text; an incomplete answer sets `error`."""
        if self.error is None and not self.complete:
            self.error = OutputError(_INCOMPLETE if self._closers else _NO_JSON)
        return []

    def _consume(self) -> list[PartialJson]:
        """Move the text that was read to the buffer; the rest waits for more text."""
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

    # Each step reads one character or token; it returns whether another step can follow.

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

    def _next_key(self) -> bool:
        return self._key()  # a call that a subclass can override, unlike a step

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
            return self._go_on(
                PartialJsonParser._next_key if is_object else PartialJsonParser._item
            )
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

    def _open(self, closer: str, step: Callable[[Any], bool]) -> bool:
        if len(self._closers) == self._max_depth:
            raise LimitExceededError(
                f"The JSON of the answer is nested more than {self._max_depth} levels deep. Ask "
                "for flatter JSON."
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
        """Skip white space; return the next character, or `""` if more text is needed."""
        character = self._data[self._position : self._position + 1]
        if character and character in " \t\n\r":
            self._position = _SPACE.match(self._data, self._position).end()  # type: ignore[union-attr]  # it matches any text
            character = self._data[self._position : self._position + 1]
        return character

    def _go_on(self, step: Callable[[Any], bool]) -> bool:
        """Read one character and set the next step."""
        self._position += 1
        self._step = step
        return True

    def _want(self, wanted: str, character: str) -> bool:
        """Return `False` if more text is needed; raise if an unexpected character follows."""
        if character:
            start = self._position
            raise OutputError(
                f"The answer is not valid JSON: expected {wanted} instead of "
                f"{self._data[start : start + 40]!r}. Ask for JSON only, and set "
                "response_format if the model supports it."
            )
        return False
