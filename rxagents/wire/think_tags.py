"""Splits thinking that a model writes between tags into its text from the answer.

Theory of operation. Local servers without a reasoning parser, and many hosts, send
`<think>…</think>answer` as text. Only thinking before the answer is looked for: once an answer has
text, tags are part of it, and the builder of the chunks calls this module no more. So a stream
without tags pays for the splitter until its first text, and for nothing after that.

The states of a choice: START (white space, or the beginning of the first tag), THINKING, and
ANSWER. A second block of thinking may follow the first, so `</think>` leads back to START. White
space before a tag and after thinking is dropped; before an answer without thinking it is kept.

What must not change: each piece is looked at once. Held-back text is white space in a list, and
less than one tag in `_held`; a long run of either must not be copied for each new piece.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TypeAlias

from rxagents.core.chunks import TextBuffer
from rxagents.core.errors import ConfigurationError

ThinkTags: TypeAlias = tuple[str | None, str]
"""The tags before and after thinking; the first is `None` where a text begins with thinking."""

DEFAULT_TAGS: ThinkTags = ("<think>", "</think>")


def checked_think_tags(tags: object) -> ThinkTags | None:
    """Return the tags, or `None`.

    Raises:
        ConfigurationError: They are not two tags.
    """
    match tags:
        case None:
            return None
        case (None | str() as opening, str(closing)) if _is_tag(opening) and _is_tag(closing):
            return opening, closing
    raise ConfigurationError(
        'think_tags must be two tags such as ("<think>", "</think>"), (None, "</think>") where '
        f"answers begin with thinking, or None to leave the text as it is, not {tags!r}."
    )


def _is_tag(tag: str | None) -> bool:
    return tag is None or (bool(tag) and tag == tag.strip())


class _State(Enum):
    START = auto()
    THINKING = auto()
    ANSWER = auto()


class _Choice:
    """Splits the text of one choice.

    Attributes:
        received: The text received before the answer.
        hidden: How much of `received` is not part of the answer, in characters.
    """

    __slots__ = ("_held", "_space", "_state", "_tags", "_was_thinking", "hidden", "received")

    def __init__(self, tags: ThinkTags) -> None:
        self.received = TextBuffer()
        self.hidden = 0
        self._tags = tags
        self._state = _State.THINKING if tags[0] is None else _State.START
        self._was_thinking = False
        self._space: list[str] = []
        self._held = ""

    def split(self, text: str) -> tuple[str, str]:
        """Return the thinking and the answer that `text` completes."""
        if self._state is _State.ANSWER:
            return "", text
        self.hidden = self.received.append(text)
        thinking: list[str] = []
        while text:
            if self._state is _State.THINKING:
                thought, text = self._think(text)
                thinking.append(thought)
            else:
                text, answer = self._start(text)
                if answer:
                    self.hidden -= len(answer)
                    return "".join(thinking), answer
        return "".join(thinking), ""

    def end(self) -> tuple[str, str]:
        """Return the thinking and the answer held back: the choice has ended."""
        held, self._held = self._held, ""
        if self._state is _State.THINKING:
            return held, ""
        space = "" if self._was_thinking else "".join(self._space)
        self._space = []
        self._state = _State.ANSWER
        self.hidden -= len(space + held)
        return "", space + held

    def _start(self, text: str) -> tuple[str, str]:
        """Return the text after the first tag, or else the answer that begins without a tag."""
        if not self._held:
            stripped = text.lstrip()
            self._space.append(text[: len(text) - len(stripped)])
            text = stripped
        text, self._held = self._held + text, ""
        opening = self._tags[0]
        if opening is not None and text.startswith(opening):
            self._state = _State.THINKING
            self._space = []
            return text[len(opening) :], ""
        if not text or (opening is not None and opening.startswith(text)):
            self._held = text
            return "", ""
        self._state = _State.ANSWER
        space = "" if self._was_thinking else "".join(self._space)
        self._space = []
        return "", space + text

    def _think(self, text: str) -> tuple[str, str]:
        """Return the thinking in `text`, and the text after the last tag."""
        text, self._held = self._held + text, ""
        closing = self._tags[1]
        thought, tag, rest = text.partition(closing)
        if tag:
            self._state = _State.START
            self._was_thinking = True
            return thought, rest
        longest = min(len(text), len(closing) - 1)
        size = next((n for n in range(longest, 0, -1) if closing.startswith(text[-n:])), 0)
        self._held = text[len(text) - size :]
        return text[: len(text) - size], ""


class ThinkSplitter:
    """Splits the texts of all choices of one stream.

    Args:
        tags: The tags around thinking.
    """

    __slots__ = ("_choices", "_tags")

    def __init__(self, tags: ThinkTags) -> None:
        self._tags = tags
        self._choices: dict[int, _Choice] = {}

    def split(self, number: int, text: str, *, is_last: bool) -> tuple[str, str]:
        """Return the thinking and the answer that `text` completes.

        Args:
            number: The number of the choice.
            text: The next piece of its text.
            is_last: Hold nothing back: the choice ends.
        """
        choice = self._choices.get(number)
        if choice is None:
            choice = self._choices[number] = _Choice(self._tags)
        thinking, answer = choice.split(text)
        if is_last:
            held_thinking, held_answer = choice.end()
            return thinking + held_thinking, answer + held_answer
        return thinking, answer

    def hidden(self, number: int) -> tuple[TextBuffer, int]:
        """Return the text received before a choice's answer, and how much of it is hidden."""
        choice = self._choices.get(number)
        return (TextBuffer(), 0) if choice is None else (choice.received, choice.hidden)

    def flush(self) -> list[tuple[int, str, str]]:
        """Return the number of each choice, and its thinking and answer held back."""
        return [(number, *choice.end()) for number, choice in self._choices.items()]
