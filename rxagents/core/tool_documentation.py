"""Read the descriptions of a tool and of its parameters from a docstring."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def documentation_of(function: Callable[..., Any]) -> tuple[str, dict[str, str]]:
    """Return the description and the parameter descriptions of the docstring."""
    import docstring_parser  # imported here: it takes 19 ms, and only tools need it

    text = inspect.getdoc(function) or ""
    try:
        parsed = docstring_parser.parse(text)
    except docstring_parser.ParseError:
        return text, {}
    described = {part.arg_name: part.description for part in parsed.params if part.description}
    return (parsed.description or "").strip(), described
