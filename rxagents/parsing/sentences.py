"""Split a text into sentences incrementally.

Theory of operation. A sentence ends at a mark (`_marks`) that is followed by white space
(`_spaced`) and a word, at a wide mark (`_wide`, of a script without blanks) that is followed by a
word, at white space between two Thai words (`_thai`), or at an empty line (`_lines`). The
following word decides whether a full stop ends a sentence, so the sentence stays in `_pieces`
until that word. A full stop of an abbreviation, an initial or a list number ends no sentence;
`_before` keeps the 24 characters before the mark to recognize them. `feed` cuts the text into
tokens and reads each once; text without a mark, a line end or Thai skips this (`_EVENTFUL`).
"""

from __future__ import annotations

import re

from rxagents.core.scripts import THAI

_ABBREVIATION = re.compile(
    "mr|mrs|ms|mx|dr|prof|st|sr|jr|rev|hon|gen|col|capt|lt|sgt|gov|sen|rep|pres|"
    r"e\.g|i\.e|etc|vs|cf|al|approx|ca|resp|incl|viz|dept|univ|est|inc|ltd|co|corp|bros|"
    "jan|feb|mar|apr|jun|jul|aug|sep|sept|oct|nov|dec",
    re.IGNORECASE,
)
_BEFORE_NUMBER = re.compile("nos?|figs?|pp?|vol|ch|sec|art|eq", re.IGNORECASE)
_INITIALS = re.compile(r"(?:[^\W\d_]\.)*[^\W\d_]")
_WORD = re.compile(r"[\w.]*\Z")
_LIST_NUMBER = re.compile(r"(?:\A|\n)\s*\d{1,3}\Z")
_TAIL = 24
"""Characters before a full stop that are examined: more than any abbreviation has."""

_MARKS = ".!?…"
_WIDE_MARKS = (
    "\N{IDEOGRAPHIC FULL STOP}\N{FULLWIDTH EXCLAMATION MARK}\N{FULLWIDTH QUESTION MARK}"
    "\N{HALFWIDTH IDEOGRAPHIC FULL STOP}\N{KHMER SIGN KHAN}\N{KHMER SIGN BARIYOOSAN}"
    "\N{MYANMAR SIGN SECTION}"
)
_CLOSERS = re.escape(
    "\"')]}*_`\N{RIGHT SINGLE QUOTATION MARK}”»」』】\N{FULLWIDTH RIGHT PARENTHESIS}"
)
_EVENTFUL = re.compile(rf"[{_MARKS}{_WIDE_MARKS}{THAI}\n]")
_THAI = re.compile(f"[{THAI}]")
_TOKENS = re.compile(
    rf"(?P<wide>[{_WIDE_MARKS}]+)|(?P<mark>[{_MARKS}]+)|(?P<closer>[{_CLOSERS}]+)|(?P<space>\s+)"
    rf"|(?P<word>[^\s{_MARKS}{_WIDE_MARKS}{_CLOSERS}]+)"
)


class SentenceSplitter:
    """Splits a text into sentences; each keeps the white space that follows it.

    A sentence is returned when the next one begins, or by `flush`. The sentences are the same
    however the text is split into chunks; joined, they are the text. The cost is linear.
    """

    __slots__ = ("_before", "_blank", "_lines", "_marks", "_pieces", "_spaced", "_thai", "_wide")

    def __init__(self) -> None:
        self._start()

    def _start(self) -> None:
        self._pieces: list[str] = []
        self._blank = True
        self._before = ""
        self._marks = ""
        self._wide = False
        self._spaced = False
        self._thai = False
        self._lines = 0

    def feed(self, text: str) -> list[str]:
        """Return the sentences that `text` completes."""
        if not (self._marks or self._lines or self._thai) and _EVENTFUL.search(text) is None:
            if text:
                self._blank = self._blank and text.isspace()
                self._pieces.append(text)
            return []
        sentences: list[str] = []
        for token in _TOKENS.finditer(text):
            piece, kind = token[0], token.lastgroup or ""
            if self._ends_before(piece, kind):
                sentences += self.flush()
            self._add(piece, kind)
        return sentences

    def flush(self) -> list[str]:
        """Return the last sentence at the end of the text; empty if there is none."""
        sentence = "".join(self._pieces)
        self._start()
        return [sentence] if sentence else []

    def _add(self, piece: str, kind: str) -> None:
        if kind in ("mark", "wide"):
            if not self._marks:
                self._before = self._tail()
            self._marks = (self._marks + piece)[:2]
            self._wide = self._wide or kind == "wide"
            self._spaced, self._lines = False, 0
        elif kind == "space":
            self._spaced = True
            self._lines += 0 if self._blank else piece.count("\n")
        else:
            if kind == "word":
                self._marks, self._wide = "", False
            self._spaced, self._lines = False, 0
        if kind != "space":
            self._thai = _THAI.match(piece[-1]) is not None
        self._blank = self._blank and kind == "space"
        self._pieces.append(piece)

    def _tail(self) -> str:
        """Return the last characters of the sentence so far."""
        tail = ""
        for piece in reversed(self._pieces):
            tail = piece[-_TAIL:] + tail
            if len(tail) >= _TAIL:
                break
        return tail[-_TAIL:]

    def _ends_before(self, piece: str, kind: str) -> bool:
        """Return whether a sentence has ended and `piece` begins the next one."""
        if kind == "space" or not self._pieces:
            return False
        if self._lines > 1:
            return True
        if self._thai and self._spaced and _THAI.match(piece):
            return True
        if not self._marks or kind in ("mark", "wide"):
            return False
        if self._wide:
            return kind == "word" or self._spaced
        return self._spaced and not (self._marks == "." and self._goes_on(piece))

    def _goes_on(self, piece: str) -> bool:
        """Return whether the full stop belongs to an abbreviation, initial or list number."""
        word = _WORD.search(self._before)[0]  # type: ignore[index]  # it matches any text
        if _ABBREVIATION.fullmatch(word) or _LIST_NUMBER.search(self._before):
            return True
        if piece[0].isdigit() and _BEFORE_NUMBER.fullmatch(word):
            return True
        return word[-1:].isupper() and _INITIALS.fullmatch(word) is not None
