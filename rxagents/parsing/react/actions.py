"""Read actions and their inputs incrementally, until the call is complete."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from rxagents.parsing.react.arguments import NOTHING, Arguments, from_call, from_text
from rxagents.parsing.react.brackets import Brackets, narrow
from rxagents.parsing.react.called import call_in, is_finish, parameters_of
from rxagents.parsing.react.literals import read_object
from rxagents.parsing.react.markup import in_fence, without_backticks, without_stray_fence

_NAME = re.compile(
    r"""[`"'*]*+(?P<name>(?i:final[ \t]answer)|[\w.-]++)[`"'*.]*+\s*+
    (?P<input>(?i:action[ \t_]{0,3}input)\s*+)?+""",
    re.VERBOSE,
)
_FENCE = re.compile(r"`{3,}+[\w-]*+\s*+")
_OBJECT = re.compile(r"(?:`++(?:json)?+\s*+)?+\{")
_HEAD_END = re.compile(r"[(\[{:\n（［【：]")


class _Reader:
    """The base class of both readers.

    Attributes:
        name: The tool's name; empty until it is known.
        arguments: The arguments of the call; `None` until the call is complete.
    """

    __slots__ = ("_brackets", "_fragments", "arguments", "name")

    def __init__(self, name: str) -> None:
        self.name = name
        self.arguments: Arguments | None = None
        self._brackets: Brackets | None = None
        self._fragments: list[str] = []

    @property
    def is_unclosed(self) -> bool:
        """Whether a bracket is still open."""
        return self._brackets is not None and self.arguments is None

    @property
    def in_triple_quotes(self) -> bool:
        """Whether a triple-quoted string is open, in which labels are text."""
        return self._brackets is not None and self._brackets.in_triple_quotes

    def _join_fragments(self, text: str) -> str:
        """Return the stored fragments followed by `text`, and clear them."""
        self._fragments.append(text)
        whole = "".join(self._fragments)
        self._fragments.clear()
        return whole


class ActionReader(_Reader):
    """Reads the text after `Action:`: a name and its input, or one object with both.

    Args:
        tools: The names of each tool's parameters.
    """

    __slots__ = ("_input", "_is_head", "_opener", "_tools")

    def __init__(self, tools: Mapping[str, Sequence[str]]) -> None:
        super().__init__("")
        self._tools = tools
        self._opener = ""
        self._is_head = True
        self._input: InputReader | None = None  # reads an input on the line of the name

    @property
    def parameters(self) -> Sequence[str]:
        """The names of the tool's parameters; empty if the tool is unknown."""
        return parameters_of(self.name, self._tools)

    @property
    def takes_input(self) -> bool:
        """Whether an `Action Input:` may follow: the action is a name so far."""
        return self._brackets is None and self._input is None

    @property
    def is_unclosed(self) -> bool:
        """Whether a bracket is still open, or closed around an object that is no call."""
        return super().is_unclosed if self._input is None else self._input.is_unclosed

    @property
    def in_triple_quotes(self) -> bool:
        """Whether a triple-quoted string is open, in which labels are text."""
        return super().in_triple_quotes if self._input is None else self._input.in_triple_quotes

    def feed(self, text: str) -> int:
        """Return the position in `text` after the complete call, or -1."""
        start = self._read_head(text) if self._is_head else 0
        if self._input is not None:
            end = self._input.feed(text[start:])
            self.arguments = self._input.arguments
        elif self._brackets is not None and self._opener:
            end = self._brackets.feed(text[start:])
            if end >= 0:
                self._read_arguments(self._brackets)
        else:
            if self.name:
                self._fragments.append(text[start:])
            return -1
        return -1 if self.arguments is None else start + end

    def close(self) -> Arguments | None:
        """Return the arguments if the call is complete at the end of the text, else `None`."""
        if self._is_head:
            self._end_head(self._join_fragments(""), "\n")
        if self._input is not None:
            return self._input.close()
        return self._read_unlabelled_input() if self.name and self._brackets is None else None

    def _read_unlabelled_input(self) -> Arguments | None:
        """Read an object on the lines after the name; other text there is ignored."""
        text = self._join_fragments("").strip()
        if not _OBJECT.match(text):
            return {}
        reader = InputReader(self.name, self.parameters)
        reader.feed(text)
        return reader.close() if reader.arguments is None else reader.arguments

    def _read_head(self, text: str) -> int:
        """Read up to the mark after the tool's name; return the position of the input."""
        start = 0
        for match in _HEAD_END.finditer(text):
            self._end_head(self._join_fragments(text[start : match.start()]), match[0])
            start = match.end()
            if not self._is_head:
                is_object = self._input is not None and match[0] == "{"
                return match.start() if is_object else start
        self._fragments.append(text[start:])
        return len(text)

    def _end_head(self, head: str, mark: str) -> None:
        head, narrow_mark = head.strip(), narrow(mark)
        is_bare = not head or _FENCE.fullmatch(head) is not None
        if mark == "\n" and is_bare:
            return
        self._is_head = False
        match = _NAME.fullmatch(head)
        if is_bare and narrow_mark == "{":
            self._open(mark)
        elif match is None or match["name"].lower() in NOTHING:
            return
        elif mark in ":：":
            name = match["name"]
            if match["input"] or is_finish(name, self._tools):
                self._take_name(name)
                self._input = InputReader(self.name, self.parameters)
        elif not match["input"]:
            self._take_name(match["name"])
            if mark == "{":
                self._input = InputReader(self.name, self.parameters)
            elif self.name and narrow_mark in "([":
                self._open(mark)

    def _take_name(self, name: str) -> None:
        self.name = name.rstrip(".")

    def _open(self, mark: str) -> None:
        self._opener = narrow(mark)
        self._brackets = Brackets(mark)

    def _read_arguments(self, brackets: Brackets) -> None:
        """Read the text between the brackets; an object without a tool's name is no call."""
        text, opener, self._opener = brackets.text, self._opener, ""
        if opener == "{":
            fields = read_object("{" + text + "}")
            call = None if fields is None else call_in(fields, self._tools)
            if call is not None:
                self.name, self.arguments = call
        elif opener == "[" or is_finish(self.name, self._tools):
            self.arguments = from_text(text, self.parameters)
        else:
            self.arguments = from_call(text, brackets.commas, self.parameters)


class InputReader(_Reader):
    """Reads the text after `Action Input:`.

    Args:
        name: The tool's name.
        parameters: The names of the tool's parameters.
    """

    __slots__ = ("_fence", "_is_start", "_parameters")

    def __init__(self, name: str, parameters: Sequence[str]) -> None:
        super().__init__(name)
        self._parameters = parameters
        self._is_start = True
        self._fence = ""

    def feed(self, text: str) -> int:
        """Return the position in `text` after the complete call, or -1."""
        start = self._read_start(text) if self._is_start else 0
        if self._brackets is not None:
            return self._read_object(self._brackets, text, start)
        if start < len(text):
            self._fragments.append(text[start:])
        return -1

    def close(self) -> Arguments | None:
        """Return the arguments if the call is complete at the end of the text, else `None`."""
        if self._brackets is not None:
            return None
        text = self._join_fragments("")
        text = without_backticks(
            in_fence(self._fence, text) if self._fence else without_stray_fence(text)
        )
        action = ActionReader({self.name: self._parameters})
        end = action.feed(text)
        if action.name == self.name and action.is_unclosed:
            return text  # no JSON: the call is refused
        if action.name == self.name and end >= 0 and not text[end:].strip("; \t\n"):
            return action.arguments
        return from_text(text, self._parameters)

    def _read_start(self, text: str) -> int:
        """Read blanks, a code fence and an opening brace; return the position after them."""
        at = 0 if self._fence else self._read_fence(text)
        rest = text[at:].lstrip()
        if not rest or not self._is_start:
            return at
        self._is_start = False
        start = len(text) - len(rest)
        if rest[0] == "{":
            self._brackets = Brackets("{")
            start += 1
        return start

    def _read_fence(self, text: str) -> int:
        """Read the line of a code fence; return the position of its end."""
        at = 0 if self._fragments else len(text) - len(text.lstrip())
        if not self._fragments and text[at : at + 1] != "`":
            return at
        newline = text.find("\n", at)
        if newline < 0:
            self._fragments.append(text[at:])
            return len(text)
        line = self._join_fragments(text[at:newline])
        if _FENCE.fullmatch(line):
            self._fence = line
        else:
            self._is_start = False
            self._fragments.append(line)
        return newline

    def _read_object(self, brackets: Brackets, text: str, start: int) -> int:
        end = brackets.feed(text[start:])
        if end < 0:
            return -1
        self.arguments = read_object("{" + brackets.text + "}")
        if self.arguments is not None:
            return start + end
        self._brackets = None
        self._fragments = ["{", brackets.text, "}", text[start + end :]]
        return -1
