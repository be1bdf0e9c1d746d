"""Helpers that all request checks share."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

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


def check_name(name: str, pattern: str = r"[a-zA-Z0-9_-]{1,64}") -> None:
    """Refuse a tool's name that does not match `pattern`.

    Raises:
        ValueError: It does not match.
    """
    refuse_if(not re.fullmatch(pattern, name, re.ASCII), f"the name {name!r} must match {pattern}")


def check_ids(ids: Sequence[str], pattern: str = r"\S(.*\S)?") -> None:
    """Refuse ids of calls that repeat or do not match `pattern`.

    Raises:
        ValueError: An id repeats or does not match.
    """
    for call_id in ids:
        fits = re.fullmatch(pattern, call_id, re.ASCII | re.DOTALL)
        refuse_if(not fits, f"the id {call_id!r} must match {pattern}")
    refuse_if(len(set(ids)) < len(ids), f"several calls have the same id: {list(ids)}")


def check_arguments(name: str, arguments: str) -> None:
    """Refuse arguments that are not a JSON object: many hosts read them to fill a template.

    Raises:
        ValueError: They are not.
    """
    try:
        msgspec.json.decode(arguments, type=dict[str, Any])
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        sentence = f"the arguments of {name!r} are not a JSON object: {arguments[:80]!r}"
        raise ValueError(sentence) from error


def check_tool_settings(tools: Iterable[object], **settings: object) -> None:
    """Refuse settings of tools in a request without tools.

    Raises:
        ValueError: A setting is given, and there are no tools.
    """
    given = [name for name, value in settings.items() if value is not None]
    refuse_if(bool(given) and not list(tools), f"{' and '.join(given)} needs tools")


def check_root(schema: object) -> None:
    """Refuse a schema of the answer that is not an object at its root.

    Raises:
        ValueError: It is not.
    """
    kind = schema.get("type") if isinstance(schema, dict) else None
    refuse_if(kind != "object", f"the schema must have the type 'object', not {kind!r}")


def objects_in(schema: object) -> Iterator[dict[str, Any]]:
    """Yield the schemas of all objects in a schema."""
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield schema
        for value in schema.values():
            yield from objects_in(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from objects_in(value)
