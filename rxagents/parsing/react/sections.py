"""Collect the text of one section, without the blanks around it."""

from __future__ import annotations


class SectionText:
    """Collects a section's text; blanks that may end the section are held back.

    Attributes:
        has_text: Whether the section has any text other than blanks.
    """

    __slots__ = ("_blanks", "_fragments", "has_text")

    def __init__(self) -> None:
        self.has_text = False
        self._fragments: list[str] = []
        self._blanks: list[str] = []

    @property
    def content(self) -> str:
        """The text so far, without the blanks that are held back."""
        return "".join(self._fragments)

    def add(self, text: str) -> str:
        """Add text; return the text that is certain to belong to the section."""
        if not self.has_text:
            text = text.lstrip()
        certain = text.rstrip()
        if certain is text and self.has_text and not self._blanks:
            self._fragments.append(text)
            return text  # the fast path: almost every chunk takes it
        blanks = text[len(certain) :]
        if certain:
            self.has_text = True
            if self._blanks:
                certain = "".join(self._blanks) + certain
                self._blanks = []
            self._fragments.append(certain)
        if blanks:
            self._blanks.append(blanks)
        return certain
