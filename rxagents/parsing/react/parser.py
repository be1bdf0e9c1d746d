"""The ReAct protocol, from text to steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import msgspec

from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.core.surrogates import replace_surrogates
from rxagents.core.tool_calls import new_call_id
from rxagents.parsing.react.actions import ActionReader, InputReader
from rxagents.parsing.react.labels import Label, LabelKind, LabelScanner
from rxagents.parsing.react.sections import SectionText

Step: TypeAlias = Token | Thought | ToolCall | Answer

_SECTIONS = {
    LabelKind.THOUGHT: "thought",
    LabelKind.ACTION: "action",
    LabelKind.ACTION_INPUT: "action",
    LabelKind.ANSWER: "answer",
}


class ReActParser:
    """Parses one turn of a model; linear, whatever the text is, and it never raises.

    Args:
        parameters: The names of each tool's parameters in order, for values without names.

    Attributes:
        done: The turn is over: what follows is made up by the model and ignored.
    """

    __slots__ = ("_has_acted", "_parameters", "_reader", "_scanner", "_section", "_text", "done")

    def __init__(self, parameters: Mapping[str, Sequence[str]] | None = None) -> None:
        self.done = False
        self._parameters = parameters or {}
        self._scanner = LabelScanner()
        self._section = "thought"
        self._text = SectionText()
        self._reader: ActionReader | InputReader | None = None
        self._has_acted = False

    def feed(self, text: str, timestamp: float) -> list[Step]:
        """Return the steps that `text` completes, and a token for the text that is certain.

        Args:
            text: The model's new text.
            timestamp: When it arrived; the steps carry it.
        """
        return self._read(self._scanner.feed(text), timestamp)

    def flush(self, timestamp: float) -> list[Step]:
        """Return what the end of the turn completes.

        Args:
            timestamp: When it ended.
        """
        steps = self._read(self._scanner.flush(), timestamp)
        self._close(None, steps, timestamp)
        return steps

    def _read(self, pieces: list[str | Label], timestamp: float) -> list[Step]:
        steps: list[Step] = []
        for piece in pieces:
            if self.done:
                break
            if isinstance(piece, str):
                self._add(piece, steps, timestamp)
            elif self._is_text_here():
                self._add(piece.text, steps, timestamp)
            else:
                self._turn_to(piece.kind, steps, timestamp)
        return steps

    def _is_text_here(self) -> bool:
        """Whether a label is text: in an answer, or in a triple-quoted string."""
        if self._section == "answer":
            return self._text.has_text
        return self._reader is not None and self._reader.is_in_block

    def _add(self, text: str, steps: list[Step], timestamp: float) -> None:
        if self._reader is not None:
            text = self._act(self._reader, text, steps, timestamp)
        told = self._text.add(text)
        if told:
            steps.append(Token(told, self._section, timestamp))

    def _act(
        self,
        reader: ActionReader | InputReader,
        text: str,
        steps: list[Step],
        timestamp: float,
    ) -> str:
        """Read an action; return the text that follows it."""
        end = reader.feed(replace_surrogates(text))
        if reader.arguments is None:
            return text
        self._reader = None
        self._add(text[:end], steps, timestamp)
        steps.append(self._call(reader.name, reader.arguments))
        return text[end:]

    def _turn_to(self, kind: LabelKind, steps: list[Step], timestamp: float) -> None:
        self._close(kind, steps, timestamp)
        if kind is LabelKind.OBSERVATION or (kind is LabelKind.ANSWER and self._has_acted):
            self.done = True
            return
        self._section = _SECTIONS[kind]
        if kind is LabelKind.ACTION:
            self._reader = ActionReader(self._parameters)

    def _close(self, following: LabelKind | None, steps: list[Step], timestamp: float) -> None:
        content, self._text = self._text.content, SectionText()
        if content and self._section == "thought":
            steps.append(Thought(content, timestamp))
        elif content and self._section == "answer":
            steps.append(Answer(content, timestamp))
        reader, self._reader = self._reader, None
        if reader is not None:
            self._close_action(reader, following, steps)

    def _close_action(
        self,
        reader: ActionReader | InputReader,
        following: LabelKind | None,
        steps: list[Step],
    ) -> None:
        arguments = reader.close()
        if arguments is None:
            self._has_acted |= reader.is_half
        elif following is LabelKind.ACTION_INPUT and isinstance(reader, ActionReader):
            self._reader = InputReader(reader.name, reader.parameters)
        else:
            steps.append(self._call(reader.name, arguments))

    def _call(self, name: str, arguments: dict[str, Any]) -> ToolCall:
        self._has_acted = True
        return ToolCall(new_call_id(), name, msgspec.json.encode(arguments).decode())
