"""Write and cut the text of the ReAct protocol: calls, results and answers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby

from rxagents.core.content_parts import ContentPart, TextPart
from rxagents.core.messages import Message, ToolResult
from rxagents.parsing.react.labels import Label, LabelKind, LabelScanner


def action(name: str, arguments: str) -> str:
    """Return the line of a call."""
    return f"Action: {name}({arguments or '{}'})"


def observation(results: Sequence[tuple[str, str]]) -> str:
    """Return the text with the results of one turn, each a tool's name and its result."""
    if len(results) == 1:
        return f"Observation: {results[0][1]}"
    return "\n".join(f"Observation: {name}: {result}" for name, result in results)


def images_and_files(parts: Iterable[ContentPart]) -> Iterator[ContentPart]:
    """Yield the images and files of a result; the observation's text has the rest."""
    return (part for part in parts if not isinstance(part, TextPart))


def in_text_form(messages: Sequence[Message]) -> list[Message]:
    """Return messages with their calls and results as text, for a model without tool calls.

    A message whose text has a call already, as this protocol writes it, does not get it twice.
    """
    written: list[Message] = []
    for role, group in groupby(messages, lambda message: message.role):
        if role == "tool":
            written.append(_observed(list(group)))
        else:
            written += (_with_actions(each) if each.tool_calls else each for each in group)
    return written


def _with_actions(message: Message) -> Message:
    lines = [action(call.name, call.arguments) for call in message.tool_calls]
    missing = [line for line in lines if line not in message.text]
    return Message.assistant("\n".join(filter(None, (message.text, *missing))))


def _observed(messages: Sequence[Message]) -> Message:
    results = [part for each in messages for part in each.parts if isinstance(part, ToolResult)]
    text = observation([(result.name, result.content) for result in results])
    return Message.user(text, *(part for each in results for part in images_and_files(each.parts)))


def after_answer_label(text: str) -> str:
    """Return the answer as far as it was written; empty before its label."""
    scanner = LabelScanner()
    kept: list[str] | None = None
    for piece in (*scanner.feed(text), *scanner.flush()):
        if isinstance(piece, Label):
            kept = [] if piece.kind is LabelKind.ANSWER else None
        elif kept is not None:
            kept.append(piece)
    return "".join(kept or ()).strip()


def unlabelled(text: str) -> str:
    """Return a text without any label; empty if there is one."""
    scanner = LabelScanner()
    pieces = (*scanner.feed(text), *scanner.flush())
    return "" if any(isinstance(piece, Label) for piece in pieces) else text.strip()


def up_to_observation(text: str) -> str:
    """Return `text` up to the first observation, unchanged."""
    scanner = LabelScanner()
    kept: list[str] = []
    for piece in (*scanner.feed(text), *scanner.flush()):
        if isinstance(piece, Label) and piece.kind is LabelKind.OBSERVATION:
            break
        kept.append(piece.text if isinstance(piece, Label) else piece)
    return "".join(kept).strip()
