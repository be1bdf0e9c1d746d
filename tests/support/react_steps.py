"""Parse whole ReAct turns and select their steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rxagents.core.events import Answer, Thought, Token
from rxagents.core.messages import ToolCall
from rxagents.parsing.react import ReActParser, Step

PARAMETERS = {"search": ["query", "limit"], "calculator": ["expression"], "now": []}


def parse(text: str, parameters: Mapping[str, Sequence[str]] = PARAMETERS) -> list[Step]:
    parser = ReActParser(parameters)
    return parser.feed(text, 1.0) + parser.flush(1.0)


def calls(text: str, parameters: Mapping[str, Sequence[str]] = PARAMETERS) -> list[Any]:
    """Return the calls of a text as pairs of name and arguments."""
    steps = parse(text, parameters)
    return [(step.name, step.parse()) for step in steps if isinstance(step, ToolCall)]


def arguments(text: str) -> dict[str, Any]:
    ((_, found),) = calls(text)
    return dict(found)


def thoughts(text: str) -> list[str]:
    return [step.content for step in parse(text) if isinstance(step, Thought)]


def answers(text: str) -> list[str]:
    return [step.content for step in parse(text) if isinstance(step, Answer)]


def tokens(steps: list[Step]) -> list[tuple[str, str]]:
    return [(step.section, step.content) for step in steps if isinstance(step, Token)]
