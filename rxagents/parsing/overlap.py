"""Remove from a continuation what it repeats of the text before it."""

from __future__ import annotations


class OverlapRemover:
    """Removes the beginning of a continuation, if it is one of several texts.

    White space before the repeated text is removed with it. After it, white space is removed as far
    as it is that of `space`. The text is held back while it may still be a repetition; the cost is
    linear.

    Args:
        repeated: The texts that may be repeated; the first that is complete counts.
        space: The white space at the end of the text before, which the continuation may repeat.
    """

    __slots__ = ("_held", "_lead", "_length", "_repeated", "_space")

    def __init__(self, repeated: tuple[str, ...], space: str) -> None:
        self._repeated = tuple(text.lstrip() for text in repeated if text.strip())
        self._space = space
        self._lead = ""
        self._held: list[str] = []
        self._length = 0

    def feed(self, text: str) -> str:
        """Return the text that is known to be new."""
        if not self._repeated:
            return self._without_space(text) if self._space else text
        if not self._length:
            stripped = text.lstrip()
            self._lead += text[: len(text) - len(stripped)]
            text = stripped
        if not text:
            return ""
        start = self._length
        for repeated in self._repeated:
            rest = len(repeated) - start
            if len(text) >= rest and repeated.startswith(text[:rest], start):
                self._repeated = ()
                self._held.clear()
                self._lead = ""
                return self._without_space(text[rest:])
        self._held.append(text)
        self._length += len(text)
        self._repeated = tuple(one for one in self._repeated if one.startswith(text, start))
        return "" if self._repeated else self.flush()

    def flush(self) -> str:
        """Return the text that is held back: it repeats nothing whole."""
        held, self._lead = self._lead + "".join(self._held), ""
        self._held.clear()
        self._repeated = ()
        return self._without_space(held)

    def _without_space(self, text: str) -> str:
        start = 0
        while start < len(text) and start < len(self._space) and text[start] == self._space[start]:
            start += 1
        # The next text may go on with the space, if this one was nothing else.
        self._space = self._space[start:] if start == len(text) else ""
        return text[start:]
