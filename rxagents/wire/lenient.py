"""Reads an event with odd fields: the second try, after strict decoding has failed."""

from __future__ import annotations

import functools
import json
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, inspect

from rxagents.core.json_text import JSON_ERRORS
from rxagents.core.surrogates import replace_surrogates

S = TypeVar("S", bound=Struct)

# Theory of operation
#
# One field of an odd type must not end a stream whose text can be read. Strict decoding is fast and
# serves nearly all events; only an event that it refuses comes here.
#
# - The JSON may have NaN, lone surrogates, and invalid UTF-8 outside of texts: JSON writers of
#   hosts produce them. Invalid UTF-8 inside of a text is an error, since the text is not known.
# - Each field is read by its type in the struct, and converted where that loses nothing: a number
#   for an id, an object with a text for a text, one object for a list. A field that cannot be
#   converted is left out.
# - Texts keep lone surrogates, since the other half may come in the next event: `ChunkBuilder`
#   joins them. Everywhere else they are replaced, since nothing can encode them.

TEXTS = frozenset(
    {
        "arguments",
        "content",
        "delta",
        "partial_json",
        "reasoning",
        "reasoning_content",
        "reasoning_text",
        "refusal",
        "response",
        "text",
        "thinking",
    }
)
"""The names of the fields that hold text in pieces, on all wires."""

_INSIDE = ("text", "content", "thinking", "summary", "reasoning")
"""Where an object that stands for a text has its text."""

_INT_DIGITS = 18
"""Longer integers do not fit into 64 bits, which JSON encoders and MessagePack have."""


def decode_leniently(payload: bytes, kind: type[S]) -> S:
    """Decode an event.

    Raises:
        ValueError: It is not JSON, not an object and not `null`, or a text is invalid UTF-8.
    """
    try:
        text, damaged = payload.decode(), False
    except UnicodeDecodeError:
        text, damaged = payload.decode("utf-8", "replace"), True
    value = _cleaned(_loads(text), "", damaged)
    # NaN and a number that is too long are read as None too.
    if not isinstance(value, dict) and text.strip() != "null":
        raise ValueError("it is not a JSON object")
    return read_leniently(value, kind)


def decode_object(payload: bytes) -> dict[str, Any]:
    """Return all fields of an event that was decoded before."""
    try:
        value = msgspec.json.decode(payload)
    except JSON_ERRORS:
        value = read_json(payload.decode("utf-8", "replace"))
    return value if isinstance(value, dict) else {}


def read_json(text: str) -> Any:
    """Return a JSON value; `None` if `text` is none."""
    try:
        return _cleaned(_loads(text), "", damaged=False)
    except JSON_ERRORS:
        return None


def read_leniently(value: object, kind: type[S]) -> S:
    """Read a decoded object as a struct; fields that cannot be read are left out."""
    if not isinstance(value, dict):
        return kind()
    found = {}
    for name, attribute, types in _fields_of(kind):
        if name in value:
            read = _read(value[name], types)
            if read is not msgspec.UNSET:
                found[attribute] = read
    return kind(**found)


@functools.cache
def _fields_of(kind: type[Struct]) -> list[tuple[str, str, tuple[inspect.Type, ...]]]:
    info = inspect.type_info(kind)
    fields = info.fields if isinstance(info, inspect.StructType) else ()
    return [(field.encode_name, field.name, _types_in(field.type)) for field in fields]


def _types_in(kind: inspect.Type) -> tuple[inspect.Type, ...]:
    return kind.types if isinstance(kind, inspect.UnionType) else (kind,)


def _read(value: Any, types: tuple[inspect.Type, ...]) -> Any:
    """Return `value` as the first type that fits, converted if none does; `UNSET` if none can."""
    for convert in (_exact, _converted):
        for kind in types:
            read = convert(value, kind)
            if read is not msgspec.UNSET:
                return read
    return msgspec.UNSET


def _exact(value: Any, kind: inspect.Type) -> Any:
    match kind, value:
        case inspect.AnyType(), _:
            return value
        case inspect.NoneType(), None:
            return value
        case (inspect.StrType(), str()) | (inspect.DictType(), dict()):
            return value
        case inspect.BoolType(), bool():
            return value
        case inspect.IntType(), int() if not isinstance(value, bool):
            return value
        case inspect.StructType(), dict():
            return read_leniently(value, kind.cls)
        case inspect.ListType(), list():
            types = _types_in(kind.item_type)
            items = (_read(item, types) for item in value)
            return [item for item in items if item is not msgspec.UNSET]
    return msgspec.UNSET


def _converted(value: Any, kind: inspect.Type) -> Any:
    match kind, value:
        case inspect.StrType(), int() | float() if not isinstance(value, bool):
            return str(value)
        case inspect.StrType(), dict() | list():
            return _text_in(value) or msgspec.UNSET
        case inspect.IntType(), float() if value.is_integer():
            return int(value)
        case inspect.IntType(), str() if value.isdecimal() and len(value) <= _INT_DIGITS:
            return int(value)
        case inspect.BoolType(), 1 | "true":
            return True
        case inspect.ListType(), dict():
            return _exact([value], kind)
    return msgspec.UNSET


def _text_in(value: object) -> str:
    """Return the text in an object or a list of objects."""
    match value:
        case str():
            return value
        case list():
            return "".join(map(_text_in, value))
        case dict():
            return next((text for name in _INSIDE if (text := _text_in(value.get(name)))), "")
    return ""


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=lambda _: None, parse_int=_int, strict=False)


def _int(digits: str) -> int | None:
    return int(digits) if len(digits) <= _INT_DIGITS else None


def _cleaned(value: Any, name: str, damaged: bool) -> Any:
    """Return a value without lone surrogates, except those in texts.

    Raises:
        ValueError: A text has U+FFFD in the place of invalid UTF-8.
    """
    match value:
        case str() if name in TEXTS:
            if damaged and "\ufffd" in value:
                raise ValueError(f"{name} is not valid UTF-8")
            return value
        case str():
            return replace_surrogates(value)
        case list():
            return [_cleaned(item, name, damaged) for item in value]
        case dict():
            return {
                replace_surrogates(key): _cleaned(item, key, damaged) for key, item in value.items()
            }
    return value
