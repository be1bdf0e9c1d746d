"""Describe a pipe as a tree, as Mermaid text and as a picture, without subscribing to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from reactivex import Observable

from rxagents.core.checks import checked_function
from rxagents.core.errors import ConfigurationError
from rxagents.runtime.description_svg import drawn
from rxagents.runtime.stage import Stage, chain_of
from rxagents.runtime.stream import pipe_stages, stage_of


class Description:
    """The parts of a pipe: its source, its operators and the streams among their arguments.

    `print` shows the tree, and a notebook the picture.
    """

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def tree(self) -> str:
        """Return a line for each stage, from the source on, with the line of code that made it."""
        rows = list(_rows(self._stage, ""))
        width = max(len(text) for text, _ in rows)
        return "\n".join(f"{text:{width}}  {place}".rstrip() for text, place in rows)

    def mermaid(self) -> str:
        """Return a flowchart in the language of Mermaid, which GitHub and many editors draw."""
        lines = ["flowchart TB"]
        _add_mermaid(self._stage, lines, count(1))
        lines.append("    classDef unknown stroke-dasharray: 4 3")
        return "\n".join(lines)

    def svg(self) -> str:
        """Return a picture as SVG, which can be read on a light and on a dark page."""
        return drawn(self._stage)

    def __str__(self) -> str:
        return self.tree()

    def __repr__(self) -> str:
        return self.tree()

    def _repr_svg_(self) -> str:
        return self.svg()


def describe(source: Observable[Any], *operators: Callable[[Any], Observable[Any]]) -> Description:
    """Describe a stream, or a source and the operators that would be applied to it.

    Nothing is subscribed to, so no request is sent. The sources and operators of this library have
    a name, their arguments in short form and the line that called them. An operator of reactivex
    is shown without its name, unless it is in `ops.checkpoint("name", operator)`. What `pipe` of a
    stream of reactivex applied before an operator of this library is not known: pass source and
    operators one by one, or start with a source of this library.

    Args:
        source: The stream.
        *operators: Operators to apply to it first.

    Returns:
        The description: `tree()`, `mermaid()` and `svg()`.

    Raises:
        ConfigurationError: `source` is not an Observable, or an operator is not a function or does
            not return an Observable.

    Example:
        >>> import rxagents
        >>> from rxagents import operators as ops
        >>> llm = rxagents.get_model("scripted:")
        >>> print(rxagents.describe(llm.chat_stream("Hi"), ops.text(), ops.coalesce(0.1)))
        ScriptedLLM.chat_stream  ...
        ├─ text()                ...
        └─ coalesce(0.1)         ...
    """
    if not isinstance(source, Observable):
        raise ConfigurationError(f"describe takes an Observable, not {type(source).__name__}.")
    for operator in operators:
        checked_function("operator", operator)
    piped = pipe_stages(source, operators)
    if not isinstance(piped, Observable):
        raise ConfigurationError(
            f"The last operator returned {type(piped).__name__}, which is not an Observable."
        )
    return Description(stage_of(piped))


def _rows(stage: Stage, indent: str) -> Iterator[tuple[str, str]]:
    """Yield the text and the place of each stage of a chain, with its side streams."""
    source, *operators = chain_of(stage)
    yield f"{indent}{source.call.label}", _place(source)
    for operator in operators:
        is_last = operator is operators[-1]
        yield f"{indent}{'└─' if is_last else '├─'} {operator.call.label}", _place(operator)
        for other in operator.others:
            yield from _rows(other, f"{indent}{'   ' if is_last else '│  '}   ")


def _place(stage: Stage) -> str:
    return "" if stage.call.location is None else str(stage.call.location)


def _add_mermaid(stage: Stage, lines: list[str], numbers: Iterator[int]) -> str:
    """Append the nodes and arrows of a chain; return the id of its last node."""
    before = ""
    for link in chain_of(stage):
        sides = [_add_mermaid(other, lines, numbers) for other in link.others]
        node = f"s{next(numbers)}"
        text = "<br/>".join(_escaped(part) for part in (link.call.label, _place(link)) if part)
        shape = f'(["{text}"])' if link.upstream is None else f'["{text}"]'
        lines.append(f"    {node}{shape}{':::unknown' if link.call.kind == 'unknown' else ''}")
        lines += [f"    {side} -.-> {node}" for side in sides]
        if before:
            lines.append(f"    {before} --> {node}")
        before = node
    return before


def _escaped(text: str) -> str:
    for character, entity in (("&", "#amp;"), ('"', "#quot;"), ("<", "#lt;"), (">", "#gt;")):
        text = text.replace(character, entity)
    return text
