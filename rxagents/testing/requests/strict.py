"""Helpers that all request checks share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import msgspec
from msgspec import Struct

T = TypeVar("T")


class Strict(Struct, forbid_unknown_fields=True):
    """The base class of a request's objects; unknown fields are refused."""


def converted(body: object, kind: type[T]) -> T:
    """Convert a body to `kind`.

    Raises:
        ValueError: The body has other fields or types.
    """
    try:
        return msgspec.convert(body, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error


def refuse_if(wrong: bool, sentence: str) -> None:
    """Refuse the request if `wrong` is true.

    Raises:
        ValueError: `wrong` is true; the message is `sentence`.
    """
    if wrong:
        raise ValueError(sentence)


def check_results(calls: Iterable[str], results: Iterable[str]) -> None:
    """Refuse calls without results and results without calls.

    Raises:
        ValueError: The ids of the calls and of the results differ.
    """
    missing, unknown = set(calls) - set(results), set(results) - set(calls)
    refuse_if(bool(missing), f"the calls {sorted(missing)} have no results right after them")
    refuse_if(bool(unknown), f"the results {sorted(unknown)} belong to no call right before them")
