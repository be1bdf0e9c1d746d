"""What the checks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Strict(Struct, forbid_unknown_fields=True):
    """An object of a request; fields that it does not name are refused."""


def converted(body: object, kind: type[T]) -> T:
    """Return a body as `kind`.

    Raises:
        ValueError: It is not of this shape.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def refuse_if(wrong: bool, sentence: str) -> None:
    """Refuse the request where something is wrong.

    Raises:
        ValueError: It is.
    """
    if wrong:
        raise ValueError(sentence)


def check_answered(calls: Iterable[str], results: Iterable[str]) -> None:
    """Refuse calls without results, and results without calls.

    Raises:
        ValueError: There is one.
    """
    missing, unknown = set(calls) - set(results), set(results) - set(calls)
    refuse_if(bool(missing), f"the calls {sorted(missing)} have no results right after them")
    refuse_if(bool(unknown), f"the results {sorted(unknown)} belong to no call right before them")
