"""Write the arguments of an operator on one line, without what is secret or long."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from enum import Enum
from functools import partial
from pathlib import PurePath

_LONGEST_VALUE = 32
_LONGEST_CALL = 72
# Compiled when first used, not on import.
_SECRET_NAME = r"(?i)key|token|secret|password|credential|auth|cookie|header"
_SECRET_TEXT = (
    r"(?i)\b(sk|pk|xai|gsk|hf|ghp|rk)[-_]|AIza|bearer |basic |://[^/\s]*@"  # keys, user:password@
    r"|(?=[A-Za-z0-9_+/=-]*[0-9])(?=[A-Za-z0-9_+/=-]*[A-Za-z])[A-Za-z0-9_+/=-]{20,}"  # random text
)
HIDDEN = "…"


class Verbatim(str):
    """A text that is shown as it is."""

    __slots__ = ()


def short_call(name: str, arguments: Sequence[object], named: Mapping[str, object]) -> str:
    """Return a call as text, such as `timeout_idle(5)`.

    Args:
        name: What is called.
        arguments: The positional arguments.
        named: The named arguments. Texts whose name is that of a key, token or password are hidden.
    """
    shown = [short_repr(argument) for argument in arguments]
    for key, value in named.items():
        is_secret = not isinstance(value, (int, float)) and re.search(_SECRET_NAME, key)
        shown.append(f"{key}={HIDDEN if is_secret else short_repr(value)}")
    inside = ", ".join(shown)
    if len(inside) > _LONGEST_CALL:
        inside = f"{inside[: _LONGEST_CALL - 1]}…"
    return f"{name}({inside})"


def short_repr(value: object) -> str:
    """Return a value as text of at most some 32 characters; of containers the size only."""
    if value is None or (isinstance(value, (bool, int, float)) and not isinstance(value, Enum)):
        return repr(value)[:_LONGEST_VALUE]
    if isinstance(value, Verbatim):
        return str(value)
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, (str, PurePath)):
        return _short_text(str(value))
    if isinstance(value, type):
        return value.__qualname__
    if isinstance(value, partial):
        return short_repr(value.func)
    called = getattr(value, "__name__", None)
    if isinstance(called, str) and callable(value):
        return "lambda" if called == "<lambda>" else called
    if isinstance(value, (bytes, bytearray, list, tuple, set, frozenset, dict)):
        return _size(value)
    return f"{type(value).__name__}(…)"


def one_line(text: str) -> str:
    """Return a text in one line, without control characters, which would act on a terminal."""
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())


def _short_text(text: str) -> str:
    if re.search(_SECRET_TEXT, text):
        return HIDDEN
    return repr(text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 1]}…")


def _size(container: Sized) -> str:
    return f"<{type(container).__name__} of {len(container)}>"
