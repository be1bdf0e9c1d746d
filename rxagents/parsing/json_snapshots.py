"""Represent the value of an incomplete JSON answer, decoded when it is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeVar

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rxagents.core.chunks import TextBuffer
from rxagents.core.errors import OutputError

T = TypeVar("T")


class PartialJson(Struct, eq=False, gc=False):
    """The value of a JSON answer so far.

    An incomplete number, literal or key is left out; an incomplete string is included.

    Attributes:
        complete: Whether the answer is complete.
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

        It is decoded when it is first read, at a cost that is linear in the text so far.
        """
        if self._value is UNSET:
            self._value = msgspec.json.decode(next(self.readings()))
        return self._value

    def readings(self) -> Iterator[bytes]:
        """Yield the text so far as JSON documents, each with one incomplete member less.

        The first document includes an incomplete string; the last one has only the complete
        members of the outermost value.
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
    """The value of a typed JSON answer so far.

    Attributes:
        complete: Whether the answer is complete.
    """

    complete: bool
    _json: PartialJson
    _decoder: msgspec.json.Decoder[T]
    _value: T | UnsetType | None = UNSET

    @property
    def value(self) -> T | None:
        """The value so far; `None` until all required fields are there.

        Incomplete members are left out if the type does not accept them. The value is decoded
        when it is first read, at a cost that is linear in the text so far.

        Raises:
            OutputError: The answer is complete and does not match the type.
        """
        if self._value is UNSET:
            self._value = self._whole() if self.complete else self._so_far()
        return self._value

    def _whole(self) -> T:
        try:
            return self._decoder.decode(next(self._json.readings()))
        except msgspec.MsgspecError as error:
            raise OutputError(
                f"The answer does not match its type: {error}. Describe the type to the model, and "
                "set response_format if the model supports it."
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
