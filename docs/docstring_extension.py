"""An extension of griffe: show docstrings on the site as Markdown has them."""

from __future__ import annotations

import re
from typing import Any

import griffe


class PlainDocstrings(griffe.Extension):  # type: ignore[misc] # griffe is only in the extra [docs]
    """Turn the marks that reStructuredText has for code into those of Markdown."""

    def on_instance(self, *, obj: Any, **_: Any) -> None:
        """Change the docstring of a class, function or attribute."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(docstring: str) -> str:
    """Return a docstring with the code after `::` and `.. marble::` in fenced blocks."""
    return re.sub(
        r"^(?P<indent> *)(?P<text>.*?)(?:\.\. marble)?::\n\n?(?P<code>(?:(?P=indent)    .*\n|\n)+)",
        _fenced,
        docstring,
        flags=re.MULTILINE,
    )


def _fenced(match: re.Match[str]) -> str:
    indent, text = match["indent"], match["text"]
    language = "text" if ".. marble" in match[0] else "python"
    code = "\n".join(line[4:] for line in match["code"].rstrip("\n").split("\n"))
    before = f"{indent}{text}:\n\n" if text else ""
    return f"{before}{indent}```{language}\n{code}\n{indent}```\n\n"
