"""Write the texts of the ReAct protocol: the instructions, and what corrects the model."""

from __future__ import annotations

from typing import Any

import msgspec

from rxagents.core.json_text import encode_json
from rxagents.core.messages import Message
from rxagents.core.tools import Tool


def protocol(tools: tuple[Tool, ...], schema: dict[str, Any] | None = None) -> str:
    """Return the protocol's instructions; the same text for the same tools.

    Args:
        tools: The tools.
        schema: The JSON schema of the answer; `None` for a text.
    """
    text = _PROTOCOL.format(tools="\n".join(map(_described, tools)) or "(none)")
    if schema is None:
        return text
    return f"{text}\n\n{_ANSWER_SCHEMA}\n\n{encode_json(schema, 'sorted')}"


_PROTOCOL = """\
Work on the task step by step. Each step has this form, with the labels at the start of a line:

Thought: what you know, and what to do next
Action: tool_name({{"parameter": value}})

The action's arguments are one JSON object. Stop after an action: its result comes as a line that \
begins with "Observation:", which you never write yourself. Then go on with the next step. When \
you know the answer, write:

Thought: why you know it
Answer: the whole answer to the task

These are the tools, each with the JSON schema of its parameters:

{tools}"""

_ANSWER_SCHEMA = (
    'What follows "Answer:" must be one JSON object, and nothing else, that matches this JSON '
    "schema:"
)

REQUEST_FOR_LAST_ANSWER = Message.user(
    "All steps for this task are used, so no action can be done for it any more. Write your answer "
    'now, from what you know so far, in a line that begins with "Answer:", and say what is missing '
    "in it."
)

CORRECTION = (
    "There was neither an Action nor an Answer in the form that was asked for, so nothing was "
    'done. Go on with a line that begins with "Action:" or with "Answer:".'
)

CUT = (
    "The response was cut (finish reason {finish!r}) before an Action or an Answer was whole, so "
    'nothing was done. Go on with a shorter line that begins with "Action:" or with "Answer:".'
)


def _described(tool: Tool) -> str:
    schema = msgspec.json.encode(tool.parameters, order="deterministic").decode()
    return f"{tool.name}: {tool.description}\n  {schema}"
