"""An extension of griffe: show the marble diagrams of docstrings on the site."""

from __future__ import annotations

import re
from typing import Any

import griffe


class MarbleDiagrams(griffe.Extension):  # type: ignore[misc] # griffe is only in the extra [docs]
    """Put the diagrams after `.. marble::` into fenced blocks; Markdown knows no such mark."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of a class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = with_fences(obj.docstring.value)


def with_fences(docstring: str) -> str:
    """Return a docstring with its marble diagrams in fenced blocks."""
    return re.sub(r"^\.\. marble::\n((?:    .*\n)+)", _fenced, docstring, flags=re.MULTILINE)


def _fenced(match: re.Match[str]) -> str:
    lines = "".join(line[4:] for line in match[1].splitlines(keepends=True))
    return f"```text\n{lines}```\n"
