"""Read a structured answer while it is written: partial objects, and early refusals.

Theory of operation. `AnswerParts` says which parts of an answer have a type of their own: the
top-level fields of an object, or the elements of a list. It is made once a type. `AnswerParser`
reads one answer. It converts each such part when the part closes, so a wrong answer is known
before its end. An open value is never judged, since the rest of it may still come.

Only types that msgspec knows are judged early. What contains a pydantic model, and what depends on
the whole object (missing fields, unknown fields, `__post_init__`), is checked at the end.

A partial object is due when a value of any depth has closed since the last one. To make one costs
as much as the text so far, so the text must also have grown by an eighth; the sum over an answer
is at most nine times its length. Short texts are exempt.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any, NotRequired, Required, get_args, get_origin, get_type_hints, is_typeddict

import msgspec
from msgspec import UNSET

from rxagents.core.errors import ConfigurationError, OutputError
from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.output_type import (
    WRAPPED_FIELD,
    OutputType,
    is_output_type,
    mismatch,
    value_decoder,
)
from rxagents.parsing.closed_values import ANY_KEY, ELEMENT, ClosedValuesParser

_SHORT = 1024
"""Up to this length a partial object is due whenever a value has closed."""

_GROWTH = 8
"""Above it, the text must have grown by one part in this many."""


class AnswerParts:
    """The parts of an answer that can be checked when they close.

    Args:
        output: The type of the answer.

    Attributes:
        output: The type of the answer.
        steps: The path of the parts; see `ClosedValuesParser`.
    """

    def __init__(self, output: OutputType[Any]) -> None:
        self.output = output
        self.steps: tuple[str, ...] = (WRAPPED_FIELD, ELEMENT) if output.wrapped else (ANY_KEY,)
        self._decode: Callable[[bytes], Any] | None = None
        kind = output.type
        element = _element_type(kind)
        if not output.wrapped:
            self._decode = _fields_decoder(kind)
        elif element is not None and _is_known(element):
            self._decode = value_decoder(element)

    def check(self, key: str, text: str, position: int) -> None:
        """Check a part that has closed.

        Args:
            key: The key of a field.
            text: The part's JSON text.
            position: The number of the part in the answer, from 0.

        Raises:
            OutputError: The part does not match its type.
        """
        if self._decode is None:
            return
        if not self.output.wrapped:
            text = f"{{{msgspec.json.encode(key).decode()}: {text}}}"
        try:
            self._decode(text.encode("utf-8", "replace"))
        except JSON_ERRORS as error:
            where = f"Element {position} of the answer" if self.output.wrapped else "The answer"
            raise mismatch(where, error) from error
        except Exception:  # raised by the type's own code, and again when the answer is complete
            return


def answer_parts(kind: Any) -> AnswerParts | None:
    """Return the parts of answers of the type `kind`; `None` for text.

    Raises:
        ConfigurationError: No JSON can be converted to the type.
    """
    if kind is None or kind is str:
        return None
    if not is_output_type(kind):
        raise ConfigurationError(
            f"output_type must be a type, such as City or list[City], not {kind!r}."
        )
    return AnswerParts(OutputType(kind))


class AnswerParser:
    """Reads one answer.

    Args:
        parts: The parts to check.

    Attributes:
        error: Why a part that has closed was refused; `None` while none was.
    """

    def __init__(self, parts: AnswerParts) -> None:
        self.error: OutputError | None = None
        self._parts = parts
        self._parser = ClosedValuesParser(parts.steps)
        self._has_begun = False
        self._checked = 0
        self._shown = 0  # the number of closed values in the last partial object
        self._due = 0  # the length of the text at which the next partial object is due

    def take(self, text: str) -> Any:
        """Read the next piece of the answer.

        Returns:
            The partial object, if one is due; else `UNSET`.
        """
        parser = self._parser
        if parser.complete or parser.error is not None or self.error is not None:
            return UNSET
        if not self._has_begun:  # where `object_in` begins
            text = text[start:] if (start := text.find("{")) >= 0 else ""
            self._has_begun = bool(text)
        for key, closed in parser.take(text):
            try:
                self._parts.check(key, closed, self._checked)
            except OutputError as error:
                self.error = error
                return UNSET
            self._checked += 1
        if parser.complete or (parser.ended > self._shown and parser.length >= self._due):
            return self._partial()
        return UNSET

    def _partial(self) -> Any:
        parser = self._parser
        length = parser.length
        self._shown = parser.ended
        self._due = length if length <= _SHORT else length + length // _GROWTH
        value = parser.snapshot().value
        return value.get(WRAPPED_FIELD, UNSET) if self._parts.output.wrapped else value


def _element_type(kind: Any) -> Any:
    """Return the type of a list's elements; `None` if `kind` is no list."""
    if get_origin(kind) not in {list, set, frozenset}:
        return None
    return get_args(kind)[0]


def _is_known(kind: Any) -> bool:
    """Return whether msgspec knows the type, and all types in it."""
    try:
        msgspec.json.schema_components([kind])
    except Exception:  # a type that has no schema is not judged before the end
        return False
    return True


def _fields_decoder(kind: Any) -> Callable[[bytes], Any] | None:
    """Return a function that converts an object with any of the fields of `kind`."""
    if get_origin(kind) is dict:
        return value_decoder(kind) if _is_known(kind) else None
    known = [(name, hint) for name, hint in _fields(kind) if _is_known(hint)]
    if not known:
        return None
    part = msgspec.defstruct(
        "Part",
        [(f"field_{number}", hint, None) for number, (_, hint) in enumerate(known)],
        rename={f"field_{number}": name for number, (name, _) in enumerate(known)},
        kw_only=True,
    )
    return value_decoder(part)


def _fields(kind: Any) -> Iterator[tuple[str, Any]]:
    """Yield the name in JSON and the type of each field of an object."""
    origin = get_origin(kind) or kind
    if isinstance(origin, type) and issubclass(origin, msgspec.Struct):
        for field in msgspec.structs.fields(kind):
            yield field.encode_name, field.type
    elif dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind, include_extras=True)
        for dataclass_field in dataclasses.fields(kind):
            yield dataclass_field.name, hints[dataclass_field.name]
    elif is_typeddict(kind):
        for name, hint in get_type_hints(kind, include_extras=True).items():
            yield name, get_args(hint)[0] if get_origin(hint) in {Required, NotRequired} else hint
