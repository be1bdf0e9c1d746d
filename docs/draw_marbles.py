"""Draw the marble diagrams of the docs, and write the operators' sections of docs/operators.md.

    python docs/draw_marbles.py

Reads the docstring of each operator, and writes docs/marbles/<operator>.svg and all of
docs/operators.md below its marker line; also draws the diagrams of docs/concept_marbles.py.
"""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from enum import Enum
from pathlib import Path

from concept_marbles import PICTURES
from marble_diagram import Diagram, parse, picture

from rxagents import operators

FOLDER = Path(__file__).parent / "marbles"
PAGE = Path(__file__).parent / "operators.md"
MARKER = "<!-- Written by docs/draw_marbles.py from here on: edit the docstrings instead. -->"

NAMES = [name for name in operators.__all__ if inspect.isfunction(getattr(operators, name))]


def diagram(name: str) -> Diagram:
    """Return the marble diagram of an operator's docstring."""
    doc = inspect.getdoc(getattr(operators, name)) or ""
    found = re.search(r"\.\. marble::\n((?:    .*\n)+)", doc)
    if found is None:
        raise SystemExit(f"The docstring of {name} has no `.. marble::` diagram.")
    return parse([line[4:] for line in found[1].splitlines()])


def pictures() -> dict[str, str]:
    """Return the pictures of all operators, and those of docs/concepts.md, by the file's name."""
    of_operators = {name: picture(diagram(name)) for name in NAMES}
    of_concepts = {
        f"concept_{name}": picture(parse(text.strip("\n").splitlines()))
        for name, text in PICTURES.items()
    }
    return of_operators | of_concepts


def groups() -> Iterator[tuple[str, list[str]]]:
    """Yield the groups of operators in the package's docstring, each with its operators."""
    doc = inspect.getdoc(operators) or ""
    for title, names in re.findall(r"^([A-Z][\w ]+):((?: (?:`\w+`,?\s*)+)+)", doc, re.MULTILINE):
        listed = [name for name in re.findall(r"`(\w+)`", names) if name in NAMES]
        if listed:
            yield title, listed


def section(name: str) -> str:
    """Return the section of an operator, from its docstring and with its picture."""
    doc = inspect.getdoc(getattr(operators, name)) or ""
    description = doc.partition(".. marble::")[0].strip()
    example = inspect.cleandoc(doc.partition("Example:\n")[2])
    when = re.findall(r"^(\w+ when: .+(?:\n    .+)*)", doc, re.MULTILINE)
    parts = [
        f"### {name}",
        f"```text\n{_signature(name)}\n```",
        description,
        f"![Marble diagram of {name}](marbles/{name}.svg)",
        "\n".join(f"- {' '.join(line.split())}" for line in when),
        *(f"**{title}**\n\n{_listed(doc, title)}" for title in ("Args", "Returns", "Raises")),
        f"```pycon\n{example}\n```",
    ]
    return "\n\n".join(parts) + "\n"


def _signature(name: str) -> str:
    """Return the call of an operator with its parameters, one a line."""
    lines = [f"ops.{name}("]
    for parameter in inspect.signature(getattr(operators, name)).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and "    *," not in lines:
            lines.append("    *,")
        star = "*" if parameter.kind is parameter.VAR_POSITIONAL else ""
        default = "" if parameter.default is parameter.empty else f" = {_shown(parameter.default)}"
        lines.append(f"    {star}{parameter.name}: {parameter.annotation}{default},")
    return "\n".join([*lines, ")"]) if len(lines) > 1 else f"{lines[0]})"


def _shown(default: object) -> str:
    """Return a default as it is written in code."""
    if isinstance(default, Enum):
        return f"{type(default).__name__}.{default.name}"
    return default.__name__ if inspect.isfunction(default) else repr(default)


def _listed(doc: str, title: str) -> str:
    """Return a section of a docstring as a list of its entries, or as its text."""
    found = re.search(rf"^{title}:\n((?:    .*\n?)+)", doc, re.MULTILINE)
    if found is None:
        return "None."
    text = textwrap.dedent(found[1]).strip()
    if title == "Returns":
        return " ".join(text.split())
    entries = re.findall(r"^(\w+): (.+(?:\n .+)*)", text, re.MULTILINE)
    return "\n".join(f"- `{entry}`: {' '.join(what.split())}" for entry, what in entries) or text


def page(written: str) -> str:
    """Return the page `written`, with the sections of all operators below its marker."""
    parts = [written.partition(MARKER)[0] + MARKER + "\n"]
    for title, names in groups():
        parts.append(f"## {title}\n")
        parts.extend(section(name) for name in names)
    return "\n".join(parts)


def main() -> None:
    """Draw all pictures and write the sections of the operators."""
    FOLDER.mkdir(exist_ok=True)
    for name, svg in pictures().items():
        (FOLDER / f"{name}.svg").write_text(svg, encoding="utf-8")
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
