"""What a JSON answer is so far: made in no time, decoded when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rxagents.core.chunks import TextBuffer
from rxagents.core.errors import OutputError

T = TypeVar("T")


class PartialJson(Struct, eq=False, gc=False):
    """A JSON answer, or as much of it as has come.

    Half a number, literal or key does not count yet; half a text does.

    Attributes:
        complete: Whether it is all of the answer.
    """

    complete: bool
    _buffer: TextBuffer
    _end: int
    _closers: str
    _ends: tuple[int, ...]
    _in_text: bool
    _value: Any = UNSET

    @property
    def value(self) -> Any:
        """The value so far, as `dict`, `list`, `str`, `int`, `float`, `bool` and `None`.

        Decoded when it is first read, at a cost that is linear in the text so far.
        """
        if self._value is UNSET:
            self._value = msgspec.json.decode(next(self.readings()))
        return self._value

    def readings(self) -> Iterator[bytes]:
        """Return the text so far as JSON documents, each with one unfinished member less.

        The first has the text that is open, if one is; the last has only those members of the
        outermost value that are whole.
        """
        text = self._buffer.upto(self._end)
        if self._in_text:
            yield _document(text, '"' + self._closers)
        for level in range(len(self._closers) or 1):
            yield _document(text[: self._ends[-1 - level]], self._closers[level:])

    def __repr__(self) -> str:
        return f"PartialJson(value={self.value!r}, complete={self.complete})"


def _document(text: str, closers: str) -> bytes:
    return (text + closers).encode("utf-8", "replace")


class PartialObject(Struct, Generic[T], eq=False, gc=False):
    """An answer of a type, or as much of it as has come.

    Attributes:
        complete: Whether it is all of the answer.
    """

    complete: bool
    _json: PartialJson
    _decoder: msgspec.json.Decoder[T]
    _value: T | UnsetType | None = UNSET

    @property
    def value(self) -> T | None:
        """The value so far; `None` until all that the type requires has come.

        Members that are not whole are left out where the type does not take them so. Decoded
        when it is first read, at a cost that is linear in the text so far.

        Raises:
            OutputError: The answer is complete and does not fit the type.
        """
        if self._value is UNSET:
            self._value = self._whole() if self.complete else self._so_far()
        return self._value

    def _whole(self) -> T:
        try:
            return self._decoder.decode(next(self._json.readings()))
        except msgspec.MsgspecError as error:
            raise OutputError(
                f"The answer does not fit its type: {error}. Describe the type to the model, and "
                "set response_format where it knows it."
            ) from error

    def _so_far(self) -> T | None:
        for reading in self._json.readings():
            try:
                return self._decoder.decode(reading)
            except msgspec.MsgspecError:
                continue
        return None

    def __repr__(self) -> str:
        return f"PartialObject(value={self.value!r}, complete={self.complete})"
