"""Find the tool and its arguments in an action that is one object, and the answer in an action."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rxagents.parsing.react.arguments import NOTHING, ONLY_PARAMETER, Arguments, from_text

_NAME_KEYS = ("action", "tool", "name", "tool_name", "function")
_INPUT_KEYS = ("action_input", "tool_input", "arguments", "parameters", "input", "args")
_FINISH = frozenset({"finish", "finalanswer"})
_ANSWER = ("answer",)


def parameters_of(name: str, tools: Mapping[str, Sequence[str]]) -> Sequence[str]:
    """Return the names of a tool's parameters; empty if the tool is unknown."""
    return _ANSWER if is_finish(name, tools) else tools.get(name, ())


def is_finish(name: str, tools: Mapping[str, Sequence[str]]) -> bool:
    """Return whether `name` stands for the answer: `Finish`, `Final Answer`, and is no tool."""
    bare = name.lower().replace("_", "").replace("-", "").replace(" ", "")
    return bare in _FINISH and name not in tools


def answer_in(arguments: Arguments) -> str:
    """Return the answer that an action such as `Finish[…]` has as its arguments."""
    value: Any = arguments
    if isinstance(value, dict):
        values = list(value.values())
        value = values[0] if len(values) == 1 else value or ""
    return (value if isinstance(value, str) else msgspec.json.encode(value).decode()).strip()


def call_in(
    fields: dict[str, Any], tools: Mapping[str, Sequence[str]]
) -> tuple[str, Arguments] | None:
    """Return the name and the arguments of an action such as `{"action": …, "action_input": …}`.

    Args:
        fields: The object.
        tools: The names of each tool's parameters.

    Returns:
        `None` if the object names no tool.
    """
    name = next((fields[key] for key in _NAME_KEYS if key in fields), None)
    if isinstance(name, dict):  # {"type": "function", "function": {"name": …}}
        return call_in(name, tools)
    if not isinstance(name, str) or not name.strip() or name.strip().lower() in NOTHING:
        return None
    name = name.strip()
    value = next((fields[key] for key in _INPUT_KEYS if key in fields), None)
    parameters = parameters_of(name, tools)
    if value is None or isinstance(value, dict):
        return name, value or {}
    if isinstance(value, str):
        return name, from_text(value, parameters)
    return name, {parameters[0] if parameters else ONLY_PARAMETER: value}
