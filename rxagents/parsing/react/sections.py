"""The text of one section, without the blanks around it."""

from __future__ import annotations


class SectionText:
    """Collects a section's text; blanks that may be its end are held back.

    Attributes:
        has_text: Whether there is anything but blanks.
    """

    __slots__ = ("_blanks", "_fragments", "has_text")

    def __init__(self) -> None:
        self.has_text = False
        self._fragments: list[str] = []
        self._blanks: list[str] = []

    @property
    def content(self) -> str:
        """All text so far, without the blanks that were held back."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Return what is certainly part of the section now."""
        if not self.has_text:
            text = text.lstrip()
        told = text.rstrip()
        if told is text and self.has_text and not self._blanks:
            self._fragments.append(text)
            return text  # as nearly every piece is
        blanks = text[len(told) :]
        if told:
            self.has_text = True
            if self._blanks:
                told = "".join(self._blanks) + told
                self._blanks = []
            self._fragments.append(told)
        if blanks:
            self._blanks.append(blanks)
        return told
