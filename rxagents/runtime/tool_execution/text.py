"""Turn a tool's result or failure into text, images and files for the model."""

from __future__ import annotations

import contextlib
import json
import math
from collections import UserString
from collections.abc import Mapping, Sequence, Set, ValuesView

import msgspec

from rxagents.core.content_parts import ContentPart, FilePart, ImagePart, TextPart, content_text
from rxagents.core.errors import ToolError
from rxagents.core.printing import printed
from rxagents.core.surrogates import replace_surrogates

_PARTS = (TextPart, ImagePart, FilePart)


def result_parts(value: object) -> tuple[ContentPart, ...]:
    """Return the parts of a result that is a part, or a list or tuple with a part in it.

    Other items of the list become text. The tuple is empty for every other result.
    """
    items = value if isinstance(value, (list, tuple)) else [value]
    if not any(isinstance(item, _PARTS) for item in items):
        return ()
    return tuple(
        item if isinstance(item, (ImagePart, FilePart)) else TextPart(result_text(item))
        for item in items
    )


def result_text(value: object) -> str:
    """Return a `str` unchanged, parts as their texts and descriptions, anything else as JSON.

    A value of a type that JSON lacks is written as the JSON of what it exports, such as a pydantic
    model's fields or an array's numbers, or else as `str` prints it. NaN and the infinities are
    written as texts. A lone surrogate, which file names may hold, becomes a question mark. Only
    `KeyboardInterrupt` passes.
    """
    if isinstance(value, TextPart):
        return replace_surrogates(value.text)
    if parts := result_parts(value):
        return content_text(parts)
    try:
        text = value if isinstance(value, str) else _json(value)
    except KeyboardInterrupt:
        raise
    except BaseException:
        return printed(value)
    return replace_surrogates(text)


def error_text(error: Exception) -> str:
    """Return the model's text about a tool's failure."""
    text = printed(error)
    return (
        f"Error: {text}"
        if isinstance(error, ToolError)
        else f"Error: {type(error).__name__}: {text}"
    )


def _json(value: object) -> str:
    try:
        encoded = msgspec.json.encode(value, enc_hook=_exported)
    except UnicodeEncodeError:  # a lone surrogate
        encoded = b"null"
    if b"null" not in encoded:
        return encoded.decode()
    # msgspec writes null for NaN: a model would read it as "no value".
    plain = msgspec.to_builtins(value, enc_hook=_exported)
    return json.dumps(_with_named_floats(plain), ensure_ascii=False, separators=(",", ":"))


_EXPORTS: tuple[tuple[str, dict[str, str]], ...] = (
    ("model_dump", {"mode": "json"}),  # pydantic
    ("model_dump", {}),  # pydantic, where a field has no JSON
    ("dict", {}),  # pydantic 1
    ("to_dict", {}),  # pandas
    ("tolist", {}),  # numpy, torch, array.array
)
"""The methods by which objects export their data, with their arguments."""


def _exported(value: object) -> object:
    """Return the data of a value of a type that JSON lacks."""
    kind = type(value)  # an instance such as a Mock may have every attribute
    for name, arguments in _EXPORTS:
        export = getattr(kind, name, None)
        if callable(export):
            with contextlib.suppress(Exception):
                return export(value, **arguments)
    match value:
        case bool() | tuple() | frozenset():  # the key of a dict: as values JSON has them
            return printed(value)
        case int():
            return int(value)
        case float():
            return float(value)
        case Mapping():
            return dict(value)
        case str() | UserString():
            return printed(value)
        case Sequence() | Set() | ValuesView():
            return list(value)
    return printed(value)


def _with_named_floats(value: object) -> object:
    """Return a JSON value with a text for NaN and the infinities, which JSON lacks."""
    match value:
        case float() if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case list() | tuple():
            return [_with_named_floats(item) for item in value]
        case dict():
            return {_name(key): _with_named_floats(item) for key, item in value.items()}
    return value


def _name(key: object) -> object:
    """Return a dict's key as one that `json` takes."""
    return printed(key) if isinstance(key, (tuple, frozenset)) else key
