"""Collect the text of one section, without the blanks and the stray code fence around it.

Two things are held back, because they may end the section: blanks (`_blanks`), and before them a
run of backticks at the start of a line (`_fence`). If the section ends there, such a run of three
or more closes a code fence that the model opened before the section, and is dropped. In a code
block of the section's own (`_in_block`) nothing but blanks is held back.
"""

from __future__ import annotations

import re

_RUN = re.compile(r"(`++)")


class SectionText:
    """Collects a section's text; what may end the section without belonging to it is held back.

    Attributes:
        has_text: Whether the section has any text other than blanks.
    """

    __slots__ = ("_blanks", "_fence", "_fragments", "_in_block", "_run", "has_text")

    def __init__(self) -> None:
        self.has_text = False
        self._fragments: list[str] = []
        self._blanks: list[str] = []
        self._fence: list[str] = []
        self._run = 0  # the number of backticks at the end of the text, before the held blanks
        self._in_block = False

    @property
    def content(self) -> str:
        """The text so far, without what is held back."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Add text; return the text that is certain to belong to the section."""
        if not self.has_text:
            text = text.lstrip()
        if self._run or "`" in text:
            return self._add_around_backticks(text)
        certain = text.rstrip()
        if certain is text and self.has_text and not self._blanks:
            self._fragments.append(text)
            return text  # the fast path: almost every chunk takes it
        blanks = text[len(certain) :]
        if certain:
            certain = self._add_certain(certain)
        if blanks:
            self._blanks.append(blanks)
        return certain

    def close(self) -> str:
        """End the section; return the text that is certain now. A stray fence is dropped."""
        if self._run >= 3:
            self._fence = []
        return self._end_run()

    def _add_certain(self, text: str) -> str:
        self.has_text = True
        if self._blanks:
            text = "".join(self._blanks) + text
            self._blanks = []
        self._fragments.append(text)
        return text

    def _add_around_backticks(self, text: str) -> str:
        certain: list[str] = []
        for piece in _RUN.split(text):
            if piece.startswith("`"):
                certain.append(self._add_backticks(piece))
            elif piece.isspace():
                self._blanks.append(piece)
            elif piece:
                certain += self._end_run(), self.add(piece)
        return "".join(certain)

    def _add_backticks(self, backticks: str) -> str:
        ended = ""
        if self._blanks or not self._run:
            ended = self._end_run()
            is_line_start = not self.has_text or any("\n" in blanks for blanks in self._blanks)
            if is_line_start and not self._in_block:
                self.has_text = True
                self._fence, self._blanks = self._blanks, []
                self._fence.append("")
        self._run += len(backticks)
        if self._fence:
            self._fence.append(backticks)
            return ended
        return ended + self._add_certain(backticks)

    def _end_run(self) -> str:
        """Release the fence that was held back; return it."""
        if self._run >= 3:
            self._in_block = not self._in_block
        self._run = 0
        fence = "".join(self._fence)
        self._fence = []
        if fence:
            self._fragments.append(fence)
        return fence


class OpenEmphasis:
    """Drops the mark at the end of a section's first line that closes its label's emphasis.

    In `**Final Answer: 42**` the first `**` belongs to the label, so the last is no text.
    """

    __slots__ = ("_held", "_mark")

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._held = ""  # the end of the text, if it may be the mark or the start of it

    def feed(self, text: str) -> str:
        """Return the text that is certain to belong to the section."""
        if not self._mark:
            return text
        text = self._held + text
        line, newline, rest = text.partition("\n")
        if newline:
            line, self._mark, self._held = line.removesuffix(self._mark), "", ""
            return line + newline + rest
        marks = (self._mark[:size] for size in range(len(self._mark), 0, -1))
        self._held = next((mark for mark in marks if text.endswith(mark)), "")
        return text.removesuffix(self._held)

    def close(self) -> str:
        """Return the text that was held back, if the section ends here."""
        held, self._held = self._held, ""
        return "" if held == self._mark else held
