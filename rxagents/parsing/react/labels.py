"""Find the labels at the start of lines incrementally.

A label is `Thought:` with what models write around it: a number after the name, a list mark, a
quote mark or a heading before it, emphasis, a full-width colon. A heading needs no colon if the
label is its whole line. A tag such as `<thought>` is a label too; its end tag is a label of the
kind `END`, and a label may follow it on the same line.

`_HERE` matches a whole label, `_PARTIAL` what may become one. Text is held back exactly while one
of them says that more text may change the result, so the labels do not depend on the chunks.
"""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import NamedTuple

_NAMES = {
    "thought": "thought",
    "action": "action",
    "actioninput": r"action[ \t_]{0,3}input",
    "observation": "observation",
    "answer": "answer",
    "finalanswer": r"final[ \t_]{0,3}answer",
}
_ANY_NAME = "|".join(sorted(_NAMES.values(), key=len, reverse=True))
_LABEL = rf"""[^\S\n]*+
    (?P<label>
        (?:>[ \t]{{0,3}}+){{0,2}}+
        (?:(?:\d{{1,2}}+[.)]|[-+*\u2022])[ \t]{{1,3}}+)?+
        (?P<heading>\#{{1,6}}+[ \t]{{0,3}}+)?+
        (?P<mark>[*_]{{0,3}}+)
        (?P<name>(?ai:{_ANY_NAME}))
        (?:[ \t]{{0,3}}\#?\d{{1,3}})?+
        (?:
            [ \t]{{0,3}}[:\uff1a](?P=mark)
            |[ \t]{{0,3}}(?P=mark)[ \t]{{0,3}}[:\uff1a]
            |(?P<unclosed>[ \t]{{0,3}}[:\uff1a])
            |(?(heading)[ \t]{{0,3}}(?P=mark)[^\S\n]{{0,3}}(?P<line_end>\Z|(?=\n))|(?!))
        )
        |<(?P<tag>(?ai:{_ANY_NAME}))>
    )"""
_HERE = re.compile(_LABEL, re.VERBOSE)
_IN_LINES = re.compile(rf"\n{_LABEL}", re.VERBOSE)
_END_TAGS = {bare: rf"</(?ai:{name})>" for bare, name in _NAMES.items()}
_IN_TAGS = {
    bare: re.compile(end if "answer" in bare else rf"\n{_LABEL}|{end}", re.VERBOSE)
    for bare, end in _END_TAGS.items()
}
"""The end of the text in a tag: the closing tag, or a label; in an answer labels are text."""
_PARTIAL = re.compile(
    r"""(?:>[ \t]{0,3}+){0,2}+
    (?:\d{1,2}+[.)]?+[ \t]{0,3}+|[-+*\u2022][ \t]{0,3}+)?+
    \#{0,6}+[ \t]{0,3}+[*_]{0,3}+
    (?P<word>[a-zA-Z \t_]*+)(?P<number>\#?+\d{0,3}+)[*_ \t]*+
    |<(?P<tag>[a-zA-Z \t_]*+)""",
    re.VERBOSE,
)
_PREFIXES = {name[:length] for name in _NAMES for length in range(len(name) + 1)}
_LONGEST = 64
"""The largest number of characters of a label."""
_SEPARATORS = str.maketrans("", "", "*_ \t")


class LabelKind(Enum):
    """The kind of section that a label opens; `END` ends the section of a tag."""

    THOUGHT = auto()
    ACTION = auto()
    ACTION_INPUT = auto()
    OBSERVATION = auto()
    ANSWER = auto()
    END = auto()


_KINDS = {
    "thought": LabelKind.THOUGHT,
    "action": LabelKind.ACTION,
    "actioninput": LabelKind.ACTION_INPUT,
    "observation": LabelKind.OBSERVATION,
    "answer": LabelKind.ANSWER,
    "finalanswer": LabelKind.ANSWER,
}


class Label(NamedTuple):
    """A label: its kind, its text as the model wrote it, and the emphasis that it leaves open."""

    kind: LabelKind
    text: str
    open_mark: str = ""


class LabelScanner:
    """Cuts text into labels and the text between them.

    The start of a line that may become a label is held back, at most 64 characters of it, and in a
    tag what may become the end tag; other text within a line passes at once.
    """

    __slots__ = ("_head", "_is_line_start", "_tag")

    def __init__(self) -> None:
        self._head = ""
        self._is_line_start = True
        self._tag = ""  # the open tag's name, in lower case and without separators

    @property
    def is_within_line(self) -> bool:
        """Whether text up to the next newline is certain to contain no label."""
        return not self._is_line_start and not self._tag

    @property
    def is_in_tag(self) -> bool:
        """Whether a tag is open."""
        return self._tag != ""

    def feed(self, text: str) -> list[str | Label]:
        """Return the pieces that are certain; joined, all pieces are the text."""
        if self.is_within_line and "\n" not in text:
            return [text]
        return self._cut(self._head + text, is_end=False)

    def release(self) -> str:
        """Return the text that is held back, which is not to be a label."""
        head, self._head, self._is_line_start = self._head, "", False
        return head

    def flush(self) -> list[str | Label]:
        """Return the text that was held back."""
        return self._cut(self._head, is_end=True)

    def _cut(self, text: str, *, is_end: bool) -> list[str | Label]:
        pieces: list[str | Label] = []
        done, is_line_start = 0, self._is_line_start
        while True:
            match = _HERE.match(text, done) if is_line_start else None
            if match is None:
                match = (_IN_TAGS[self._tag] if self._tag else _IN_LINES).search(text, done)
            if match is None:
                break
            is_end_tag = match[0].startswith("</")
            if is_end_tag:
                pieces += text[done : match.start()], Label(LabelKind.END, match[0])
                self._tag = ""
            elif not is_end and _may_grow(match):
                break
            else:
                pieces += text[done : match.start("label")], self._label(match)
            done, is_line_start = match.end(), is_end_tag
        rest = text[done:]
        self._head = "" if is_end else self._held(rest, is_line_start=is_line_start)
        pieces.append(rest.removesuffix(self._head))
        return pieces

    def _label(self, match: re.Match[str]) -> Label:
        self._tag = _bare(match["tag"] or "")
        kind = _KINDS[self._tag or _bare(match["name"])]
        return Label(kind, match["label"], match["mark"] if match["unclosed"] else "")

    def _held(self, text: str, *, is_line_start: bool) -> str:
        """Return the start of the last line or of an end tag, if it may become a label."""
        start = text.rfind("\n") + 1
        head = text[start:].lstrip()
        can_start = (start > 0 or is_line_start) and "answer" not in self._tag
        self._is_line_start = can_start and _may_be_label(head)
        if self._is_line_start:
            return head
        start = text.rfind("<") if self._tag else -1
        tail = text[start:] if start >= 0 else ""
        is_held = len(tail) < _LONGEST and f"</{self._tag}>".startswith(_bare(tail))
        return tail if is_held else ""


def _may_be_label(head: str) -> bool:
    if not head:
        return True  # a chunk often ends with its line
    if len(head) > _LONGEST:
        return False
    label = _HERE.match(head)
    if label is not None:
        return _may_grow(label)
    partial = _PARTIAL.fullmatch(head)
    if partial is None:
        return False
    word = _bare(partial["word"] or partial["tag"] or "")
    return word in (_KINDS if partial["number"] else _PREFIXES)


def _may_grow(match: re.Match[str]) -> bool:
    """Return whether the next text may close the emphasis around the label, or lengthen it."""
    if match["line_end"] is not None:
        return match.end() == len(match.string)
    rest = match.string[match.end() : match.end() + len(match["mark"] or "")]
    return (
        match["unclosed"] is not None
        and match.end() + len(rest) == len(match.string)
        and match["mark"].startswith(rest)
    )


def _bare(label: str) -> str:
    return label.lower().translate(_SEPARATORS)
