"""Convert the text of a ReAct turn to steps, incrementally.

Theory of operation. A step is emitted as soon as later text cannot change it, and the steps are
the same however the text is split into chunks. Each character is read a bounded number of times;
the Go original scanned all its text again at every token, which is quadratic.

    text -> LabelScanner -> labels and text -> ReActParser -> SectionText -> Token, Thought, Answer
                                                           -> Action- or InputReader -> ToolCall

Nearly every chunk is a piece of a line of a thought or of an answer. While `_is_text` is true,
`feed_text` gives it to `SectionText` at once. Only `_read` changes what `_is_text` depends on, so
it is computed after that. In an answer that no tag opened, labels are text, so from its first text
on all lines go this way.

The state of `ReActParser` is the current section (`section`, `_text`, `_emphasis`), the action
that is being read (`_reader`), the answer of an action such as `Finish[42]` (`_answer`) and `done`.
A label (`_open_section`) and the end of the turn (`flush`) change it; a complete call sets
`_reader` to `None` before the section ends. After `_answer` is set, the parser only looks for an
observation. The `Answer` waits for the end of the turn, because the finish reason is not known
before.

Each stage holds text back, and only as much as it must: `LabelScanner` the start of a line that
may become a label (at most 64 characters), `SectionText` blanks and a code fence that may end the
section, a reader the arguments of an incomplete call. Text of unbounded length is held back in a
list and joined once: to join it at every chunk is quadratic. The quantifiers of the regular
expressions are possessive or bounded, so that backtracking costs nothing that grows with the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.core.surrogates import replace_surrogates
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.react.actions import ActionReader, InputReader
from rxagents.parsing.react.arguments import Arguments
from rxagents.parsing.react.called import answer_in, is_finish
from rxagents.parsing.react.labels import Label, LabelKind, LabelScanner
from rxagents.parsing.react.sections import OpenEmphasis, SectionText

Step: TypeAlias = Token | Thought | ToolCall | Answer

_SECTIONS = {
    LabelKind.THOUGHT: "thought",
    LabelKind.ACTION: "action",
    LabelKind.ACTION_INPUT: "action",
    LabelKind.ANSWER: "answer",
}


class ReActParser:
    """Parses one turn of a model in linear time; it never raises, whatever the text is.

    Args:
        parameters: The names of each tool's parameters in order, for positional values.

    Attributes:
        done: Whether the turn is over; text after it is invented by the model and ignored.
        section: The section that the text belongs to now.
    """

    __slots__ = ("_answer", "_emphasis", "_has_acted", "_is_tagged", "_is_text", "_labels_are_over",
                 "_parameters", "_reader", "_scanner", "_text", "done", "section")  # fmt: skip

    def __init__(self, parameters: Mapping[str, Sequence[str]] | None = None) -> None:
        self.done = False
        self._parameters = parameters or {}
        self._scanner = LabelScanner()
        self.section = "thought"
        self._text = SectionText()
        self._reader: ActionReader | InputReader | None = None
        self._emphasis: OpenEmphasis | None = None
        self._has_acted = False
        self._answer = ""
        self._is_tagged = False  # whether a tag opened the section
        self._is_text = False  # whether the rest of the line is text of the section
        self._labels_are_over = False  # whether all lines that follow are

    def feed_text(self, text: str) -> str | None:
        """Take `text` if it completes no step: return what is certain of it, for one `Token`.

        This spares a list for each chunk.

        Returns:
            `None` if `text` was not taken, and is to be given to `feed`.
        """
        if self._is_text and (self._labels_are_over or "\n" not in text):
            return self._text.add(text)
        return None

    def feed(self, text: str, timestamp: float) -> list[Step]:
        """Return the steps that `text` completes, and tokens for text whose section is certain.

        Args:
            text: The new text of the model.
            timestamp: When the text arrived, in seconds; it becomes the timestamp of the steps.
        """
        certain = self.feed_text(text)
        if certain is not None:
            return [Token(certain, self.section, timestamp)] if certain else []
        steps = self._read(self._scanner.feed(text), timestamp)
        is_plain = self._reader is None and self._emphasis is None
        self._is_text = is_plain and not self._answer and not self.done
        if self._is_text and self.section == "answer" and self._text.has_text:
            self._labels_are_over = not self._is_tagged and not self._scanner.is_in_tag
        if self._labels_are_over:
            self._add(self._scanner.release(), steps, timestamp)
        else:
            self._is_text = self._is_text and self._scanner.is_within_line
        return steps

    def flush(self, timestamp: float, *, is_cut: bool = False) -> list[Step]:
        """Return the steps that the end of the turn completes.

        Args:
            timestamp: When the turn ended, in seconds.
            is_cut: Whether the turn ended before the model had finished. An action that only the
                end of the turn would complete is dropped then: its name or input may be cut too.
        """
        steps = self._read(self._scanner.flush(), timestamp)
        if is_cut:
            self._reader = None
        self._close_section(None, steps, timestamp)
        self._emit_answer(steps, timestamp)
        return steps

    def _read(self, pieces: list[str | Label], timestamp: float) -> list[Step]:
        steps: list[Step] = []
        for piece in pieces:
            if self.done:
                break
            if self._answer:
                if isinstance(piece, Label) and piece.kind is LabelKind.OBSERVATION:
                    self._emit_answer(steps, timestamp)
                    self.done = True
            elif isinstance(piece, str):
                self._add(piece, steps, timestamp)
            elif piece.kind is LabelKind.END:
                self._end_tag(piece.text, steps, timestamp)
            elif self._labels_are_text():
                self._add(piece.text, steps, timestamp)
            else:
                self._open_section(piece, steps, timestamp)
        return steps

    def _labels_are_text(self) -> bool:
        """Return whether a label is text here: in an answer or a triple-quoted string."""
        if self.section == "answer":
            return self._text.has_text
        return self._reader is not None and self._reader.in_triple_quotes

    def _add(self, text: str, steps: list[Step], timestamp: float) -> None:
        if self._emphasis is not None:
            text = self._emphasis.feed(text)
        self._add_plain(text, steps, timestamp)

    def _add_plain(self, text: str, steps: list[Step], timestamp: float) -> None:
        if self._reader is not None:
            text = self._read_action(self._reader, text, steps, timestamp)
        certain = self._text.add(text)
        if certain:
            steps.append(Token(certain, self.section, timestamp))

    def _read_action(
        self,
        reader: ActionReader | InputReader,
        text: str,
        steps: list[Step],
        timestamp: float,
    ) -> str:
        """Feed an action; return the text after its call, or all of `text` if it is incomplete."""
        end = reader.feed(replace_surrogates(text))
        if reader.arguments is None:
            return text
        self._reader = None
        self._add_plain(text[:end], steps, timestamp)
        self._emit_call(reader.name, reader.arguments, steps, timestamp)
        return "" if self._answer else text[end:]

    def _end_tag(self, text: str, steps: list[Step], timestamp: float) -> None:
        """End the section of a tag: an answer, an action's input; other sections end later."""
        if self.section == "answer" and self._is_tagged:
            self._close_section(None, steps, timestamp)
        elif self._labels_are_text():
            self._add(text, steps, timestamp)
        elif isinstance(self._reader, InputReader):
            reader, self._reader = self._reader, None
            self._close_action(reader, None, steps, timestamp)
        else:
            self._add("\n", steps, timestamp)  # a name ends here

    def _open_section(self, label: Label, steps: list[Step], timestamp: float) -> None:
        kind = label.kind
        self._close_section(kind, steps, timestamp)
        if self._answer and kind is not LabelKind.OBSERVATION:
            return
        self._emit_answer(steps, timestamp)
        if kind is LabelKind.OBSERVATION or (kind is LabelKind.ANSWER and self._has_acted):
            self.done = True
            return
        self.section = _SECTIONS[kind]
        self._is_tagged = label.text.startswith("<")
        if kind is LabelKind.ACTION:
            self._reader = ActionReader(self._parameters)
        self._emphasis = OpenEmphasis(label.open_mark) if label.open_mark else None

    def _close_section(
        self, following: LabelKind | None, steps: list[Step], timestamp: float
    ) -> None:
        emphasis, self._emphasis = self._emphasis, None
        if emphasis is not None:
            self._add_plain(emphasis.close(), steps, timestamp)
        rest = self._text.close()
        if rest:
            steps.append(Token(rest, self.section, timestamp))
        content, self._text = self._text.content, SectionText()
        if content and self.section == "thought":
            steps.append(Thought(content, timestamp))
        elif content and self.section == "answer":
            self._answer = content
        reader, self._reader = self._reader, None
        if reader is not None:
            self._close_action(reader, following, steps, timestamp)

    def _close_action(
        self,
        reader: ActionReader | InputReader,
        following: LabelKind | None,
        steps: list[Step],
        timestamp: float,
    ) -> None:
        arguments = reader.close()
        if arguments is None:
            self._has_acted |= reader.is_unclosed
        elif (
            following is LabelKind.ACTION_INPUT
            and isinstance(reader, ActionReader)
            and reader.takes_input
        ):
            self._reader = InputReader(reader.name, reader.parameters)
        else:
            self._emit_call(reader.name, arguments, steps, timestamp)

    def _emit_call(
        self, name: str, arguments: Arguments, steps: list[Step], timestamp: float
    ) -> None:
        if is_finish(name, self._parameters):
            self._finish(answer_in(arguments), steps, timestamp)
            return
        self._has_acted = True
        if not isinstance(arguments, str):
            arguments = msgspec.json.encode(arguments).decode()
        steps.append(ToolCall(new_call_id(), name, arguments))

    def _finish(self, answer: str, steps: list[Step], timestamp: float) -> None:
        """Take the answer of an action such as `Finish[42]`; one without text is ignored."""
        if self._has_acted:
            self.done = True
        elif answer:
            self._answer, self._text, self._emphasis = answer, SectionText(), None
            steps.append(Token(answer, "answer", timestamp))

    def _emit_answer(self, steps: list[Step], timestamp: float) -> None:
        if self._answer:
            steps.append(Answer(self._answer, timestamp))
            self._answer = ""
