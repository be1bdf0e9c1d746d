"""Find the labels at the start of lines incrementally."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

_LABEL = re.compile(
    r"""^[^\S\n]*+
    (?P<label>
        (?P<mark>[*_]{0,3}+)
        (?P<name>(?ai:thought|action(?:[ \t_]{0,3}input)?|observation|(?:final[ \t_]{0,3})?answer))
        (?:[ \t]{0,3}:(?P=mark)|[ \t]{0,3}(?P=mark)[ \t]{0,3}:|(?P<unclosed>[ \t]{0,3}:))
    )""",
    re.MULTILINE | re.VERBOSE,
)
_LONGEST = 40
"""The largest number of characters of a label."""
_SEPARATORS = str.maketrans("", "", "*_ \t")


class LabelKind(Enum):
    """The kind of section that a label opens."""

    THOUGHT = auto()
    ACTION = auto()
    ACTION_INPUT = auto()
    OBSERVATION = auto()
    ANSWER = auto()


_KINDS = {
    "thought": LabelKind.THOUGHT,
    "action": LabelKind.ACTION,
    "actioninput": LabelKind.ACTION_INPUT,
    "observation": LabelKind.OBSERVATION,
    "answer": LabelKind.ANSWER,
    "finalanswer": LabelKind.ANSWER,
}


class Label(NamedTuple):
    """A label: its kind, and its text as the model wrote it."""

    kind: LabelKind
    text: str


class LabelScanner:
    """Cuts text into labels and the text between them.

    The start of a line that may become a label is held back, at most 40 characters of it; text
    within a line passes at once.
    """

    __slots__ = ("_head", "_is_line_start")

    def __init__(self) -> None:
        self._head = ""
        self._is_line_start = True

    def feed(self, text: str) -> list[str | Label]:
        """Return the pieces that are certain; joined, all pieces are the text."""
        if not self._is_line_start and "\n" not in text:
            return [text]
        return self._cut(self._head + text, is_end=False)

    def flush(self) -> list[str | Label]:
        """Return the text that was held back."""
        return self._cut(self._head, is_end=True)

    def _cut(self, text: str, *, is_end: bool) -> list[str | Label]:
        pieces: list[str | Label] = []
        done = 0
        for match in _LABEL.finditer(text, 0 if self._is_line_start else 1):
            if not is_end and _may_grow(match):
                break
            pieces.append(text[done : match.start("label")])
            pieces.append(Label(_KINDS[_bare(match["name"])], match["label"]))
            done = match.end()
        rest = text[done:]
        self._head = "" if is_end else self._line_head(rest, is_after_label=done > 0)
        pieces.append(rest.removesuffix(self._head))
        return pieces

    def _line_head(self, text: str, *, is_after_label: bool) -> str:
        """Return the start of the last line, if it may become a label."""
        start = text.rfind("\n") + 1
        if start == 0 and (is_after_label or not self._is_line_start):
            self._is_line_start = False
            return ""
        head = text[start:].lstrip()
        self._is_line_start = _may_be_label(head)
        return head if self._is_line_start else ""


def _may_be_label(head: str) -> bool:
    if len(head) > _LONGEST:
        return False
    if ":" in head:
        match = _LABEL.match(head)
        return match is not None and _may_grow(match)
    return any(name.startswith(_bare(head)) for name in _KINDS)


def _may_grow(match: re.Match[str]) -> bool:
    """Return whether the next text may close the emphasis around the label."""
    rest = match.string[match.end() : match.end() + len(match["mark"])]
    return (
        match["unclosed"] is not None
        and match.end() + len(rest) == len(match.string)
        and match["mark"].startswith(rest)
    )


def _bare(label: str) -> str:
    return label.lower().translate(_SEPARATORS)
